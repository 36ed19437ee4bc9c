"""The files of a spool: in which order they are, what waits in them, and each one read by one process only."""

import contextlib
import fcntl
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from roark_producer.disk.files import size_of
from roark_producer.disk.frames import HEAD, MARK, Spooled, frames_in, is_later, unpacked
from roark_producer.disk.shelves import shelf_of


@dataclass(frozen=True, slots=True)
class Segment:
    """A file of frames that nobody writes any more, locked, and what was found damaged in it (bytes)."""

    path: Path
    packed: tuple[bytes, ...] = field(repr=False)
    damaged_bytes: int
    file: BinaryIO = field(repr=False)
    unreadable: list[int] = field(default_factory=list)
    """The sizes of frames that are whole and could not be unpacked; known once `requests` has ended."""

    def requests(self) -> Iterator[Spooled]:
        """Yield the requests in the order in which they came; one is unpacked at a time."""
        for packed in self.packed:
            try:
                request = unpacked(packed)
            except Exception:  # noqa: BLE001 whatever it is, the requests behind it are not to wait for it
                self.unreadable.append(len(packed))
            else:
                yield request

    def close(self) -> None:
        """Give the lock back; what was not `done` will be found again."""
        self.file.close()


@dataclass(frozen=True, slots=True)
class Pending:
    """What waits in a spool: how many reports, in how many bytes."""

    reports: int
    bytes: int


def segments(folder: Path, shelf: int | None = None) -> list[Path]:
    """Return the files of a folder, or of one shelf, oldest first."""
    return sorted(path for path in folder.glob("*.spool") if shelf is None or shelf_of(path) == shelf)


def number_of(path: Path) -> int:
    """Return the number by which files are in order."""
    number = path.name.partition("-")[0]
    return int(number) if number.isdecimal() else 0


def salt_of(path: Path) -> int:
    """Return what the checksums of a file are begun with."""
    return zlib.crc32(path.stem.encode())


def read(path: Path) -> Segment | None:
    """Return a file that nobody writes, locked; None for what cannot be read, or is a newer version's, as well."""
    try:
        file = locked(path)
    except OSError:
        return None
    if file is None:
        return None
    try:
        content = file.read()
    except OSError:
        file.close()
        return None
    if is_later(content):
        file.close()
        return None
    packed, damaged = frames_in(content, salt_of(path))
    return Segment(path, tuple(packed), damaged, file)


def locked(path: Path) -> BinaryIO | None:
    """Return a file that nobody else has, locked; None where somebody has it, or it is gone. Raises OSError."""
    # The lock goes with its process: a segment that can be locked has no writer left, and no other reader.
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(file.fileno()).st_nlink:
            return file
    except BlockingIOError:
        pass
    except OSError:
        file.close()
        raise
    file.close()
    return None


def waiting_bytes(folder: Path) -> int:
    """Return how many bytes wait in a spool's folder; looks at the files' sizes only."""
    return sum(map(size_of, segments(folder)))


def pending(folder: Path) -> Pending:
    """Return what waits in a spool's folder; reads only the heads of its frames."""
    reports = size = 0
    for path in segments(folder):
        with contextlib.suppress(OSError):
            reports += pending_in(path)
            size += size_of(path)
    return Pending(reports, size)


def pending_in(path: Path) -> int:
    """Return how many reports lie in a file, by the heads of its frames. Raises OSError when it cannot be read."""
    reports, size = 0, size_of(path)
    with path.open("rb") as file:
        while len(head := file.read(HEAD.size)) == HEAD.size:
            mark, length, _ = HEAD.unpack(head)
            if mark != MARK or file.seek(length, os.SEEK_CUR) > size:
                break
            reports += 1
    return reports
