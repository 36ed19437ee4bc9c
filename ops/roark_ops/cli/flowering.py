"""Turns this process into Flower, with our Celery app's broker and what its tasks are called."""

import os
import sys
from pathlib import Path
from typing import NoReturn


def become_flower(host: str, port: int, database: Path, basic_auth: str | None) -> NoReturn:
    """Replace this process by Flower."""
    options = {
        "address": host,
        "port": port,
        "db": database,
        "persistent": True,
        "auto_refresh": True,
    }
    command = [sys.executable, "-m", "celery", "-A", "roark_ops.flower_app", "flower"]
    command += [f"--{name}={value}" for name, value in options.items()]
    environment = dict(os.environ)
    if basic_auth:
        # Not on the command line, where everybody on this machine can read it.
        environment["FLOWER_BASIC_AUTH"] = basic_auth
    os.execve(sys.executable, command, environment)  # noqa: S606 our own command line
