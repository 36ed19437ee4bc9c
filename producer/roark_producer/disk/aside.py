"""What lies in a spool and cannot be handed in: promised with a 200, and in nobody's hands until somebody settles it.

    SEGMENT.spool      cannot be opened (another user's, a disk that fails), or was written by a newer version: it is
                       passed over, stays where it is, and is handed in by itself once it can be read
    SEGMENT.spool…     another suffix behind it: the same, of a newer version
    SEGMENT.damaged    all that could be read of it is in the ledger; what could not is still in there
    SEGMENT.refused    reports that a script of ours fails on, because of what the ledger keeps of their calls

`give_up` moves them to `given-up/`, where nobody counts them and nothing removes them.
"""

import errno
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from roark_ledger.private_files import own_folder
from roark_producer.disk.frames import gaps, is_later
from roark_producer.disk.segments import pending_in, salt_of

NEWER = "a newer version wrote it"
_DAMAGED = "it is damaged"
_REFUSED = "what the ledger keeps of these calls cannot be read"
_MARK_BYTES = 4
_GIVEN_UP = "given-up"


@dataclass(frozen=True, slots=True)
class Aside:
    """A file of which something cannot be handed in, and why. `reports` is the least number it can be."""

    path: Path
    why: str
    reports: int
    bytes: int


def aside(folder: Path) -> tuple[Aside, ...]:
    """Return what lies in a spool's folder and cannot be handed in; looks at little more than names and sizes."""
    if folder.exists() and not os.access(folder, os.R_OK | os.X_OK):
        return (Aside(folder, f"the folder cannot be read: {os.strerror(errno.EACCES)}", 0, 0),)
    found = []
    for path in sorted(folder.glob("*.*")):
        suffix = path.suffix
        if suffix == ".spool":
            why = _unreadable(path)
        elif suffix.startswith(".spool"):
            why = NEWER
        else:
            why = {".damaged": _DAMAGED, ".refused": _REFUSED}.get(suffix, "")
        if why:
            found.append(_told(path, why))
    return tuple(found)


def give_up(folder: Path) -> tuple[Aside, ...]:
    """Put all of it where nobody counts it; return what that was. Raises OSError when the disk refuses."""
    found = tuple(each for each in aside(folder) if each.path != folder)
    place = folder / _GIVEN_UP
    if found:
        own_folder(place)
    for each in found:
        each.path.rename(place / each.path.name)
    return found


def _unreadable(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return NEWER if is_later(file.read(_MARK_BYTES)) else ""
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"it cannot be read: {error.strerror}"


def _told(path: Path, why: str) -> Aside:
    try:
        facts = path.stat()
        reports = _reports(path, why, facts.st_size, facts.st_mtime_ns)
    except OSError:
        return Aside(path, why, 1, 0)
    return Aside(path, why, reports, facts.st_size)


@lru_cache(maxsize=1024)
def _reports(path: Path, why: str, _size: int, _changed: int) -> int:
    # Looked at once: a damaged file does not change any more.
    if why == _DAMAGED:
        return max(1, gaps(path.read_bytes(), salt_of(path)))
    return pending_in(path) if why == _REFUSED else 1
