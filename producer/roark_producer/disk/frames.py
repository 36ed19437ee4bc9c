"""A spool's frames: how one request lies in a file, and what is found in a file that may be damaged. Pure.

    frame = b"RIS1" + length (4 bytes) + CRC-32 of the file's name and the rest (4 bytes) + zstd(JSON line + body)

A frame cut short at a file's end was never promised: it is left out. A damaged one is left out, counted and told, and
the rest is found again by the next frame's mark and checksum. The checksum is begun with the file's name, which no
sender knows (`salt`), so nobody can hide a frame in a report.
"""

import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
import zstandard

MARK = b"RIS1"
# What a later version writes begins with another digit, or has another suffix behind `.spool`: it is not touched here.
_LATER_MARK = re.compile(rb"RIS[2-9]")
HEAD = struct.Struct(">4sII")
_MOST_BYTES = 100_000_000
_LEVEL = 1


@dataclass(frozen=True, slots=True)
class Spooled:
    """One request as it came: its body, its query, when (Unix ms by this machine's clock), its trace's context."""

    body: bytes = field(repr=False)
    query: dict[str, str] = field(default_factory=dict, repr=False)
    received_ms: int = 0
    trace: bytes = b""


def frame_of(request: Spooled, salt: int) -> bytes:
    """Return a request as it lies in a file."""
    facts: dict[str, object] = {"query": request.query, "received_ms": request.received_ms}
    if request.trace:
        facts["trace"] = request.trace.hex()
    about = msgspec.json.encode(facts)
    packed = zstandard.ZstdCompressor(level=_LEVEL).compress(about + b"\n" + request.body)
    return _framed(packed, salt)


def frames_in(content: bytes, salt: int) -> tuple[list[bytes], int]:
    """Return what lies in the whole frames of a file, packed, in their order, and how many bytes are damaged."""
    found: list[bytes] = []
    at = damaged = 0
    while at < len(content):
        packed = _whole_frame(content, at, salt)
        if packed is not None:
            found.append(packed)
            at += HEAD.size + len(packed)
            continue
        following = content.find(MARK, at + 1)
        while following >= 0 and _whole_frame(content, following, salt) is None:
            following = content.find(MARK, following + 1)
        if following < 0:
            return found, damaged + (0 if _is_torn(content[at:]) else len(content) - at)
        damaged += following - at
        at = following
    return found, damaged


def unpacked(packed: bytes) -> Spooled:
    """Return the request. Raises whatever an unknown content makes of it."""
    text = zstandard.ZstdDecompressor().decompress(packed, max_output_size=_MOST_BYTES)
    about, _, body = text.partition(b"\n")
    facts = msgspec.json.decode(about)
    return Spooled(body, facts["query"], facts["received_ms"], bytes.fromhex(facts.get("trace", "")))


def without(content: bytes, salt: int, unwanted: Callable[[Spooled], bool]) -> tuple[bytes, int, int]:
    """Return a file without the unwanted requests, how many those are, and how many bytes could not be read."""
    packed, damaged = frames_in(content, salt)
    taken = 0
    for frame in packed:
        try:
            request = unpacked(frame)
        except Exception:  # noqa: BLE001 a frame that is whole and cannot be read stays, and is told
            damaged += len(frame)
            continue
        if unwanted(request):
            whole = _framed(frame, salt)
            content, taken = content.replace(whole, b"", 1), taken + 1
    return content, taken, damaged


def gaps(content: bytes, salt: int) -> int:
    """Return how many pieces of a file cannot be read: each was one report or more."""
    unread = at = 0
    for packed in frames_in(content, salt)[0]:
        whole = _framed(packed, salt)
        found = content.index(whole, at)
        unread += found > at
        at = found + len(whole)
        try:
            unpacked(packed)
        except Exception:  # noqa: BLE001 it is only counted
            unread += 1
    return unread + (at < len(content) and not _is_torn(content[at:]))


def is_later(content: bytes) -> bool:
    """Whether a newer version wrote this file."""
    return bool(_LATER_MARK.match(content))


def _is_torn(end: bytes) -> bool:
    """Whether this is the end of a frame that was cut short, which nobody was promised."""
    # Whoever wrote it had not answered yet. After a power cut what did not reach the disk may be there as zeros.
    if not end.strip(b"\0"):
        return True
    if len(end) < HEAD.size:
        return MARK.startswith(end[: len(MARK)])
    mark, length, _ = HEAD.unpack_from(end)
    return bool(mark == MARK and len(end) < HEAD.size + length)


def _whole_frame(content: bytes, at: int, salt: int) -> bytes | None:
    if at + HEAD.size > len(content):
        return None
    mark, length, checksum = HEAD.unpack_from(content, at)
    packed = content[at + HEAD.size : at + HEAD.size + length]
    if mark != MARK or len(packed) != length or zlib.crc32(packed, salt) != checksum:
        return None
    return packed


def _framed(packed: bytes, salt: int) -> bytes:
    return HEAD.pack(MARK, len(packed), zlib.crc32(packed, salt)) + packed
