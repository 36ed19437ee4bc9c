"""`python -m roark_samples`: the command on its own."""

import os

import typer

from roark_samples.command import sample

if __name__ == "__main__":
    os.umask(0o077)
    typer.run(sample)
