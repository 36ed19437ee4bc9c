"""`python -m roark_samples`: the command on its own."""

import typer

from roark_samples.command import sample

if __name__ == "__main__":
    typer.run(sample)
