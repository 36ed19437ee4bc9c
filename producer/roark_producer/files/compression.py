"""Packs files by their names, unpacks them by their first bytes, and takes none that was cut short for a whole one.

What is unpacked: gzip, zstd, bzip2, xz, one in the other too; UTF-16, which PowerShell writes, and UTF-32 are made
UTF-8. Archives of several files are not, but named. Of a file that was cut short comes out what is still there.

python-zstandard's stream reader ends without a word where a file was cut short, and the reports behind the cut
would be lost silently; here a frame that does not end is an error.
"""

import bz2
import codecs
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from typing import IO, BinaryIO, cast

import zstandard

from roark_ledger.errors import IngestError

_GZIP, _ZSTD = (".gz", ".gzip"), (".zst", ".zstd")
_CHUNK_BYTES = 128 * 1024
# So few at a time unpack to 33 MB at worst, whatever a hostile file holds.
_ZSTD_BYTES = 1024


ENCODINGS = (
    *((b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")),
    *((b"{\0\0\0", "utf-32-le"), (b"[\0\0\0", "utf-32-le"), (b"\0\0\0{", "utf-32-be"), (b"\0\0\0[", "utf-32-be")),
    *((b"{\0", "utf-16-le"), (b"[\0", "utf-16-le"), (b"\0{", "utf-16-be"), (b"\0[", "utf-16-be")),
)
"""How JSON in another encoding than UTF-8 begins, with its mark and without; what is longer comes first."""


class DamagedInput(IngestError):
    """A file is damaged, cut short or of another kind than it seemed; what came out before that is good."""


def decompressed(file: BinaryIO) -> BinaryIO:
    """Return what `file` holds, unpacked where its first bytes say so. Reading it may raise DamagedInput."""
    for _ in range(_MOST_LAYERS):
        first, file = _looked_at(file)
        unpack = next((unpack for magic, unpack in _UNPACK if first.startswith(magic)), None)
        if unpack is None:
            break
        file = _file_of(unpack(file))
    return file


def what_is(first: bytes) -> str:
    """Say what a file is that begins like this and is no text, and what to do with it."""
    if first[257:262] == b"ustar":
        return "it is a tar archive. Queue its contents: tar -xOf FILE | roark-ingest enqueue"
    for magic, words in _ARCHIVES:
        if first.startswith(magic):
            return words
    return "it is not UTF-8 text (a recording? an unknown compression?)"


_ARCHIVES = (
    (b"PK\x03\x04", "it is a zip archive. Queue its contents: unzip -p FILE | roark-ingest enqueue"),
    (b"7z\xbc\xaf", "it is a 7z archive. Queue its contents: 7z x -so FILE | roark-ingest enqueue"),
    (b"\x04\x22\x4d\x18", "it is compressed with lz4. Queue its contents: lz4cat FILE | roark-ingest enqueue"),
    (b"PAR1", "it is a Parquet file. Convert it to NDJSON or CSV first"),
    (b"Obj\x01", "it is an Avro file. Convert it to NDJSON first"),
)


def _looked_at(file: BinaryIO) -> tuple[bytes, BinaryIO]:
    """Return the first bytes, and a file that has them still."""
    # A pipe's writer may pause: no more is waited for than is looked at.
    read: Callable[[int], bytes] = getattr(file, "read1", file.read)
    first = b""
    while len(first) < _LOOKED_AT and (more := read(_LOOKED_AT - len(first))):
        first += more
    return first, _file_of(chain((first,), iter(lambda: read(_CHUNK_BYTES), b"")))


def _file_of(pieces: Iterator[bytes]) -> BinaryIO:
    return cast("BinaryIO", io.BufferedReader(_Pieces(pieces), _CHUNK_BYTES))


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
            while piece := unpacked.read1(_CHUNK_BYTES):
                yield piece
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DamagedInput(f"the gzip file is damaged or truncated ({type(error).__name__})") from error


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
        raise DamagedInput("the zstd file is truncated")


def _unbzip2(file: BinaryIO) -> Iterator[bytes]:
    try:
        with bz2.BZ2File(file) as unpacked:
            while piece := unpacked.read1(_CHUNK_BYTES):
                yield piece
    except (EOFError, OSError, ValueError) as error:
        raise DamagedInput(f"the bzip2 file is damaged or truncated ({type(error).__name__})") from error


def _unxz(file: BinaryIO) -> Iterator[bytes]:
    try:
        with lzma.LZMAFile(file) as unpacked:
            while piece := unpacked.read1(_CHUNK_BYTES):
                yield piece
    except (EOFError, lzma.LZMAError) as error:
        raise DamagedInput(f"the xz file is damaged or truncated ({type(error).__name__})") from error


def _in_utf_8(encoding: str, file: BinaryIO) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        while piece := file.read(_CHUNK_BYTES):
            yield decoder.decode(piece).encode()
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError as error:
        raise DamagedInput(f"it starts like {encoding.upper()} but is not") from error


_UNPACK: tuple[tuple[bytes, Callable[[BinaryIO], Iterator[bytes]]], ...] = (
    (b"\x1f\x8b", _gunzip),
    (b"\x28\xb5\x2f\xfd", _unzstd),
    (b"BZh", _unbzip2),
    (b"\xfd7zXZ\0", _unxz),
    *((begin, partial(_in_utf_8, encoding)) for begin, encoding in ENCODINGS),
)
_LOOKED_AT = 6
_MOST_LAYERS = 4


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
