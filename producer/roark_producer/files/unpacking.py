"""A packed body, unpacked within a bound: what `Content-Encoding` names, and gzip or zstd by its first bytes; in UTF-8.

Senders are believed less than their bytes: a proxy may have unpacked a body and left the header, and a shipper may
pack without saying so. A body that is text already stays as it is; a coding that nobody knows counts as none. JSON is
in UTF-8 (RFC 8259, 8.1); UTF-16 and UTF-32 are known by their first bytes, and a `charset` of one byte a letter is
believed where the text is no UTF-8.
"""

import re
import zlib
from collections.abc import Callable, Iterator, Sequence

import brotli
import zstandard

from roark_ledger.errors import InvalidReport, TooLarge
from roark_producer.files.compression import ENCODINGS

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_MOST_LAYERS = 3
_PIECE_BYTES = 64 * 1024
# So few at a time unpack to 33 MB at worst, whatever a hostile body holds.
_ZSTD_PIECE_BYTES = 1024
_ZSTD_WINDOW_BYTES = 128 * 1024 * 1024
_EITHER_ZLIB_OR_GZIP, _RAW_DEFLATE = 32 + zlib.MAX_WBITS, -zlib.MAX_WBITS
_TEXT_BEGINS = (b"{", b"[", b"\xef\xbb\xbf{", b"\xef\xbb\xbf[")

Unpack = Callable[[bytes], Iterator[bytes]]


class _Damaged(Exception):
    """It is not packed like this, or was cut short."""


def is_packed(body: bytes) -> bool:
    """Say whether a body begins as gzip or zstd does."""
    return body.startswith((_GZIP, _ZSTD))


def charset_of(content_type: bytes) -> str:
    """Return the charset of one byte a letter that a Content-Type names, "" where it names none or another."""
    found = _CHARSET.search(content_type)
    return found[1].decode().lower() if found else ""


def encoding_of(body: bytes, charset: str = "") -> str:
    """Return what a text is written in where that is not UTF-8, else ""."""
    if found := next((encoding for begin, encoding in ENCODINGS if body.startswith(begin)), ""):
        return found
    if not charset or body.isascii():
        return ""
    try:
        body.decode()
    except UnicodeDecodeError:
        return charset
    return ""


def in_utf_8(body: bytes, charset: str = "") -> bytes:
    """Return a text in UTF-8, or as it is where it cannot be read."""
    try:
        return body.decode(encoding).encode() if (encoding := encoding_of(body, charset)) else body
    except (UnicodeError, LookupError):
        return body


_CHARSET = re.compile(rb"charset=\"?(iso-8859-\d{1,2}|latin-?1|(?:windows-|cp)125\d)\b", re.IGNORECASE)


def unpacked(body: bytes, codings: Sequence[str] = (), *, most_bytes: int) -> bytes:
    """Return what the body holds. `codings` in the order in which they were applied, as in Content-Encoding.

    Raises TooLarge as soon as it would have more than `most_bytes`, InvalidReport when it is damaged.
    """
    for coding in [each for each in reversed(codings) if each in _BY_CODING][:_MOST_LAYERS]:
        if not body.lstrip().startswith(_TEXT_BEGINS) or coding == "br":
            body = _tried(body, coding, most_bytes)
    for _ in range(_MOST_LAYERS):
        if not is_packed(body):
            break
        body = _bounded(_gunzipped if body.startswith(_GZIP) else _unzstd, body, most_bytes)
    return body


def _tried(body: bytes, coding: str, most_bytes: int) -> bytes:
    for unpack in _BY_CODING[coding]:
        try:
            return _joined(unpack(body), most_bytes)
        except _Damaged:
            continue
    if is_packed(body) or body.lstrip().startswith(_TEXT_BEGINS):
        return body
    raise InvalidReport("body", f"is not {coding}, although its Content-Encoding says so, or was truncated")


def _bounded(unpack: Unpack, body: bytes, most_bytes: int) -> bytes:
    try:
        return _joined(unpack(body), most_bytes)
    except _Damaged:
        raise InvalidReport("body", "is compressed, but damaged or truncated") from None


def _joined(pieces: Iterator[bytes], most_bytes: int) -> bytes:
    found: list[bytes] = []
    size = 0
    for piece in pieces:
        found.append(piece)
        size += len(piece)
        if size > most_bytes:
            raise TooLarge(
                "body", f"has more than {most_bytes} bytes decompressed; ROARK_INGEST_MAX_REPORT_BYTES is {most_bytes}"
            )
    return b"".join(found)


def _inflated(body: bytes, window: int) -> Iterator[bytes]:
    rest = body
    while rest:
        member = zlib.decompressobj(window)
        packed = rest
        while packed and not member.eof:
            try:
                yield member.decompress(packed, _PIECE_BYTES)
            except zlib.error:
                raise _Damaged from None
            packed = member.unconsumed_tail
        if not member.eof:
            raise _Damaged
        # Zeros behind the last member are padding.
        rest = member.unused_data.lstrip(b"\0") if window == _EITHER_ZLIB_OR_GZIP else b""


def _gunzipped(body: bytes) -> Iterator[bytes]:
    return _inflated(body, _EITHER_ZLIB_OR_GZIP)


def _raw_deflated(body: bytes) -> Iterator[bytes]:
    return _inflated(body, _RAW_DEFLATE)


def _unzstd(body: bytes) -> Iterator[bytes]:
    frame: zstandard.ZstdDecompressionObj | None = None
    unpacker = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
    for start in range(0, len(body), _ZSTD_PIECE_BYTES):
        packed = body[start : start + _ZSTD_PIECE_BYTES]
        while packed:
            frame = frame or unpacker.decompressobj()
            try:
                yield frame.decompress(packed)
            except zstandard.ZstdError:
                raise _Damaged from None
            packed = frame.unused_data if frame.eof else b""
            frame = None if frame.eof else frame
    if frame or not body:
        raise _Damaged


def _unbrotli(body: bytes) -> Iterator[bytes]:
    unpacker = brotli.Decompressor()
    try:
        yield unpacker.process(body, output_buffer_limit=_PIECE_BYTES)
        while not unpacker.is_finished() and (piece := unpacker.process(b"", output_buffer_limit=_PIECE_BYTES)):
            yield piece
    except brotli.error:
        raise _Damaged from None
    if not unpacker.is_finished():
        raise _Damaged


_BY_CODING: dict[str, tuple[Unpack, ...]] = {
    "gzip": (_gunzipped,),
    "x-gzip": (_gunzipped,),
    # RFC 9110, 8.4.1.2: zlib's format, though some senders leave its frame out.
    "deflate": (_gunzipped, _raw_deflated),
    "br": (_unbrotli,),
    "zstd": (_unzstd,),
}
