"""How a report lies in Redis: its properties as they are, its payload compressed.

    packed = head (4 bytes, big-endian) + trace (25 bytes or none) + properties (JSON object or none) + zstd(payload)
             + end of the call (4 letters and 8 bytes, or none) + checksum (8 bytes, XXH3 of all before it)

The head is the length of the properties; its highest bit says that a trace's context is there (see `tracing.py`), the
next one that there is a checksum. Where there is none, an earlier version has packed it and zstd has one of its own,
of the payload: that took a tenth of the time of packing, and as much again in the worker.

The four bits below are for versions to come, which keep the checksum: what sets one of them and is whole was not
damaged, but packed by a newer version (`NewerPayload`). It is to wait for one that reads it.

When the call ended (Unix ms) is there for reports that came soon after it: they are due at Roark in time. It stands
behind the payload's frame, where earlier versions do not look.

The payload is the sender's own bytes and comes back as such, or not at all. Reports compress 6 to 10 times. Measured
for 57 kB at the median: level 1 as zstd sets it for megabytes, but with a table that the processor's first cache holds,
88 us and 10.1 kB; level 1 as it sets it for a text of that size, 98 us and 9.7 kB; level 3 saves 3 % more for a third
more time.
"""

import struct
import threading
from typing import NamedTuple

import xxhash
import zstandard

from roark_ledger.errors import IngestError

TRACE_BYTES = 25
_HEAD = struct.Struct(">I")
_END, _END_MARK = struct.Struct(">4sQ"), b"ENDS"
_TRACED, _CHECKED = 1 << 31, 1 << 30
_LATER = 0b1111 << 26
_CHECKSUM_BYTES = 8
_FRAME_HEADER_BYTES = 18
_HOW = zstandard.ZstdCompressionParameters.from_level(1, source_size=1 << 20, hash_log=13)
_local = threading.local()


class Unpacked(NamedTuple):
    """A report as it came: payload and properties are JSON; properties are empty when there are none."""

    payload: bytes
    properties: bytes


class DamagedPayload(IngestError):
    """What lies in Redis is not what was packed."""


class NewerPayload(DamagedPayload):
    """What lies in Redis is whole, and only a newer version can read it."""


def pack(payload: bytes, properties: bytes = b"", trace: bytes = b"", ended_ms: int = 0) -> bytes:
    """Return `payload` and `properties` in the form that the ledger keeps; `trace` has 25 bytes or none."""
    head = len(properties) | _CHECKED | (_TRACED if trace else 0)
    end = _END.pack(_END_MARK, ended_ms) if ended_ms > 0 else b""
    packed = b"".join((_HEAD.pack(head), trace, properties, _compressor().compress(payload), end))
    return packed + xxhash.xxh3_64_digest(packed)


def unpack(packed: bytes) -> Unpacked:
    """Return what `pack` was given.

    Raises DamagedPayload when the bytes were not made by `pack`, NewerPayload when a newer version made them.
    """
    try:
        (head,) = _HEAD.unpack_from(packed)
        if head & _CHECKED:
            packed = _checked(packed)
            if head & _LATER:
                raise NewerPayload("a stored payload was packed by a newer version of roark-ingest")
        first = _HEAD.size + (TRACE_BYTES if head & _TRACED else 0)
        start = first + (head & ~(_TRACED | _CHECKED))
        return Unpacked(_decompressor().decompress(packed[start:]), packed[first:start])
    except (struct.error, zstandard.ZstdError, MemoryError) as error:
        # MemoryError: a damaged header may promise any size.
        raise DamagedPayload(f"a stored payload cannot be read: {error}") from error


def check(packed: bytes) -> None:
    """Raise DamagedPayload when there is a checksum and it is wrong."""
    if packed[0] << 24 & _CHECKED:
        _checked(packed)


def payload_size(packed: bytes) -> int:
    """Return the length of the payload as the head promises it, without unpacking; 0 where it promises none."""
    try:
        (head,) = _HEAD.unpack_from(packed)
        start = _HEAD.size + (TRACE_BYTES if head & _TRACED else 0) + (head & ~(_TRACED | _CHECKED))
        return max(0, zstandard.frame_content_size(packed[start : start + _FRAME_HEADER_BYTES]))
    except (struct.error, zstandard.ZstdError):
        return 0


def _checked(packed: bytes) -> bytes:
    whole, checksum = packed[:-_CHECKSUM_BYTES], packed[-_CHECKSUM_BYTES:]
    if xxhash.xxh3_64_digest(whole) != checksum:
        raise DamagedPayload("a stored payload cannot be read: its checksum is wrong")
    return whole


def trace_of(packed: bytes) -> bytes:
    """Return the trace's context that was kept with a report, empty where none was. Costs next to nothing."""
    is_traced = len(packed) >= _HEAD.size + TRACE_BYTES and packed[0] & 0x80 and not packed[0] & _LATER >> 24
    return packed[_HEAD.size : _HEAD.size + TRACE_BYTES] if is_traced else b""


def ended_ms_of(packed: bytes) -> int:
    """Return when the call ended (Unix ms), 0 where that was not kept. Costs next to nothing."""
    end = packed[-_END.size - _CHECKSUM_BYTES : -_CHECKSUM_BYTES]
    if len(end) < _END.size or not packed[0] & _CHECKED >> 24:
        return 0
    mark, ended_ms = _END.unpack(end)
    return int(ended_ms) if mark == _END_MARK else 0


def _compressor() -> zstandard.ZstdCompressor:
    # zstandard's objects must not be shared between threads, and cost too much to make for each report.
    if not hasattr(_local, "compressor"):
        _local.compressor = zstandard.ZstdCompressor(compression_params=_HOW)
    compressor: zstandard.ZstdCompressor = _local.compressor
    return compressor


def _decompressor() -> zstandard.ZstdDecompressor:
    if not hasattr(_local, "decompressor"):
        _local.decompressor = zstandard.ZstdDecompressor()
    decompressor: zstandard.ZstdDecompressor = _local.decompressor
    return decompressor
