"""Packs and unpacks gzip and zstd files by their names, and takes no file that was cut short for a whole one.

python-zstandard's stream reader ends without a word where a file was cut short, and the reports behind the cut
would be lost silently; here a frame that does not end is an error.
"""

import gzip
import io
import zlib
from collections.abc import Iterator
from typing import IO, BinaryIO, cast

import zstandard

from roark_producer.errors import IngestError

_GZIP, _ZSTD = (".gz", ".gzip"), (".zst", ".zstd")
_CHUNK_BYTES = 128 * 1024
# So few at a time unpack to 33 MB at worst, whatever a hostile file holds.
_ZSTD_BYTES = 1024


class DamagedInput(IngestError):
    """A file is damaged, cut short or of another kind than it seemed; what came out before that is good."""


def decompressed(file: BinaryIO, name: str) -> BinaryIO:
    """Return what `file` holds, unpacked where `name` ends in .gz or .zst. Reading it may raise DamagedInput."""
    if name.endswith(_GZIP):
        return cast("BinaryIO", io.BufferedReader(_Pieces(_gunzip(file)), _CHUNK_BYTES))
    if name.endswith(_ZSTD):
        return cast("BinaryIO", io.BufferedReader(_Pieces(_unzstd(file)), _CHUNK_BYTES))
    return file


def compressing(file: BinaryIO, name: str) -> BinaryIO:
    """Return a file whose content goes to `file`, packed where `name` ends in .gz or .zst.

    Closing it ends the last frame and leaves `file` open, unless it is `file` itself.
    """
    if name.endswith(_GZIP):
        return cast("BinaryIO", gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0))
    if name.endswith(_ZSTD):
        return cast("BinaryIO", zstandard.ZstdCompressor().stream_writer(cast("IO[bytes]", file), closefd=False))
    return file


def _gunzip(file: BinaryIO) -> Iterator[bytes]:
    try:
        with gzip.GzipFile(fileobj=file, mode="rb") as unpacked:
            while piece := unpacked.read(_CHUNK_BYTES):
                yield piece
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DamagedInput(f"the gzip file is damaged or was cut short ({type(error).__name__})") from error


def _unzstd(file: BinaryIO) -> Iterator[bytes]:
    frame: zstandard.ZstdDecompressionObj | None = None
    try:
        while packed := file.read(_ZSTD_BYTES):
            while packed:
                frame = frame or zstandard.ZstdDecompressor().decompressobj()
                yield frame.decompress(packed)
                packed = frame.unused_data if frame.eof else b""
                frame = None if frame.eof else frame
    except zstandard.ZstdError as error:
        raise DamagedInput(f"the zstd file is damaged: {error}") from error
    if frame:
        raise DamagedInput("the zstd file was cut short")


class _Pieces(io.RawIOBase):
    """A file made of the pieces that an iterator yields."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._piece = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview[int]") -> int:  # type: ignore[override] # what BufferedReader passes
        while not self._piece:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._piece = memoryview(piece)
        size = min(len(buffer), len(self._piece))
        buffer[:size], self._piece = self._piece[:size], self._piece[size:]
        return size
