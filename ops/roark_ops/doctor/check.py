"""One check: what was looked at, how it is, and what mends it."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How something is."""

    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Check:
    """What was found about one thing. `mend` says what to do, empty where nothing is."""

    name: str
    level: Level
    found: str
    mend: str = ""


def ok(name: str, found: str) -> Check:
    """Return a check that found nothing wrong."""
    return Check(name, Level.OK, found)


def warn(name: str, found: str, mend: str) -> Check:
    """Return a check that found something worth a look."""
    return Check(name, Level.WARN, found, mend)


def fail(name: str, found: str, mend: str) -> Check:
    """Return a check that found something wrong."""
    return Check(name, Level.FAIL, found, mend)
