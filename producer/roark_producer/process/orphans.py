"""Ends a process when the one that started it dies, even by `kill -9`: nobody is left behind as an orphan.

    subprocess.Popen(bound_to_this_process(command))

1. The new process runs this file first, with nothing but Python itself loaded (about 15 ms).
2. It asks the kernel for a signal at its parent's death (Linux's PR_SET_PDEATHSIG), and looks whether the parent
   died in the meantime.
3. It becomes the command; the kernel remembers the request across `exec`.

For the kernel the parent is the *thread* that called Popen: start what shall live on from the main thread only.
Where there is no `prctl` (macOS) the command runs unbound. A step of its own instead of Popen's `preexec_fn`,
which may deadlock in a process with threads.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def bound_to_this_process(command: list[str], *, by: signal.Signals = signal.SIGKILL) -> list[str]:
    """Return a command line that runs `command` and sends it the signal `by` when this process dies."""
    return [sys.executable, "-IS", __file__, str(int(by)), str(os.getpid()), *command]


def die_with(parent: int, by: int) -> None:
    """Have the kernel send this process the signal `by` when its parent dies; end at once if it is dead already."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, by)
        if os.getppid() != parent:
            sys.exit(1)


def _main(death_signal: int, parent: int, command: list[str]) -> None:
    die_with(parent, death_signal)
    os.execvp(command[0], command)  # noqa: S606 the command line of whoever started this process


if __name__ == "__main__":
    _main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
