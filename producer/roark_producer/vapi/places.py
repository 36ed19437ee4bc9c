"""Where in a document a message stands: `payload.message`, `data[].attributes.message`, `Records[].body`.

    .name    a member; `"na.me"` where the name itself has a dot or a bracket
    []       each element of an array

A string on the way, or at the end, is read as JSON, and as base64 of JSON where it is none, packed with gzip or not:
that is how logs, queues and tables keep a document in a document. What is found are the bytes that stand there, never
printed anew.
"""

import base64
import binascii
import re
import zlib
from urllib.parse import parse_qsl

import msgspec

from roark_ledger.errors import InvalidReport
from roark_producer.vapi.slices import members

EACH = "[]"
_STEP = re.compile(r'\.?(?:"([^"]+)"|([^.\[\]"]+))|(\[\])')
_elements = msgspec.json.Decoder(list[msgspec.Raw])
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]+={0,2}")
_FORM = re.compile(rb"[A-Za-z_][\w.-]*=(?:[^&{\s]*&[\w.-]+=)*\s*(?:%7B|%5B|\{|\[)", re.IGNORECASE)
_GZIP = b"\x1f\x8b"
# JSON of calls is packed to a tenth; so much and no more comes of a bomb.
_MOST_TIMES, _MOST_BYTES = 40, 32_000_000


def parse_place(text: str) -> tuple[str, ...]:
    """Return the steps of a place. Raises ValueError when it is none."""
    steps: list[str] = []
    at = 0
    text = text.strip().removeprefix("$")
    if text == ".":
        return ()
    while at < len(text):
        found = _STEP.match(text, at)
        if not found:
            raise ValueError(f"it is not a valid path from character {at + 1} on")
        steps.append(found[1] or found[2] or EACH)
        at = found.end()
    if not steps:
        raise ValueError("it is empty")
    return tuple(steps)


def found_at(document: bytes, place: tuple[str, ...]) -> list[bytes]:
    """Return what stands at `place`: one piece of JSON, or one for each element on the way.

    An array at the end counts as its elements. Where nothing stands there, the list is empty.
    """
    found = [opened_text(document.strip())]
    for number, step in enumerate(place):
        following: list[bytes] = []
        for value in map(opened_string, found):
            if step == EACH:
                # A file that is an array has been cut into its elements already.
                following += [value] if number == 0 and value[:1] == b"{" else _each(value)
            elif inner := _members(value).get(step):
                following.append(inner)
        found = following
    pieces = [piece for value in found for piece in _spread(opened_string(value))]
    # Beside what is meant, an array may hold a time or a name, as Loki's do.
    return [piece for piece in pieces if piece[:1] == b"{"] or [piece for piece in pieces if piece != b"null"]


def _spread(value: bytes) -> list[bytes]:
    return list(map(opened_string, _each(value))) if value[:1] == b"[" else [value]


def opened_text(text: bytes) -> bytes:
    """Return the document that a text is made of: JSON in a string, base64 of JSON, the one field of a form with JSON.

    Where it is none of these, the text itself.
    """
    if text[:1] in {b"{", b"["}:
        return text
    if text[:1] == b'"':
        return opened_string(text)
    return _from_base64(text) or _from_form(text) or text


def _from_form(text: bytes) -> bytes:
    if not _FORM.match(text):
        return b""
    try:
        values = [value.strip() for _, value in parse_qsl(text.decode(), errors="strict")]
    except UnicodeDecodeError:
        return b""
    found = [value for value in values if value.startswith(("{", "["))]
    return found[0].encode() if len(found) == 1 else b""


def opened_string(value: bytes) -> bytes:
    """Return the JSON that stands in a JSON string, or the value itself where that is none."""
    value = value.strip()
    if value[:1] != b'"':
        return value
    try:
        text = msgspec.json.decode(value, type=str).encode("utf-8").strip().removeprefix(b"\xef\xbb\xbf")
    except (msgspec.DecodeError, UnicodeError):
        return value
    if text[:1] in {b"{", b"["}:
        return text
    if text[:1] == b'"' and len(text) < len(value):
        return opened_string(text)
    return _from_base64(text) or value


def _from_base64(text: bytes) -> bytes:
    # The first letters of base64 of `{"`, `{` and a blank or line end, `[`, and of gzip.
    if not text.startswith((b"ey", b"ew", b"Ww", b"W3", b"H4sI")) or not _BASE64.fullmatch(text):
        return b""
    try:
        found = base64.b64decode(
            text + b"=" * (-len(text) % 4), altchars=b"-_" if b"-" in text or b"_" in text else None
        )
    except binascii.Error:
        return b""
    found = (_gunzipped(found) if found.startswith(_GZIP) else found).strip()
    return found if found[:1] in {b"{", b"["} else b""


def _gunzipped(packed: bytes) -> bytes:
    member = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        found = member.decompress(packed, min(_MOST_TIMES * len(packed), _MOST_BYTES))
    except zlib.error:
        return b""
    return found if member.eof else b""


def _members(value: bytes) -> dict[str, bytes]:
    try:
        return members(value, "body") if value[:1] == b"{" else {}
    except InvalidReport:
        return {}


def _each(value: bytes) -> list[bytes]:
    try:
        return [bytes(element) for element in _elements.decode(value)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []


def named(steps: tuple[str, ...]) -> str:
    """Return a place as people write it. A name that may tell of a person is left out."""
    text = ""
    for step in steps:
        if step == EACH:
            text += EACH
        elif _PLAIN_NAME.fullmatch(step) and not _NUMBER.search(step):
            text += f".{step}"
        elif _NUMBER.search(step) or len(step) > _LONGEST_NAME or not step.isprintable() or '"' in step:
            text += '."…"'
        else:
            text += f'."{step}"'
    return text or "."


_LONGEST_NAME = 60
_PLAIN_NAME = re.compile(rf"[A-Za-z_$@][\w$@-]{{0,{_LONGEST_NAME}}}", re.ASCII)
_NUMBER = re.compile(r"\d{5}|[\w.]+@[\w.]+")
