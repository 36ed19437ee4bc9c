"""`python -m roark_ops.sample_reports`: the command on its own."""

import typer

from roark_ops.sample_reports.command import sample

if __name__ == "__main__":
    typer.run(sample)
