"""Bodies that no sender should send: real-looking reports, changed in one or several of the ways that hurt parsers."""

import gzip
import json
import random
import re
from collections.abc import Callable, Iterator

from roark_samples import sample_reports

_BITS = (
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b"\\",
    b",",
    b":",
    b"null",
    b"true",
    b"\\ud800",
    b"\\udc00\\ud800",
    b"\\u0000",
    b"\xed\xa0\x80",
    b"\xff",
    b"\xc0\x80",
    b"\xf4\x90\x80\x80",
    b"\x00",
    b"1e999",
    b"-",
    b"NaN",
    b"-Infinity",
    b"\r\n\t ",
    b"\xef\xbb\xbf",
    b"/*",
    b"\x1b",
)
_IDS = (
    b"null",
    b"7",
    b"1e400",
    b"true",
    b"[]",
    b'{"id": "x"}',
    b'""',
    b'" "',
    b'"' + b"x" * 10_000 + b'"',
    b'"\\u0000"',
    b'"\\ud800"',
    b'"a\\nb"',
    b'"\x01"',
    b'"\xc3\xa9"',
    b'"' + b"\\u0041" * 200 + b'"',
    b'"../../etc"',
    b'"{roark}:v1:records"',
    b'"\x7f"',
    b'"%s %d"',
)
_NUMBERS = (
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"1e400",
    b"-1e-400",
    b"9" * 400,
    b"0" * 30,
    b"-0",
    b"01",
    b"1.",
    b".5",
    b"+1",
    b"0x10",
    b"12345678901234567890.123456789",
)
_CALL_ID = re.compile(rb'"id":\s*"[^"]*"')
_NUMBER = re.compile(rb"(?<=[:\[,])\s*-?\d+(?:\.\d+)?")
_AFTER_BRACE = re.compile(rb"\{")

Mutation = Callable[[random.Random, bytes], bytes]


def samples(chance: random.Random) -> list[bytes]:
    """Reports as they come, wrapped and bare: many small ones, a few as large as usual."""
    found = []
    for sample in sample_reports(12, seed=chance.randrange(1000), odd=0.5, dup=0):
        body = sample.body(wrap=True)
        found.append(body)
        message = json.loads(body)["message"] | {"type": "end-of-call-report"}
        small = {name: value for name, value in message.items() if len(json.dumps(value)) < 600}
        small["call"] = {"id": f"call-{chance.getrandbits(64):x}", "metadata": {"tenant": "a"}}
        small["artifact"] = {"transcript": "AI: Grüße \U0001f600", "presignedUrlsExpiresAt": "2026-01-01T00:00:00Z"}
        for _ in range(8):
            found.append(json.dumps({"message": small}, ensure_ascii=chance.random() < 0.5).encode())
            found.append(json.dumps(small).encode())
    return found


def bodies(chance: random.Random) -> Iterator[bytes]:
    """Yield bodies without end; nine of ten are mutated."""
    known = samples(chance)
    while True:
        body = chance.choice(known)
        for _ in range(chance.choice((0, 1, 1, 1, 2, 2, 3))):
            body = chance.choices(_WAYS, _WEIGHTS)[0](chance, body)
        yield body


def _flip(chance: random.Random, body: bytes) -> bytes:
    changed = bytearray(body or b" ")
    for _ in range(chance.randint(1, 4)):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def _insert(chance: random.Random, body: bytes) -> bytes:
    at = chance.randint(0, len(body))
    return body[:at] + chance.choice(_BITS) * chance.choice((1, 1, 1, 2, 50)) + body[at:]


def _cut(chance: random.Random, body: bytes) -> bytes:
    at = chance.randint(0, len(body))
    return chance.choice((body[:at], body[at:], body[:at] + body[at + chance.randint(1, 200) :]))


def _repeat(chance: random.Random, body: bytes) -> bytes:
    at = chance.randint(0, len(body))
    end = at + chance.randint(0, 200)
    return body[:end] + body[at:end] * chance.choice((1, 1, 5)) + body[end:]


def _id(chance: random.Random, body: bytes) -> bytes:
    return _replaced_once(chance, _CALL_ID, body, b'"id":' + chance.choice(_IDS))


def _number(chance: random.Random, body: bytes) -> bytes:
    return _replaced_once(chance, _NUMBER, body, chance.choice(_NUMBERS))


def _duplicate_key(chance: random.Random, body: bytes) -> bytes:
    name = chance.choice((b'"call"', b'"type"', b'"message"', b'"id"', b'"artifact"', b'"\\u0069d"', b'"__proto__"'))
    value = chance.choice((b'{"id":"other"}', b'"end-of-call-report"', b'"status-update"', b"null", b"1", b"[]"))
    return _replaced_once(chance, _AFTER_BRACE, body, b"{" + name + b":" + value + b",")


def _nest(chance: random.Random, body: bytes) -> bytes:
    depth = chance.choice((10, 100, 500, 1200, 5000, 100_000) if chance.random() < 0.05 else (10, 100, 500))
    opening, closing = chance.choice(((b"[", b"]"), (b'{"a":', b"}")))
    ending = closing * depth if chance.random() < 0.7 else b""
    return _replaced_once(chance, _NUMBER, body, opening * depth + b"1" + ending)


def _encode(chance: random.Random, body: bytes) -> bytes:
    return body.decode("utf-8", "replace").encode(
        chance.choice(("utf-16", "utf-32", "utf-8-sig", "cp037", "utf-7")), "replace"
    )


def _compress(chance: random.Random, body: bytes) -> bytes:
    return gzip.compress(bytes(chance.choice((0, 1_000_000))) if chance.random() < 0.2 else body, 1)


def _wrap(chance: random.Random, body: bytes) -> bytes:
    before, after = chance.choice(
        (
            (b'{"message":', b"}"),
            (b"[", b"]"),
            (b'"', b'"'),
            (b'{"message":[', b"]}"),
            (b"\xef\xbb\xbf", b""),
            (b" \n", b" \x00"),
        )
    )
    return before + body + after


def _replaced_once(chance: random.Random, pattern: "re.Pattern[bytes]", body: bytes, by: bytes) -> bytes:
    places = [found.span() for found in pattern.finditer(body[:5000])]
    if not places:
        return body + by
    start, end = chance.choice(places)
    return body[:start] + by + body[end:]


_WAYS: tuple[Mutation, ...] = (
    _flip,
    _insert,
    _cut,
    _repeat,
    _id,
    _number,
    _duplicate_key,
    _nest,
    _encode,
    _compress,
    _wrap,
)
_WEIGHTS = (6, 8, 3, 3, 6, 4, 5, 2, 1, 1, 2)
