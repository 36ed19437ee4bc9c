"""Files that appear whole or not at all, and that nobody but their owner can read.

    with replacing(path) as file:
        file.write(…)

1. What is written goes to a file beside `path`, under a name that nobody can foresee. It is made anew: a file or a
   link that somebody laid there is neither followed nor used.
2. When the block ends it is synced and takes `path`'s place in one step. A link that stands there is replaced, never
   written through.
3. When the block fails it is removed. What a killed process left behind has no lock any more, and the next one that
   writes to `path` removes it.
"""

import errno
import fcntl
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from roark_ledger.private_files import private

_SUFFIX = ".partial"
_MOST_NAME_BYTES = 180
_YOUNG_SECONDS = 60
_NO_HARD_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV})


@contextmanager
def replacing(path: Path, *, overwrite: bool = True) -> Iterator[BinaryIO]:
    """Yield a file that takes `path`'s place when the block ends, synced.

    Raises FileExistsError, with nothing changed, if something is there that it may not overwrite; OSError where the
    disk refuses.
    """
    if not overwrite and os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    remove_left_overs(path)
    fresh = path.with_name(f".{_stem(path)}.{secrets.token_hex(8)}{_SUFFIX}")
    handle = private(str(fresh), os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever packs what is written closes it in the end.
        with os.fdopen(os.dup(handle), "wb") as file:
            yield file
        os.fsync(handle)
        _put(fresh, path, overwrite=overwrite)
    finally:
        os.close(handle)
        fresh.unlink(missing_ok=True)


def remove_left_overs(path: Path) -> list[Path]:
    """Remove what killed processes left beside `path`; return what that was."""
    return [left for left in _partials(path) if _is_nobodys(left) and _removed(left)]


def left_overs(folder: Path) -> list[Path]:
    """Return the files in a folder that killed processes did not finish."""
    return [path for path in sorted(folder.glob(f".*{_SUFFIX}")) if _is_nobodys(path)]


def _partials(path: Path) -> list[Path]:
    beginning = f".{_stem(path)}."
    try:
        names = os.listdir(path.parent)
    except OSError:
        return []
    return [path.with_name(name) for name in names if name.startswith(beginning) and name.endswith(_SUFFIX)]


def _stem(path: Path) -> str:
    return path.name.encode("utf-8", "surrogateescape")[:_MOST_NAME_BYTES].decode("utf-8", "ignore")


def _is_nobodys(path: Path) -> bool:
    # One that was made a moment ago may not be locked yet.
    with suppress(OSError):
        file = private(str(path), os.O_RDONLY | os.O_NONBLOCK)
        try:
            facts = os.fstat(file)
            is_ours = stat.S_ISREG(facts.st_mode) and facts.st_uid == os.geteuid()
            if is_ours and time.time() - facts.st_mtime > _YOUNG_SECONDS:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
        finally:
            os.close(file)
    return False


def _removed(path: Path) -> bool:
    with suppress(OSError):
        path.unlink()
        return True
    return False


def _put(fresh: Path, path: Path, *, overwrite: bool) -> None:
    if overwrite:
        fresh.replace(path)
        return
    try:
        # A hard link is the one way to a name that fails if somebody has taken it meanwhile.
        path.hardlink_to(fresh)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS or os.path.lexists(path):
            raise
        fresh.rename(path)
