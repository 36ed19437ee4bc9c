"""The one door through which files and folders are made: for their owner only, never through what others prepared.

    open(path, "ab", opener=private)     a file; `replacing` (whole_files.py) for one that appears whole
    own_folder(folder)                   a folder, with those that it lies in

Where everybody may write (`/tmp`, a volume that is open to all), another user may have laid a link, a file or a folder
there, under a name that is ours by and by. A link is never followed by the last part of a name; a file or folder that
belongs to another user and lies where everybody may write is refused. Root's are taken for the machine's own.
"""

import errno
import os
import stat
from pathlib import Path


def private(path: str, flags: int) -> int:
    """Open a file for its owner only, and never through a link; for `open(…, opener=private)`.

    Raises OSError, for one that is to be written also where another user may have prepared it.
    """
    handle = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    if flags & (os.O_WRONLY | os.O_RDWR) and _is_prepared(os.fstat(handle), Path(path)):
        os.close(handle)
        raise _refused(path)
    return handle


def own_folder(folder: Path) -> None:
    """Make a folder that is not there, with those that it lies in. Raises OSError, also where another user made it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Of a link its own owner counts: people lay their data on other disks.
    if _is_prepared(os.lstat(folder), folder):
        raise _refused(str(folder))


def is_ours(path: Path) -> bool:
    """Whether a file belongs to this user or to root, and is no link; for what must not be read otherwise."""
    facts = os.lstat(path)
    return stat.S_ISREG(facts.st_mode) and facts.st_uid in {os.geteuid(), 0}


def _is_prepared(facts: os.stat_result, path: Path) -> bool:
    if facts.st_uid in {os.geteuid(), 0}:
        return False
    return bool(os.stat(path.absolute().parent).st_mode & stat.S_IWOTH)


def _refused(path: str) -> PermissionError:
    return PermissionError(errno.EPERM, "it belongs to another user, in a folder that anyone may write to", path)
