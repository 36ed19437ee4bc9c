"""Copies of reports that are being edited, each in a locked folder of its own: DATA_DIR/edit/…

What lies there without a lock was left behind by a command that was killed.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from roark_ledger.private_files import own_folder, private
from roark_ops.up.datadir import make_data_dir

_FOLDER = "edit"


@contextmanager
def copied(text: bytes, data_dir: Path) -> Iterator[tuple[Path, list[Path]]]:
    """Lay `text` into a file that is gone behind the block; yield it, and what was left behind and is removed now.

    Raises OSError where the disk refuses.
    """
    folder = data_dir.absolute() / _FOLDER
    make_data_dir(data_dir)
    own_folder(folder)
    own = lock = None
    try:
        with _held(folder):
            left = _clear(folder)
            own = Path(tempfile.mkdtemp(dir=folder))
            lock = _lock(own)
        with open(own / "report.json", "xb", opener=private) as file:
            file.write(text)
        yield own / "report.json", left
    finally:
        if own is not None:
            shutil.rmtree(own, ignore_errors=True)
        if lock is not None:
            os.close(lock)
        with suppress(OSError):
            folder.rmdir()


def remove_left_overs(data_dir: Path) -> list[Path]:
    """Remove the copies of edits whose commands were killed; return what that was. Raises OSError."""
    if not (data_dir / _FOLDER).is_dir():
        return []
    with _held(data_dir / _FOLDER):
        return _clear(data_dir / _FOLDER)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    # So that nobody takes a copy that is being made, and has no lock yet, for one that was left behind.
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _lock(folder: Path) -> int:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise
    return handle


def _clear(folder: Path) -> list[Path]:
    removed = []
    for each in sorted(folder.iterdir()):
        try:
            lock = _lock(each)
        except OSError:
            continue
        try:
            shutil.rmtree(each)
        finally:
            os.close(lock)
        removed.append(each)
    return removed
