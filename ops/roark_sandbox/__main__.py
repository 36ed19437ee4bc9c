"""`python -m roark_sandbox`: the sandbox without the rest of the command."""

import typer

from roark_sandbox.command import sandbox

# Locals would show the token in a traceback.
app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)
app.command()(sandbox)

if __name__ == "__main__":
    app(prog_name="python -m roark_sandbox")
