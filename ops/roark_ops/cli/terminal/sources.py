"""The files that a command reads: named on the command line, or standard input; packed or not."""

import os
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from roark_ops.cli.terminal.running import USAGE, fail
from roark_producer.files.compression import decompressed

STDIN = "-"


class Source:
    """One file to read."""

    def __init__(self, path: str) -> None:
        self.name = "stdin" if path == STDIN else path
        self.path = path
        self._file: BinaryIO | None = None
        self._behind = 0

    @property
    def size(self) -> int | None:
        """How many bytes there are on disk, None where nobody knows (a pipe)."""
        try:
            found = os.fstat(sys.stdin.fileno()) if self.path == STDIN else Path(self.path).stat()
        except OSError:
            return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    @property
    def read_bytes(self) -> int:
        """How many of them have been read."""
        return self._file.tell() if self._file and self._file.seekable() else self._behind

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """Open the file, unpacked where its first bytes say that it is packed."""
        if self.path == STDIN:
            self._file = sys.stdin.buffer
            yield decompressed(self._file)
            return
        with Path(self.path).open("rb") as file:
            self._file = file
            yield decompressed(file)
            self._behind, self._file = self.read_bytes, None


def chosen(paths: Sequence[str] | None) -> list[Source]:
    """Return the files to read; ends the command where one cannot be read, or where a terminal would be."""
    found = list(paths or [STDIN])
    if found.count(STDIN) > 1:
        fail("- (standard input) can only be given once.", USAGE)
    for path in found:
        if path == STDIN:
            _check_stdin(named=bool(paths))
        else:
            _check_file(path)
    return [Source(path) for path in found]


def _check_stdin(*, named: bool) -> None:
    if sys.stdin.isatty():
        what = "standard input is a terminal" if named else "no FILE given, and standard input is a terminal"
        fail(f"nothing to read: {what}. Name a file, or pipe reports in: roark-ingest enqueue < reports.ndjson", USAGE)


def _check_file(path: str) -> None:
    # Not opened for a try: what stands behind a named pipe can be read once only.
    if not Path(path).exists():
        fail(f"cannot read {path}: no such file.", USAGE)
    if Path(path).is_dir():
        fail(f"cannot read {path}: it is a directory. Give its files: {path.rstrip('/')}/*", USAGE)
    if not os.access(path, os.R_OK):
        fail(f"cannot read {path}: permission denied.", USAGE)
