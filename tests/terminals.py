"""A terminal for the command line: what a person at it would type and see."""

import os
import pty
import sys

from commands import CommandLine


def in_a_terminal(
    line: CommandLine, *arguments: str, columns: int = 80, typed: bytes = b"", **environment: str
) -> tuple[int, str]:
    """Run a command whose stdin, stdout and stderr are one terminal; return its exit code and all that it showed."""
    command = [sys.executable, "-m", "roark_ops.cli", *arguments]
    pid, terminal = pty.fork()
    if pid == 0:  # pragma: no cover another process
        os.chdir(line.folder)
        whole = os.environ | line.environment | {"TERM": "xterm", "COLUMNS": str(columns)} | environment
        os.execve(sys.executable, command, whole)
    os.write(terminal, typed)
    shown = b""
    while piece := _read(terminal):
        shown += piece
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:
        # Linux's way of saying that nobody has the terminal open any more.
        return b""
