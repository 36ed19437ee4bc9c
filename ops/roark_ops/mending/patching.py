"""Changes places in a JSON text and leaves every other byte as it is; and says what changed. Pure.

    patch = read_patch(b'[{"op": "replace", "path": "/endedAt", "value": 12345678901234567890}]')    # RFC 6902
    after = apply(before, patch)
    changes = difference(before, after)

What a step puts in is the bytes that the patch holds, so numbers of any size and odd escapes are put in as written.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from roark_ledger.errors import IngestError, InvalidReport
from roark_ops.mending import json_text
from roark_ops.mending.json_text import NoSuchPlace, Steps
from roark_producer.vapi.slices import members

_WITH_VALUE = frozenset({"add", "replace", "test"})
_WITH_FROM = frozenset({"move", "copy"})
_OPS = _WITH_VALUE | _WITH_FROM | {"remove"}
_LAST = "-"
_NUMBER = re.compile(rb"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_AS_FOUND = {
    "string": "a text",
    "number": "a number",
    "boolean": "true or false",
    "object": "an object",
    "array": "an array",
    "null": "null",
}


class PatchFailed(IngestError):
    """A patch cannot be read, or does not fit the text that it was to change; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a patch: `op` as RFC 6902 names it, the place, the value as JSON text, or the place it comes from.

    What no file can hold: `set` is to replace what stands in a place, or to add it where nothing does; `number`,
    `string`, `boolean` and `rename` are explained in `expressions.py`.
    """

    op: str
    place: Steps
    value: bytes = b""
    origin: Steps = ()


@dataclass(frozen=True, slots=True)
class Change:
    """A difference between two texts: what stood in a place (b"" for nothing), and what stands there now."""

    place: Steps
    before: bytes
    after: bytes

    @property
    def op(self) -> str:
        """What was done there: add, remove or replace."""
        if not self.before:
            return "add"
        return "replace" if self.after else "remove"


def read_patch(text: bytes) -> list[Step]:
    """Return the steps of a JSON patch (RFC 6902).

    Raises PatchFailed.
    """
    try:
        json_text.require_json(text, "patch")
    except InvalidReport as error:
        raise PatchFailed(str(error)) from None
    start = json_text.whole(text).start
    if text[start : start + 1] != b"[":
        raise PatchFailed("a JSON patch is an array of steps")
    elements = (text[child.start : child.end] for child in json_text.children(text, start))
    return [_read_step(number, element) for number, element in enumerate(elements, start=1)]


def _read_step(number: int, text: bytes) -> Step:
    try:
        given = members(text, f"step {number}")
    except InvalidReport as error:
        raise PatchFailed(str(error)) from None
    op = _text(number, given, "op")
    if op not in _OPS:
        raise PatchFailed(f"step {number}: op must be one of {', '.join(sorted(_OPS))}")
    if op in _WITH_VALUE and "value" not in given:
        raise PatchFailed(f"step {number}: value is missing")
    value = given["value"] if op in _WITH_VALUE else b""
    origin = _steps(number, given, "from") if op in _WITH_FROM else ()
    return Step(op, _steps(number, given, "path"), value, origin)


def _text(number: int, given: dict[str, bytes], name: str) -> str:
    value = given.get(name, b"")
    if value[:1] != b'"':
        raise PatchFailed(f"step {number}: {name} is {'not a string' if value else 'missing'}")
    return json_text.string_at(value)


def _steps(number: int, given: dict[str, bytes], name: str) -> Steps:
    try:
        return json_text.pointer_steps(_text(number, given, name))
    except ValueError as error:
        raise PatchFailed(f"step {number}: {error}") from None


def apply(text: bytes, patch: Sequence[Step]) -> bytes:
    """Return the text with the patch applied, wholly or not at all.

    Raises PatchFailed.
    """
    for number, step in enumerate(patch, start=1):
        try:
            text = _apply(text, step)
        except NoSuchPlace as error:
            raise PatchFailed(f"step {number} ({step.op}): nothing at {error}") from None
    return text


def _apply(text: bytes, step: Step) -> bytes:  # noqa: PLR0911 one for each op
    match step.op:
        case "add":
            return _add(text, step.place, step.value)
        case "remove":
            return _remove(text, step.place)
        case "replace":
            span = json_text.find(text, step.place)
            return text[: span.start] + step.value + text[span.end :]
        case "set":
            return _set(text, step)
        case "number" | "string" | "boolean":
            span = json_text.find(text, step.place)
            return text[: span.start] + converted(text[span.start : span.end], step) + text[span.end :]
        case "rename":
            return _rename(text, step)
        case "copy":
            return _add(text, step.place, _value(text, step.origin))
        case "move":
            value = _value(text, step.origin)
            if step.place[: len(step.origin)] == step.origin and step.place != step.origin:
                raise PatchFailed(f"{json_text.pointer(step.origin)} cannot be moved into itself")
            return text if step.place == step.origin else _add(_remove(text, step.origin), step.place, value)
        case _:
            return _test(text, step)


def converted(value: bytes, step: Step) -> bytes:
    """Return a value as a number, a string or a boolean, with the digits and letters that it has.

    Raises PatchFailed where it is not one, without quoting it.
    """
    kind = _kind(value)
    if kind == step.op:
        return value
    inner = json_text.string_at(value).strip().encode("utf-8", "replace") if kind == "string" else b""
    if step.op == "string" and kind in {"number", "boolean"}:
        return b'"' + value + b'"'
    if step.op == _kind(inner):
        return inner
    raise PatchFailed(f"{json_text.pointer(step.place)} is {_AS_FOUND[kind]} that cannot become a {step.op}")


def _kind(value: bytes) -> str:
    if _NUMBER.fullmatch(value):
        return "number"
    if value in {b"true", b"false"}:
        return "boolean"
    return {b'"': "string", b"{": "object", b"[": "array"}.get(value[:1], "null")


def _rename(text: bytes, step: Step) -> bytes:
    json_text.find(text, step.place)
    *above, name = step.place
    start = json_text.find(text, tuple(above)).start
    if (not above and not name) or text[start : start + 1] != b"{":
        raise PatchFailed(f"{json_text.pointer(step.place)} has no name: it is an element of an array")
    new = json_text.string_at(step.value)
    if new == name:
        return text
    if json_text.child_of(text, start, new):
        raise PatchFailed(f"{json_text.pointer((*above, new))} exists already")
    # From the end: what stands before keeps its place. A name that is there twice is renamed twice.
    for child in reversed([child for child in json_text.children(text, start) if child.name == name]):
        end = json_text.whole(text[child.from_ :]).end + child.from_
        text = text[: child.from_] + step.value + text[end:]
    return text


def _set(text: bytes, step: Step) -> bytes:
    try:
        span = json_text.find(text, step.place)
    except NoSuchPlace:
        return _add(text, step.place, step.value)
    return text[: span.start] + step.value + text[span.end :]


def _value(text: bytes, place: Steps) -> bytes:
    span = json_text.find(text, place)
    return text[span.start : span.end]


def _test(text: bytes, step: Step) -> bytes:
    if not same(_value(text, step.place), step.value):
        raise PatchFailed(
            f"{json_text.pointer(step.place) or 'the report'} does not have the value that the patch expects"
        )
    return text


def _add(text: bytes, place: Steps, value: bytes) -> bytes:
    if not place:
        return value
    *above, name = place
    start = json_text.find(text, tuple(above)).start
    match text[start : start + 1]:
        case b"{":
            return _add_member(text, start, name, value)
        case b"[":
            return _add_element(text, start, place, value)
        case _:
            raise NoSuchPlace(json_text.pointer(place))


def _add_member(text: bytes, start: int, name: str, value: bytes) -> bytes:
    if there := json_text.child_of(text, start, name):
        return text[: there.start] + value + text[there.end :]
    found = list(json_text.children(text, start))
    if not found:
        return text[: start + 1] + json_text.string_text(name) + b":" + value + text[start + 1 :]
    last = found[-1]
    # Between its neighbours it looks as they do.
    comma = text[found[-2].end : last.from_] if len(found) > 1 else b","
    colon = text[json_text.whole(text[last.from_ :]).end + last.from_ : last.start]
    return text[: last.end] + comma + json_text.string_text(name) + colon + value + text[last.end :]


def _add_element(text: bytes, start: int, place: Steps, value: bytes) -> bytes:
    found = list(json_text.children(text, start))
    number = str(len(found)) if place[-1] == _LAST else place[-1]
    if there := next((child for child in found if child.name == number), None):
        return text[: there.start] + value + b"," + text[there.start :]
    if number != str(len(found)):
        raise NoSuchPlace(json_text.pointer(place))
    if not found:
        return text[: start + 1] + value + text[start + 1 :]
    return text[: found[-1].end] + b"," + value + text[found[-1].end :]


def _remove(text: bytes, place: Steps) -> bytes:
    if not place:
        raise PatchFailed("the whole report cannot be removed")
    json_text.find(text, place)
    *above, name = place
    start = json_text.find(text, tuple(above)).start
    # An earlier member of the same name would come to light.
    while json_text.child_of(text, start, name):
        text = _without_child(text, start, name)
        if text[start : start + 1] == b"[":
            break
    return text


def _without_child(text: bytes, start: int, name: str) -> bytes:
    found = list(json_text.children(text, start))
    at = max(place for place, child in enumerate(found) if child.name == name)
    if at + 1 < len(found):
        return text[: found[at].from_] + text[found[at + 1].from_ :]
    if at:
        return text[: found[at - 1].end] + text[found[at].end :]
    return text[: found[at].from_] + text[found[at].end :]


def difference(before: bytes, after: bytes) -> list[Change]:
    """Return where two JSON texts differ. Blanks and the order of members are no difference; every digit is."""
    return list(_differences(before, after, ()))


def as_patch(changes: Sequence[Change]) -> list[Step]:
    """Return the patch that makes those changes, one after the other."""
    return [Step(change.op, change.place, change.after) for change in changes]


def _differences(before: bytes, after: bytes, place: Steps) -> Iterator[Change]:
    left, right = json_text.whole(before), json_text.whole(after)
    before, after = before[left.start : left.end], after[right.start : right.end]
    if before == after:
        return
    if before[:1] == after[:1] == b"{":
        yield from _member_differences(before, after, place)
    elif before[:1] == after[:1] == b"[":
        yield from _element_differences(before, after, place)
    else:
        yield Change(place, before, after)


def _member_differences(before: bytes, after: bytes, place: Steps) -> Iterator[Change]:
    old, new = _by_name(before), _by_name(after)
    for name, value in old.items():
        if name in new:
            yield from _differences(value, new[name], (*place, name))
        else:
            yield Change((*place, name), value, b"")
    for name, value in new.items():
        if name not in old:
            yield Change((*place, name), b"", value)


def _element_differences(before: bytes, after: bytes, place: Steps) -> Iterator[Change]:
    old, new = list(_by_name(before).values()), list(_by_name(after).values())
    same_first = _common(old, new)
    same_last = _common(old[same_first:][::-1], new[same_first:][::-1])
    old_middle = old[same_first : len(old) - same_last]
    new_middle = new[same_first : len(new) - same_last]
    both = min(len(old_middle), len(new_middle))
    for number in range(both):
        yield from _differences(old_middle[number], new_middle[number], (*place, str(same_first + number)))
    # From the end, so that the numbers of those before stay what they are.
    for number in reversed(range(both, len(old_middle))):
        yield Change((*place, str(same_first + number)), old_middle[number], b"")
    for number in range(both, len(new_middle)):
        yield Change((*place, str(same_first + number)), b"", new_middle[number])


def _common(left: Sequence[bytes], right: Sequence[bytes]) -> int:
    for number, (one, other) in enumerate(zip(left, right, strict=False)):
        if one != other and next(_differences(one, other, ()), None):
            return number
    return min(len(left), len(right))


def _by_name(text: bytes) -> dict[str, bytes]:
    return {child.name: text[child.start : child.end] for child in json_text.children(text, 0)}


def same(left: bytes, right: bytes) -> bool:
    """Say whether two JSON texts mean the same: numbers by their value, members in any order (RFC 6902, 4.6)."""
    try:
        return _same(_parsed(left), _parsed(right))
    except InvalidOperation:
        return left == right


def _parsed(text: bytes) -> Any:
    return json.loads(text, parse_int=Decimal, parse_float=Decimal)


def _same(left: Any, right: Any) -> bool:
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(_same(value, right[name]) for name, value in left.items())
    if isinstance(left, list):
        return len(left) == len(right) and all(map(_same, left, right))
    return bool(left == right)
