"""`python -m roark_sandbox`: the sandbox without the rest of the command."""

import os

import typer

from roark_sandbox.command import sandbox

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.command()(sandbox)

if __name__ == "__main__":
    os.umask(0o077)
    app(prog_name="python -m roark_sandbox")
