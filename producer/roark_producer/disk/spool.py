"""The last line of defence: reports that arrive while Redis is away or full, in fsynced files on this machine.

Vapi sends a report once. When the ledger cannot take it, the webhook appends it here, and answers yes only when
it is on the disk. Later it is handed in from here, in the order in which it came.

    DATA_DIR/spool/SEGMENT.spool    one file per process, shelf (`shelves.py`) and 16 MB; locked (flock) while its
                                    writer lives
    the frames in it, one for each request: `frames.py`

1. `append` writes frames and syncs the file once for all of them. Where that fails, nothing was promised.
2. `waiting` yields the segments that nobody writes any more, oldest first, each locked until it is closed: two
   processes never hand in the same one.
3. `done` removes a segment when all of it is in the ledger. A crash before that hands its reports in twice,
   which the ledger takes for repeats.
4. What cannot be read or taken stands in nobody's way: a file that cannot be opened, or that a newer version wrote, is
   passed over and stays where it is; a report that a script of ours fails on goes to a file of its own
   (SEGMENT.refused). `aside.py` names and counts all of it.

Several processes write into one folder, each into segments of its own; `merging.py` reads them in the order in which
the requests came.

Files are readable by their owner only: they hold what people said.
"""

import fcntl
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from roark_ledger.errors import IngestError
from roark_ledger.private_files import private
from roark_producer.disk.files import PROOF_BYTES, make_folder, prove_disk, sync_folder, write_all, write_synced
from roark_producer.disk.frames import Spooled, frame_of
from roark_producer.disk.segments import Segment, number_of, read, salt_of, segments, waiting_bytes
from roark_producer.disk.shelves import ANY, ending_of, shelf_of

_SEGMENT_BYTES = 16_000_000


class SpoolFull(IngestError):
    """The spool holds as much as it may, or the disk does not take it; nothing was written."""


class Spool:
    """Appends to and hands out of one shelf of a folder; the bound is that of the folder.

    One writer per process; not for several threads at once.
    """

    def __init__(self, folder: Path, *, most_bytes: int, shelf: int = ANY) -> None:
        self.folder = folder
        self.shelf = shelf
        self._most_bytes = most_bytes
        self._file: int | None = None
        self._path: Path | None = None
        self._size = 0

    def append(self, requests: Sequence[Spooled], *, moved: bool = False) -> None:
        """Write requests and return when they are on the disk.

        Raises SpoolFull when they would make it larger than it may be, or the disk refuses. What is moved from another
        shelf, where it goes once it is here, may do so.
        """
        try:
            file, salt = self._writable()
            frames = b"".join(frame_of(request, salt) for request in requests)
            if not moved and (held := self.size()) + len(frames) > self._most_bytes:
                raise SpoolFull(f"the spool holds {held} bytes; ROARK_INGEST_SPOOL_MAX_BYTES is {self._most_bytes}")
            write_all(file, frames)
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
            make_folder(self.folder)
            if (held := self.size()) + PROOF_BYTES > self._most_bytes:
                raise SpoolFull(f"the spool holds {held} bytes; ROARK_INGEST_SPOOL_MAX_BYTES is {self._most_bytes}")
            prove_disk(self.folder)
        except OSError as error:
            raise SpoolFull(f"cannot write to the spool {self.folder}: {error.strerror}") from error

    def waiting(self) -> Iterator[Segment]:
        """Yield the segments that nobody writes any more, oldest first; what cannot be read is passed over."""
        for path in segments(self.folder, self.shelf):
            if path != self._path and (segment := read(path)) is not None:
                yield segment

    def refused(self) -> Iterator[Segment]:
        """Yield what was set aside, to be tried again."""
        for path in sorted(self.folder.glob("*.refused")):
            if shelf_of(path) == self.shelf and (segment := read(path)) is not None:
                yield segment

    def set_aside(self, requests: Sequence[Spooled]) -> None:
        """Write requests into a file of their own, which `waiting` does not yield; return when they are on the disk.

        Raises OSError when the disk refuses.
        """
        path = self._fresh_path(".refused")
        write_synced(path, b"".join(frame_of(request, salt_of(path)) for request in requests))
        sync_folder(self.folder)

    def done(self, segment: Segment) -> None:
        """Remove a segment whose reports are all in the ledger; keep aside what could not be read."""
        if segment.damaged_bytes or segment.unreadable:
            segment.path.rename(segment.path.with_suffix(".damaged"))
        else:
            segment.path.unlink(missing_ok=True)
        segment.close()
        sync_folder(self.folder)

    def size(self) -> int:
        """Return how many bytes lie in the folder."""
        return waiting_bytes(self.folder)

    def is_empty(self) -> bool:
        """Whether nothing waits, in any segment."""
        return self.size() == 0

    def _writable(self) -> tuple[int, int]:
        if self._file is None or self._path is None:
            make_folder(self.folder)
            path = self._fresh_path(".spool")
            # Locked before it can be seen: a reader must not take it for one that nobody writes any more.
            unseen = path.with_suffix(".new")
            file = private(str(unseen), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND)
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                unseen.rename(path)
                sync_folder(self.folder)
            except OSError:
                os.close(file)
                raise
            self._file, self._path = file, path
        return self._file, salt_of(self._path)

    def _fresh_path(self, suffix: str) -> Path:
        return (
            self.folder
            / f"{self._next_number():020d}-{os.getpid()}-{secrets.token_hex(8)}{ending_of(self.shelf)}{suffix}"
        )

    def _next_number(self) -> int:
        # After this machine's clock was set back, later reports must still come behind earlier ones.
        return max([time.time_ns(), *(1 + number_of(path) for path in segments(self.folder))])

    def _cut(self) -> None:
        if self._file is not None:
            try:
                os.ftruncate(self._file, self._size)
            except OSError:
                self.seal()
