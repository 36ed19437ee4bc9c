"""Where a person stands in a document: in fields that are the number (*is*), and where else (*mentions*). Pure.

*is*        a string, a number or the name of a field that is the number and nothing else; in JSON inside strings, too
*mentions*  anything that has it among other text: transcripts, addresses; a national number without its trunk prefix,
            which may be another country's or an order number; one that is spread over the members of a list or an
            object; and every text that was asked for

A document is only read whole when its digits, one behind the other, have the number's (`glance.py`): hardly any has.
"""

import io
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from roark_ops.erasing.glance import Glance
from roark_ops.erasing.numbers import PhoneNumber
from roark_ops.erasing.readings import by_speaker, plain, unescaped
from roark_producer.files.compression import DamagedInput, decompressed

_FORM = re.compile(r"[\w.\[\]%+-]+=[^&\s]*(?:&[\w.\[\]%+-]+=[^&\s]*)*")
_SPEAKERS = ("role", "speaker", "channel")
_DEEPEST = 6
_MOST_UNPACKED = 200_000_000


@dataclass(frozen=True, slots=True)
class Places:
    """The paths at which somebody stands in a document; `?` for one that cannot be read as JSON."""

    is_: tuple[str, ...] = ()
    mentions: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.is_ or self.mentions)


@dataclass(frozen=True)
class Sought:
    """What is looked for: numbers, and texts such as a name or an e-mail address."""

    numbers: tuple[PhoneNumber, ...] = ()
    texts: tuple[str, ...] = field(default=(), repr=False)

    def __bool__(self) -> bool:
        return bool(self.numbers or self.texts)

    def places_in(self, document: bytes) -> Places:
        """Return where it stands in a document: JSON, a form or any text, packed or not."""
        for text in (_text(each) for each in _unpacked(document)):
            if self._may_be_in(text) and (found := self._places(text)):
                return found
        return Places()

    def is_in(self, text: str) -> bool:
        """Whether it stands anywhere in a text."""
        return any(number.is_in(text) for number in self.numbers) or self._has_text(text)

    def masked(self, text: str, mask: str = "***") -> str:
        """Return a text with all of it masked."""
        for number in self.numbers:
            text = number.masked(text, mask)
        for words in self.texts:
            if _folded(words) in _folded(text):
                found = re.sub(re.escape(words), mask, text, flags=re.IGNORECASE)
                text = mask if _folded(words) in _folded(found) else found
        return text

    @cached_property
    def _glance(self) -> Glance:
        return Glance(self.numbers)

    @cached_property
    def _folds(self) -> tuple[str, ...]:
        return tuple(map(_folded, self.texts))

    def _may_be_in(self, text: str) -> bool:
        return (bool(self.texts) and self._has_text(unescaped(text))) or self._glance.may_be_in(text)

    def _has_text(self, text: str) -> bool:
        if not self.texts:
            return False
        folded = _folded(text)
        return any(words in folded for words in self._folds)

    def _places(self, text: str) -> Places:
        try:
            tree = _read(text)
        except (ValueError, RecursionError):
            return self._in_text(text)
        is_: set[str] = set()
        mentions: set[str] = set()
        for path, value in _walk(tree):
            match self._judged(value):
                case "is":
                    is_.add(path)
                case "mentions":
                    mentions.add(path)
        if not (is_ or mentions):
            mentions = {path for path, joined in _spread(tree) if any(number.is_in(joined) for number in self.numbers)}
        return Places(tuple(sorted(is_)), tuple(sorted(mentions)))

    def _in_text(self, text: str) -> Places:
        if _FORM.fullmatch(text.strip()):
            values = [value for pair in parse_qsl(text.strip(), keep_blank_values=True) for value in pair]
            if any(self._judged(value) == "is" for value in values):
                return Places(is_=("?",))
        return Places(mentions=("?",)) if self.is_in(text) or self.is_in(unescaped(text)) else Places()

    def _judged(self, value: object) -> str:
        match value:
            case bool() | None:
                return ""
            case int() | float():
                if any(number.is_value(value) for number in self.numbers):
                    return "is"
                return "mentions" if any(number.mentions_value(value) for number in self.numbers) else ""
            case str():
                if any(number.is_whole(value) for number in self.numbers):
                    return "is"
                return "mentions" if self.is_in(value) or self._is_said_in(value) else ""
        return ""

    def _is_said_in(self, text: str) -> bool:
        return any(number.is_in(said) for said in by_speaker(text) for number in self.numbers)


def _walk(tree: Any) -> Iterator[tuple[str, object]]:
    """Yield every value and every field's name, with its path; JSON that a string holds is walked through as well."""
    left: list[tuple[str, Any, int]] = [("", tree, 0)]
    while left:
        path, value, depth = left.pop()
        match value:
            case dict():
                for name, inner in value.items():
                    # A path is shown, and must not show the number that is looked for.
                    left.append((f"{path}.{_name(name)}" if path else _name(name), inner, depth))
                    yield f"{path} (name of a field)".strip(), str(name)
            case list():
                left += [(f"{path}[{place}]", inner, depth) for place, inner in enumerate(value)]
            case str() if depth < _DEEPEST and (inner := _json_inside(value)) is not None:
                left.append((path, inner, depth + 1))
                yield path, value if isinstance(inner, str) else ""
            case _:
                yield path, value


def _spread(tree: Any) -> Iterator[tuple[str, str]]:
    """Yield what the members of each list and object say together: a number may be cut into pieces."""
    left: list[tuple[str, Any]] = [("", tree)]
    while left:
        path, value = left.pop()
        match value:
            case dict():
                members = list(value.values())
                left += [(f"{path}.{_name(name)}" if path else _name(name), inner) for name, inner in value.items()]
            case list():
                members = value
                left += [(f"{path}[{place}]", inner) for place, inner in enumerate(value)]
                # Of pieces of a conversation each says something else besides, such as who spoke.
                objects = [each for each in value if isinstance(each, dict)]
                for name in dict.fromkeys(name for each in objects for name in each):
                    yield path, _said(each.get(name) for each in objects)
                    # What one of the speakers says, without the others.
                    for by in _SPEAKERS:
                        for speaker in dict.fromkeys(each[by] for each in objects if isinstance(each.get(by), str)):
                            yield path, _said(each.get(name) for each in objects if each.get(by) == speaker)
            case _:
                continue
        yield path, _said(members)


def _said(members: Iterable[Any]) -> str:
    # What has a fraction is a length or a price.
    return " ".join(str(each) for each in members if isinstance(each, str | int) and not isinstance(each, bool))


def _json_inside(text: str) -> Any:
    if text.lstrip()[:1] not in {"{", "[", '"'}:
        return None
    try:
        return _read(text)
    except (ValueError, RecursionError):
        return None


def _name(name: object) -> str:
    text = str(name)
    return re.sub(r"\d", "#", text) if sum(map(str.isdigit, text)) >= _LEAST_DIGITS else text


_LEAST_DIGITS = 6


def _read(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError):
        # Half a surrogate pair, or a number that nobody can hold.
        return json.loads(text)


def _text(body: bytes) -> str:
    if b"\0" in body[:64]:
        for encoding in ("utf-16", "utf-32", "utf-16-le", "utf-16-be"):
            try:
                return body.decode(encoding)
            except UnicodeDecodeError:
                continue
    return body.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")


def _unpacked(body: bytes) -> Iterator[bytes]:
    yield body
    if body[:1] in {b"{", b"["}:
        return
    try:
        with decompressed(io.BytesIO(body)) as file:
            inner = file.read(_MOST_UNPACKED)
    except (DamagedInput, OSError, ValueError):
        return
    if inner != body:
        yield inner


def _folded(text: str) -> str:
    return " ".join(plain(text).casefold().split())
