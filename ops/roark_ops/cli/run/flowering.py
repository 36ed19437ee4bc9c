"""Turns this process into Flower, with our Celery app's broker and what its tasks are called."""

import os
import sys
from pathlib import Path
from typing import NoReturn

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


def become_flower(host: str, port: int, database: Path, basic_auth: str | None) -> NoReturn:
    """Replace this process by Flower."""
    command = [sys.executable, "-P", "-m", "celery", "-A", "roark_ops.flower_app", "flower"]
    # Tornado takes :: for IPv6 alone, and no address for all there are.
    command += [f"--address={'' if host == '::' else host}", f"--port={port}"]
    environment = _DEFAULTS | {"FLOWER_DB": str(database)} | os.environ
    tell_ignored_variables()
    for name in ignored_variables():
        del environment[name]
    if basic_auth:
        # Not on the command line, where everybody on this machine can read it.
        environment["FLOWER_BASIC_AUTH"] = basic_auth
    os.execve(sys.executable, command, environment)  # noqa: S606 our own command line
