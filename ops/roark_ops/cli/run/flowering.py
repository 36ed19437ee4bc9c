"""Turns this process into Flower, with our Celery app's broker and what its tasks are called."""

import fcntl
import os
import stat
import sys
import time
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import NoReturn

from roark_ledger.private_files import is_ours, private
from roark_producer.wake_ups import ignored_variables, tell_ignored_variables

# What a FLOWER_* variable changes. Read-only: what Flower could stop is a worker or a drain, never a report. The uuid
# is a report's call id and the link to its page; by `received` the list is sorted.
_DEFAULTS = {
    "FLOWER_PERSISTENT": "true",
    "FLOWER_STATE_SAVE_INTERVAL": "60000",
    "FLOWER_MAX_TASKS": "20000",
    "FLOWER_TASKS_COLUMNS": "name,uuid,state,result,runtime,received",
    "FLOWER_PURGE_OFFLINE_WORKERS": "3600",
    "FLOWER_READ_ONLY": "true",
}


# Those of dbm's kinds, and of the lock.
_SUFFIXES = ("", ".db", ".dat", ".dir", ".bak", ".pag", ".lock")
_LOCK_SECONDS = 5.0
_PAUSE_SECONDS = 0.1


def become_flower(host: str, port: int, database: Path, basic_auth: str | None) -> NoReturn:
    """Replace this process by Flower."""
    command = [sys.executable, "-P", "-m", "celery", "-A", "roark_ops.flower_app", "flower"]
    # Tornado takes :: for IPv6 alone, and no address for all there are.
    command += [f"--address={'' if host == '::' else host}", f"--port={port}"]
    environment = _DEFAULTS | {"FLOWER_DB": str(database)} | os.environ
    close_to_others(database)
    _own(database)
    tell_ignored_variables()
    for name in ignored_variables():
        del environment[name]
    # Not on the command line, where everybody on this machine can read it; a blank one is none.
    environment.pop("FLOWER_BASIC_AUTH", None)
    if basic_auth:
        environment["FLOWER_BASIC_AUTH"] = basic_auth
    os.execve(sys.executable, command, environment)  # noqa: S606 our own command line


def foreign(store: Path) -> list[Path]:
    """Return what of a store is another user's, or a link: it is pickled, and reading it could run anything."""
    files = (store.with_name(store.name + suffix) for suffix in _SUFFIXES)
    return [path for path in files if os.path.lexists(path) and not is_ours(path)]


def close_to_others(database: Path) -> None:
    """Take away from others what an earlier version let them read of Flower's store."""
    for path in database.parent.glob(f"{database.name}*"):
        with suppress(OSError):
            handle = private(str(path), os.O_RDONLY | os.O_NONBLOCK)
            try:
                if stat.S_ISREG(os.fstat(handle).st_mode):
                    os.fchmod(handle, 0o600)
            finally:
                os.close(handle)


def _own(database: Path) -> None:
    # Kept open over the exec: as long as this Flower lives, `erase` leaves its store to it.
    handle = private(str(database.with_name(f"{database.name}.lock")), os.O_RDWR | os.O_CREAT)
    os.set_inheritable(handle, True)
    deadline = time.monotonic() + _LOCK_SECONDS
    while time.monotonic() < deadline:
        with suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        Event().wait(_PAUSE_SECONDS)
