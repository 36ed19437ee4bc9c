"""Looks into JSON text and changes places in it without parsing and printing the rest: that stays byte for byte.

    span = find(text, ("artifact", "messages", "0", "time"))
    text = text[: span.start] + b"12.5" + text[span.end :]

A place is named by steps: a member's name, or an element's number. Steps are read from a JSON pointer
(`/artifact/messages/0/time`, RFC 6901) or from a path (`artifact.messages[0].time`). Of members with the same name the
last one counts, as in every common parser. The text must be JSON: `require_json` says whether it is. Pure.
"""

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

from roark_ledger.errors import InvalidReport
from roark_producer.vapi.slices import members

Steps = tuple[str, ...]

_BLANKS = b" \t\r\n"
_SPACE = re.compile(rb"[ \t\r\n]*")
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_SCALAR = re.compile(rb'[^ \t\r\n,\[\]{}":]++')
# Everything up to the next bracket, whole strings included.
_TO_BRACKET = re.compile(rb'[^"{}\[\]]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^"{}\[\]]*+)*+', re.DOTALL)
_OPENING, _CLOSING = frozenset(b"{["), frozenset(b"}]")
_INDEX = re.compile(r"0|[1-9]\d*")
_PATH_STEP = re.compile(r"\[(\d+)\]|\.?([^.\[\]]+)")
_INDENT = b"  "


class NoSuchPlace(Exception):
    """The text has no such place; the message names it."""


class Span(NamedTuple):
    """Where a value stands: `text[start:end]`."""

    start: int
    end: int


class Child(NamedTuple):
    """A member or an element. `from_` is where its name begins, or the value itself in an array."""

    name: str
    from_: int
    start: int
    end: int


def require_json(text: bytes, field: str) -> None:
    """Return when `text` is one JSON value in UTF-8.

    Raises InvalidReport that names `field` and the place.
    """
    try:
        text.decode()
    except UnicodeDecodeError as error:
        raise InvalidReport(field, f"is not UTF-8 (byte {error.start})") from None
    # As a member of an object it goes through the reader that takes what Vapi sends.
    if members(b'{"value":' + text + b"}", field).get("value") != text.strip(_BLANKS):
        raise InvalidReport(field, "is not one JSON value")


def pointer_steps(pointer: str) -> Steps:
    """Return the steps of a JSON pointer.

    Raises ValueError when it is none.
    """
    if not pointer:
        return ()
    if pointer[0] != "/" or re.search(r"~(?![01])", pointer):
        raise ValueError(f"{pointer} is not a JSON pointer")
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in pointer[1:].split("/"))


def path_steps(path: str) -> Steps:
    """Return the steps of a path such as `artifact.messages[0].time`, or of a JSON pointer.

    Raises ValueError when it is neither.
    """
    if path.startswith("/"):
        return pointer_steps(path)
    steps, at = [], 0
    while at < len(path):
        match = _PATH_STEP.match(path, at)
        if match is None or (at == 0 and path[0] == "."):
            raise ValueError(f"{path} is not a path; try artifact.messages[0].time or /artifact/messages/0/time")
        steps.append(match[1] or match[2])
        at = match.end()
    if not steps:
        raise ValueError("the path is empty")
    return tuple(steps)


def pointer(steps: Steps) -> str:
    """Return the JSON pointer of a place."""
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)


def whole(text: bytes) -> Span:
    """Return where the whole value stands, without the blanks around it."""
    start = _skip_space(text, 0)
    return Span(start, _end_of(text, start))


def find(text: bytes, steps: Steps) -> Span:
    """Return where the value of a place stands.

    Raises NoSuchPlace.
    """
    found = whole(text)
    for depth, step in enumerate(steps):
        child = child_of(text, found.start, step)
        if child is None:
            raise NoSuchPlace(pointer(steps[: depth + 1]))
        found = Span(child.start, child.end)
    return found


def child_of(text: bytes, start: int, step: str) -> Child | None:
    """Return the member or element that `step` names in what begins at `start`, None where there is none."""
    if text[start : start + 1] == b"[" and not _INDEX.fullmatch(step):
        return None
    found = None
    for child in children(text, start):
        if child.name == step:
            found = child
    return found


def children(text: bytes, start: int) -> Iterator[Child]:
    """Yield the members of the object, or the elements of the array, that begins at `start`; a scalar has none."""
    is_object = text[start : start + 1] == b"{"
    if not is_object and text[start : start + 1] != b"[":
        return
    at = _skip_space(text, start + 1)
    number = 0
    while text[at] not in _CLOSING:
        from_, name = at, str(number)
        if is_object:
            name_end = _end_of(text, at)
            name = string_at(text[at:name_end])
            # Behind the name stand a colon and blanks.
            at = _skip_space(text, _skip_space(text, name_end) + 1)
        end = _end_of(text, at)
        yield Child(name, from_, at, end)
        at = _skip_space(text, end)
        if text[at : at + 1] == b",":
            at = _skip_space(text, at + 1)
        number += 1


def string_at(text: bytes) -> str:
    """Return what a JSON string says."""
    found: str = json.loads(text)
    return found


def string_text(value: str) -> bytes:
    """Return a JSON string that says `value`; what UTF-8 cannot hold is escaped, all else stands as it is."""
    text = json.dumps(value, ensure_ascii=False)
    return re.sub("[\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text).encode()


def is_container(text: bytes) -> bool:
    """Say whether a value is an object or an array."""
    return text[:1] in {b"{", b"["}


def pretty(text: bytes) -> bytes:
    """Return the text over several lines, for a person: names, strings and numbers as they stand, blanks anew.

    Raises RecursionError where it is nested very deep.
    """
    return b"".join(_pretty(text, whole(text).start, b"\n")) + b"\n"


def _pretty(text: bytes, start: int, line: bytes) -> Iterator[bytes]:
    if not is_container(text[start : start + 1]):
        yield text[start : _end_of(text, start)]
        return
    opening, closing = (b"{", b"}") if text[start : start + 1] == b"{" else (b"[", b"]")
    is_first = True
    yield opening
    for child in children(text, start):
        yield line + _INDENT if is_first else b"," + line + _INDENT
        if child.from_ != child.start:
            yield text[child.from_ : _end_of(text, child.from_)] + b": "
        yield from _pretty(text, child.start, line + _INDENT)
        is_first = False
    yield closing if is_first else line + closing


def _end_of(text: bytes, start: int) -> int:
    first = text[start]
    if first not in _OPENING:
        match = (_STRING if first == ord('"') else _SCALAR).match(text, start)
        if match is None:
            raise ValueError(f"no JSON value at byte {start}")
        return match.end()
    depth, at = 1, start + 1
    while depth:
        match = _TO_BRACKET.match(text, at)
        at = match.end() if match else at
        depth += 1 if text[at] in _OPENING else -1
        at += 1
    return at


def _skip_space(text: bytes, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at
