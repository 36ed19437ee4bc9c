"""An embedded server that outlived its `up`: recognised and ended, so that no two servers write one file.

The server dies with `up` (see `roark_producer.process.orphans`), but the kernel's signal can come too early or find it
stopped. Its process id is in its pid file; since ids are given out again, the process must also be a Valkey whose
working directory is the one that the file lies in.
"""

import os
import signal
from pathlib import Path

from roark_ledger.errors import ConfigurationError
from roark_ops.up.waiting import until

_GENTLE_SECONDS = 10.0
_HARSH_SECONDS = 5.0


async def end_survivor(pid_file: Path, working_dir: Path) -> int | None:
    """End the server that `pid_file` names, if it still works in `working_dir`; return its process id.

    Raises ConfigurationError when it does not end.
    """
    pid = _pid(pid_file)
    if pid is None or not _is_ours(pid, working_dir):
        return None
    for wanted, seconds in ((signal.SIGTERM, _GENTLE_SECONDS), (signal.SIGKILL, _HARSH_SECONDS)):
        os.kill(pid, wanted)
        # A stopped process acts on nothing but SIGKILL until it is told to go on.
        os.kill(pid, signal.SIGCONT)
        if await until(lambda: not _is_ours(pid, working_dir), seconds):
            return pid
    raise ConfigurationError(
        f"a Valkey server of an earlier run (process {pid}) still uses {working_dir}. Stop it: kill {pid}"
    )


def _pid(pid_file: Path) -> int | None:
    try:
        return int(pid_file.read_text("ascii"))
    except (OSError, ValueError):
        return None


def _is_ours(pid: int, working_dir: Path) -> bool:
    process = Path("/proc") / str(pid)
    try:
        # A process that has ended but was not waited for yet has no executable any more.
        program = (process / "exe").readlink().name
        return program.startswith("valkey-server") and (process / "cwd").samefile(working_dir)
    except OSError:
        return False
