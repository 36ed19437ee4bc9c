"""The last line of defence: reports that arrive while Redis is away or full, in fsynced files on this machine.

Vapi sends a report once. When the ledger cannot take it, the webhook appends it here, and answers yes only when
it is on the disk. Later it is handed in from here, in the order in which it came.

    DATA_DIR/spool/SEGMENT.spool    one file per process and 16 MB; locked (flock) while its writer lives
    frame = b"RIS1" + length (4 bytes) + CRC-32 of the segment's name and the rest (4 bytes) + zstd(JSON line + body)

1. `append` writes frames and syncs the file once for all of them. Where that fails, nothing was promised.
2. `waiting` yields the segments that nobody writes any more, oldest first, each locked until it is closed: two
   processes never hand in the same one. A frame cut short at a file's end was never promised: it is left out. A
   damaged one is left out, counted and told, and the rest is found again by the next frame's mark and checksum.
   The checksum is begun with the segment's name, which no sender knows, so nobody can hide a frame in a report.
3. `done` removes a segment when all of it is in the ledger. A crash before that hands its reports in twice,
   which the ledger takes for repeats.
4. What cannot be read or taken stands in nobody's way: a file that cannot be opened, or that a newer version wrote, is
   passed over and stays where it is; a report that a script of ours fails on goes to a file of its own
   (SEGMENT.refused). `spool_aside.py` names and counts all of it.

The order is that of one process: two webhooks in one folder each keep their own.

Files are readable by their owner only: they hold what people said.
"""

import contextlib
import fcntl
import os
import re
import secrets
import struct
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import msgspec
import zstandard

from roark_ledger.errors import IngestError

_MARK = b"RIS1"
# What a later version writes begins with another digit, or has another suffix behind `.spool`: it is not touched here.
_LATER_MARK = re.compile(rb"RIS[2-9]")
_HEAD = struct.Struct(">4sII")
_SEGMENT_BYTES = 16_000_000
_MOST_FRAME_BYTES = 100_000_000
_LEVEL = 1


_PROOF_BYTES = 65_536


class SpoolFull(IngestError):
    """The spool holds as much as it may, or the disk does not take it; nothing was written."""


@dataclass(frozen=True, slots=True)
class Spooled:
    """One request as it came: its body, its query, when (Unix ms by this machine's clock), its trace's context."""

    body: bytes = field(repr=False)
    query: dict[str, str] = field(default_factory=dict, repr=False)
    received_ms: int = 0
    trace: bytes = b""


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
                request = _unpacked(packed)
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


class Spool:
    """Appends to and hands out of one folder. One writer per process; not for several threads at once."""

    def __init__(self, folder: Path, *, most_bytes: int) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._file: int | None = None
        self._path: Path | None = None
        self._size = 0

    def append(self, requests: Sequence[Spooled]) -> None:
        """Write requests and return when they are on the disk.

        Raises SpoolFull when they would make it larger than it may be, or the disk refuses.
        """
        try:
            file, salt = self._writable()
            frames = b"".join(_frame(request, salt) for request in requests)
            if (held := self.size()) + len(frames) > self._most_bytes:
                raise SpoolFull(f"the spool holds {held} bytes; ROARK_INGEST_SPOOL_MAX_BYTES is {self._most_bytes}")
            _write_all(file, frames)
            os.fdatasync(file)
        except OSError as error:
            # What was written of it is cut off, or left as a torn end that no reader takes for a report.
            self._cut()
            raise SpoolFull(f"cannot write to the spool: {error.strerror}") from error
        self._size += len(frames)
        if self._size >= _SEGMENT_BYTES:
            self.seal()

    def seal(self) -> None:
        """End the current segment, so that it can be handed in."""
        if self._file is not None:
            os.close(self._file)
        self._file, self._path, self._size = None, None, 0

    def prove(self) -> None:
        """Write and sync as much as a report may need, and remove it again.

        Raises SpoolFull, with the reason by its name, where a report could not be kept.
        """
        try:
            _make_folder(self._folder)
            if (held := self.size()) + _PROOF_BYTES > self._most_bytes:
                raise SpoolFull(f"the spool holds {held} bytes; ROARK_INGEST_SPOOL_MAX_BYTES is {self._most_bytes}")
            prove_disk(self._folder)
        except OSError as error:
            raise SpoolFull(f"cannot write to the spool {self._folder}: {error.strerror}") from error

    def waiting(self) -> Iterator[Segment]:
        """Yield the segments that nobody writes any more, oldest first; what cannot be read is passed over."""
        for path in _segments(self._folder):
            if path != self._path and (segment := _read(path)) is not None:
                yield segment

    def refused(self) -> Iterator[Segment]:
        """Yield what was set aside, to be tried again."""
        for path in sorted(self._folder.glob("*.refused")):
            if (segment := _read(path)) is not None:
                yield segment

    def set_aside(self, requests: Sequence[Spooled]) -> None:
        """Write requests into a file of their own, which `waiting` does not yield; return when they are on the disk.

        Raises OSError when the disk refuses.
        """
        path = self._fresh_path(".refused")
        _write_synced(path, b"".join(_frame(request, _salt(path)) for request in requests))
        _sync_folder(self._folder)

    def done(self, segment: Segment) -> None:
        """Remove a segment whose reports are all in the ledger; keep aside what could not be read."""
        if segment.damaged_bytes or segment.unreadable:
            segment.path.rename(segment.path.with_suffix(".damaged"))
        else:
            segment.path.unlink(missing_ok=True)
        segment.close()
        _sync_folder(self._folder)

    def size(self) -> int:
        """Return how many bytes lie in the folder."""
        return waiting_bytes(self._folder)

    def is_empty(self) -> bool:
        """Whether nothing waits, in any segment."""
        return self.size() == 0

    def _writable(self) -> tuple[int, int]:
        if self._file is None or self._path is None:
            _make_folder(self._folder)
            path = self._fresh_path(".spool")
            # Locked before it can be seen: a reader must not take it for one that nobody writes any more.
            unseen = path.with_suffix(".new")
            file = os.open(unseen, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                unseen.rename(path)
                _sync_folder(self._folder)
            except OSError:
                os.close(file)
                raise
            self._file, self._path = file, path
        return self._file, _salt(self._path)

    def _fresh_path(self, suffix: str) -> Path:
        return self._folder / f"{self._next_number():020d}-{os.getpid()}-{secrets.token_hex(8)}{suffix}"

    def _next_number(self) -> int:
        # After this machine's clock was set back, later reports must still come behind earlier ones.
        return max([time.time_ns(), *(1 + _number(path) for path in _segments(self._folder))])

    def _cut(self) -> None:
        if self._file is not None:
            try:
                os.ftruncate(self._file, self._size)
            except OSError:
                self.seal()


@dataclass(frozen=True, slots=True)
class Purged:
    """What was taken out of a spool: requests, from so many files.

    `busy` files are still written by a living webhook and were not looked at; `unread_bytes` were damaged.
    """

    requests: int
    files: int
    busy: int
    unread_bytes: int


def purge(folder: Path, unwanted: Callable[[Spooled], bool], *, only_look: bool = False) -> Purged:
    """Take requests out of the files that nobody writes any more, and out of those that were set aside.

    A file is replaced by one without them in one step; a crash before that leaves it as it was. What is damaged
    stays as it is. `only_look` counts and changes nothing. Raises OSError when the disk refuses.
    """
    requests = files = busy = unread = 0
    for left_over in folder.glob("*.fresh"):
        left_over.unlink(missing_ok=True)
    aside = [path for kind in ("*.damaged", "*.refused", "given-up/*") for path in sorted(folder.glob(kind))]
    for path in [*_segments(folder), *aside]:
        try:
            file = _locked(path)
        except OSError:
            unread += _size(path)
            continue
        if file is None:
            busy += path.exists()
            continue
        with file:
            kept, taken, damaged = _without(file.read(), _salt(path), unwanted)
            if taken and not only_look:
                _replace(path, kept)
        requests, files, unread = requests + taken, files + bool(taken), unread + damaged
    return Purged(requests, files, busy, unread)


def _without(content: bytes, salt: int, unwanted: Callable[[Spooled], bool]) -> tuple[bytes, int, int]:
    packed, damaged = _frames(content, salt)
    taken = 0
    for frame in packed:
        try:
            request = _unpacked(frame)
        except Exception:  # noqa: BLE001 a frame that is whole and cannot be read stays, and is told
            damaged += len(frame)
            continue
        if unwanted(request):
            whole = _HEAD.pack(_MARK, len(frame), zlib.crc32(frame, salt)) + frame
            content, taken = content.replace(whole, b"", 1), taken + 1
    return content, taken, damaged


def _replace(path: Path, content: bytes) -> None:
    if not content:
        path.unlink(missing_ok=True)
    else:
        _write_synced(path, content)
    _sync_folder(path.parent)


def _write_synced(path: Path, content: bytes) -> None:
    fresh = path.with_suffix(".fresh")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        _write_all(handle, content)
        os.fsync(handle)
    finally:
        os.close(handle)
    fresh.replace(path)


def prove_disk(folder: Path) -> None:
    """Write and sync a file in a folder that is there, and remove it again. Raises OSError where that fails."""
    proof = folder / f".proof-{os.getpid()}"
    handle = os.open(proof, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        _write_all(handle, os.urandom(_PROOF_BYTES))
        os.fsync(handle)
    finally:
        os.close(handle)
        proof.unlink(missing_ok=True)


def waiting_bytes(folder: Path) -> int:
    """Return how many bytes wait in a spool's folder; looks at the files' sizes only."""
    return sum(map(_size, _segments(folder)))


def pending(folder: Path) -> Pending:
    """Return what waits in a spool's folder; reads only the heads of its frames."""
    reports = size = 0
    for path in _segments(folder):
        with contextlib.suppress(OSError):
            reports += pending_in(path)
            size += _size(path)
    return Pending(reports, size)


def pending_in(path: Path) -> int:
    """Return how many reports lie in a file, by the heads of its frames. Raises OSError when it cannot be read."""
    reports, size = 0, _size(path)
    with path.open("rb") as file:
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            mark, length, _ = _HEAD.unpack(head)
            if mark != _MARK or file.seek(length, os.SEEK_CUR) > size:
                break
            reports += 1
    return reports


def _frame(request: Spooled, salt: int) -> bytes:
    facts: dict[str, object] = {"query": request.query, "received_ms": request.received_ms}
    if request.trace:
        facts["trace"] = request.trace.hex()
    about = msgspec.json.encode(facts)
    packed = zstandard.ZstdCompressor(level=_LEVEL).compress(about + b"\n" + request.body)
    return _HEAD.pack(_MARK, len(packed), zlib.crc32(packed, salt)) + packed


def _frames(content: bytes, salt: int) -> tuple[list[bytes], int]:
    found: list[bytes] = []
    at = damaged = 0
    while at < len(content):
        packed = _whole_frame(content, at, salt)
        if packed is not None:
            found.append(packed)
            at += _HEAD.size + len(packed)
            continue
        following = content.find(_MARK, at + 1)
        while following >= 0 and _whole_frame(content, following, salt) is None:
            following = content.find(_MARK, following + 1)
        if following < 0:
            return found, damaged + (0 if _is_torn(content[at:]) else len(content) - at)
        damaged += following - at
        at = following
    return found, damaged


def _is_torn(end: bytes) -> bool:
    # A frame that was cut short: whoever wrote it had not answered yet. After a power cut what did not reach the
    # disk may be there as zeros.
    if not end.strip(b"\0"):
        return True
    if len(end) < _HEAD.size:
        return _MARK.startswith(end[: len(_MARK)])
    mark, length, _ = _HEAD.unpack_from(end)
    return bool(mark == _MARK and len(end) < _HEAD.size + length)


def _whole_frame(content: bytes, at: int, salt: int) -> bytes | None:
    if at + _HEAD.size > len(content):
        return None
    mark, length, checksum = _HEAD.unpack_from(content, at)
    packed = content[at + _HEAD.size : at + _HEAD.size + length]
    if mark != _MARK or len(packed) != length or zlib.crc32(packed, salt) != checksum:
        return None
    return packed


def _unpacked(packed: bytes) -> Spooled:
    text = zstandard.ZstdDecompressor().decompress(packed, max_output_size=_MOST_FRAME_BYTES)
    about, _, body = text.partition(b"\n")
    facts = msgspec.json.decode(about)
    return Spooled(body, facts["query"], facts["received_ms"], bytes.fromhex(facts.get("trace", "")))


def _salt(path: Path) -> int:
    return zlib.crc32(path.stem.encode())


def _number(path: Path) -> int:
    number = path.name.partition("-")[0]
    return int(number) if number.isdecimal() else 0


def _size(path: Path) -> int:
    # Another process may have handed it in, and removed it, since it was listed.
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.spool"))


def _read(path: Path) -> Segment | None:
    # What cannot be read, or is not for this version to read, is nobody's to hand in: None, as what another one has.
    try:
        file = _locked(path)
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
    packed, damaged = _frames(content, _salt(path))
    return Segment(path, tuple(packed), damaged, file)


def is_later(content: bytes) -> bool:
    """Whether a newer version wrote this file."""
    return bool(_LATER_MARK.match(content))


def gaps(path: Path) -> int:
    """Return how many pieces of a file cannot be read: each was one report or more. Raises OSError."""
    content, salt = path.read_bytes(), _salt(path)
    unread = at = 0
    for packed in _frames(content, salt)[0]:
        whole = _HEAD.pack(_MARK, len(packed), zlib.crc32(packed, salt)) + packed
        found = content.index(whole, at)
        unread += found > at
        at = found + len(whole)
        try:
            _unpacked(packed)
        except Exception:  # noqa: BLE001 it is only counted
            unread += 1
    return unread + (at < len(content) and not _is_torn(content[at:]))


def _locked(path: Path) -> BinaryIO | None:
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


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _make_folder(folder: Path) -> None:
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A folder that is new is on the disk only when the one that it lies in is.
    for each in missing:
        _sync_folder(each.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
