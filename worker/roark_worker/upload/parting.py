"""Lets reqwest's threads come to rest before the interpreter ends.

They hand results and objects back to Python after the last upload, also when the client is closed. One that does so
while the interpreter is being taken down aborts the process ("PyGILState_Release: thread state must be current"):
seen in one of ten processes that ended at once after failed connections, in none of 100 that waited for this.
"""

import atexit
import os
import threading
from functools import cache
from pathlib import Path

_LOOK_SECONDS = 0.01
_LOOKS_AT_REST = 3
_MOST_LOOKS = 100
_TASKS = Path("/proc/self/task")


@cache
def part_in_peace() -> None:
    """See to it at the end of this process; once is enough."""
    atexit.register(_wait_for_rest)


def _wait_for_rest() -> None:
    pause, at_rest = threading.Event(), 0
    for _ in range(_MOST_LOOKS):
        # Meanwhile the others may have the interpreter.
        pause.wait(_LOOK_SECONDS)
        at_rest = 0 if _others_work() else at_rest + 1
        if at_rest == _LOOKS_AT_REST:
            return


def _others_work() -> bool:
    # On Linux. Elsewhere a few moments must do.
    own = str(threading.get_native_id())
    try:
        tasks = [name for name in os.listdir(_TASKS) if name != own]
        return any((_TASKS / name / "stat").read_text().rpartition(")")[2].split()[0] == "R" for name in tasks)
    except OSError:
        return False
