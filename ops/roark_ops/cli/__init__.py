"""`roark-ingest`: every command takes --json and ends with 0 done, 1 failed, 2 usage, 3 something to act on.

`app.py` lists the commands, `running.py` says how one ends. What takes long to import (Celery, Redis, pydantic,
Rich's tables) is imported inside the commands, so that `--help` and shell completion answer at once.
"""

import os
import sys


def main() -> None:
    """Run the command line of this process."""
    # Whatever a command writes is its owner's only: reports, their logs, and the folders in which they lie.
    os.umask(0o077)
    from roark_ops.called import command_name, lacking_for

    try:
        from roark_ops.cli.app import app
        from roark_ops.cli.terminal.output import take_any_text
    except ModuleNotFoundError as error:
        if not (words := lacking_for(error)):
            raise
        # The library is installed without the command: a program's own environment, for instance.
        sys.stderr.write(f"roark-ingest: {words}\n")
        sys.exit(1)
    take_any_text()
    app(prog_name=command_name(), complete_var="_ROARK_INGEST_COMPLETE")
