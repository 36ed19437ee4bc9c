"""The fingerprint of a report: equal for repeats, another one for another report. Pure.

It is XXH3 (72 bits) of the payload's bytes without some members, so nothing is parsed for it. XXH3 tells apart what
differs by chance, in a tenth of SHA-256's time; nobody gains by two reports of one call that are taken for one, as only
who may send the first one can send the second.
"""

import base64
import re
from collections.abc import Mapping

import msgspec
import xxhash

Members = Mapping[str, bytes]

_BYTES = 9
_OPENING_BRACE, _COMMA = b"{,"
# A blank behind the first brace, around the first colon, or behind the first comma.
_LAID_OUT = re.compile(rb'\{\s|\{"[^"]*"(?:\s|:\s|:[^"\[{,]*,\s|:"[^"]*",\s)')
_BEHIND_A_VALUE = frozenset(b",} \t\n\r")


def fingerprint(payload: bytes, made_anew: Members) -> str:
    """Return 12 characters, equal for reports that differ in nothing but `made_anew` and their layout.

    `made_anew` are members: name → value as it stands in the payload.
    """
    payload, made_anew = _without_layout(payload, made_anew)
    digest = xxhash.xxh3_128()
    view, at, kept = memoryview(payload), 0, 0
    for start, end in (*_spans(payload, made_anew), (len(payload), len(payload))):
        if kept == _OPENING_BRACE and payload[at] == _COMMA:
            # What was left out stood first.
            at += 1
        if start > at:
            digest.update(view[at:start])
            kept = payload[start - 1]
        at = max(at, end)
    return base64.urlsafe_b64encode(digest.digest()[:_BYTES]).decode()


def _spans(payload: bytes, made_anew: Members) -> list[tuple[int, int]]:
    # Where the same name and value stand elsewhere before, that place is left out; a name written with escapes is not
    # found. A repeat is taken for another report then, and kept.
    spans: list[tuple[int, int]] = []
    end = 0
    for name, value in made_anew.items():
        member = b'"' + name.encode("utf-8", "surrogatepass") + b'":' + value
        # They mostly stand one behind the other, and to look is much quicker than to search.
        start = end + 1 if payload.startswith(member, end + 1) else payload.find(member)
        while start >= 0 and payload[start + len(member)] not in _BEHIND_A_VALUE:
            start = payload.find(member, start + 1)
        if start < 0:
            continue
        first = start - 1 if payload[start - 1] == _COMMA else start
        if spans and first == end:
            first, _ = spans.pop()
        end = start + len(member)
        spans.append((first, end))
    return sorted(spans)


def _without_layout(payload: bytes, made_anew: Members) -> tuple[bytes, Members]:
    # Printers put blanks everywhere or nowhere, so the beginning tells. Vapi's reports have none, and are spared this.
    if not _LAID_OUT.match(payload):
        return payload, made_anew
    return _compact(payload), {name: _compact(value) for name, value in made_anew.items()}


def _compact(value: bytes) -> bytes:
    try:
        return msgspec.json.format(value, indent=-1)
    except msgspec.DecodeError:
        return value
