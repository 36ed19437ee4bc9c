"""What a document looks like that is no report by itself, and where in it reports stand. Pure.

1. `look_into` walks through the document: objects, arrays, strings that hold JSON. It stops at reports and at Call
   objects of Vapi's API; what is deeper than any wrapper, or beyond so many values, is not looked at. It opens one
   level at a time, so that millions of values take neither memory nor time.
2. Its outside is compared with the wrappers that are common.
3. An envelope that by its own specification carries one message, and has one message in it, can mean nothing else:
   `only_message` is that place, and the report is taken from there at once. So is another message of Vapi's.

The words name places and wrappers only. Nothing that stands in the document is repeated, but the names of members.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec

from roark_ledger.errors import InvalidReport
from roark_producer.files.json_elements import ElementScanner
from roark_producer.vapi.messages import CALL_STATUSES, CALL_TYPES, END_OF_CALL_REPORT, OTHER_MESSAGES
from roark_producer.vapi.places import EACH, named, opened_string
from roark_producer.vapi.slices import LARGE_BYTES, members, not_utf_8_at, without_surrogates

_DEEPEST = 12
_MOST_VALUES = 50_000
_MOST_TIMES = 4  # as often as this may all bytes be opened: a level each
_MOST_PLACES = 3
_NOT_ENDED = "; the call has not ended"

Place = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """What a document looks like: the wrapper, if it is a known one, and where reports and Call objects stand."""

    wrapper: str = ""
    reports: tuple[Place, ...] = ()
    calls: tuple[Place, ...] = ()
    only_message: Place | None = None
    """Where the message stands that this document can only be meant to carry; None: it may mean something else."""
    has_ended: bool = True
    """Of a Call object: whether there is a report to be made of it."""

    def words(self) -> str:
        """Return what to tell a person; "" where nothing was recognised."""
        said = [self.wrapper] if self.wrapper else []
        if self.reports:
            said.append(f"an end-of-call report is at {_listed(self.reports)}")
        elif self.calls == ((),):
            said = [f"a Call object of Vapi's API, not an end-of-call report{'' if self.has_ended else _NOT_ENDED}"]
        elif self.calls:
            said.append(f"a Call object of Vapi's API, not an end-of-call report, is at {_listed(self.calls)}")
        return "; ".join(said)


def look_into(document: bytes) -> Look:
    """Return what the document looks like; of what is no JSON, nothing."""
    if not _is_json(document):
        return Look(_behind_text(document))
    walk = _Walk(len(document))
    value = walk.opened(without_surrogates(document).strip())
    walk.look(value, (), in_string=False)
    wrapper, is_envelope = _wrapper(value)
    messages = [*walk.reports, *walk.others]
    only = messages[0] if is_envelope and walk.found == len(messages) == 1 else None
    has_ended = not isinstance(value, Mapping) or value.get("status", "ended") == "ended"
    return Look(wrapper, tuple(walk.reports), tuple(walk.calls), only, has_ended)


def _behind_text(document: bytes) -> str:
    """Return the words for a line of a log, or the like, that has JSON with a report in it behind its own text."""
    at = document.find(b'{"')
    if document[:1] in {b"{", b"[", b'"'} or at < 1 or END_OF_CALL_REPORT.encode() not in document:
        return ""
    scanner = ElementScanner(array=False, most_bytes=len(document))
    first = next(scanner.feed(document[at:]), None)
    if first is None or not _is_json(first.body):
        return ""
    walk = _Walk(len(first.body))
    walk.look(without_surrogates(first.body), (), in_string=False)
    return f"text with an end-of-call report in the JSON from byte {at + 1} on" if walk.reports else ""


def _is_json(document: bytes) -> bool:
    try:
        msgspec.json.decode(without_surrogates(document), type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return not_utf_8_at(document) is None


def is_call(value: Any) -> bool:
    """Say whether this is a Call object, as `GET /call` and `GET /call/{id}` return them."""
    if not isinstance(value, Mapping) or not isinstance(value.get("id"), str) or "call" in value:
        return False
    if "type" in value:
        return _is_one_of(value["type"], CALL_TYPES)
    return _is_one_of(value.get("status"), CALL_STATUSES) and "orgId" in value


def _is_one_of(value: Any, words: frozenset[str]) -> bool:
    return isinstance(value, str) and value in words


class _Walk:
    """Looks through a document that is JSON, the outermost first.

    A value is the bytes of an object or array that is not opened yet, what `opened` made of it, or a string's text.
    """

    def __init__(self, document_bytes: int) -> None:
        self.reports: dict[Place, None] = {}
        self.others: dict[Place, None] = {}
        self.calls: dict[Place, None] = {}
        self.found = 0
        self._values = 0
        self._bytes_left = _MOST_TIMES * document_bytes + LARGE_BYTES

    def opened(self, value: bytes, *, and_inside: bool = True) -> Any:
        """Return an object's members, with those of a message in it; an array's elements; or a string's text."""
        self._bytes_left -= len(value)
        if self._bytes_left < 0:
            return None
        match value[:1]:
            case b"{":
                return self._members(value, and_inside=and_inside)
            case b"[":
                return list(islice(_elements(value), _MOST_VALUES - self._values))
            case b'"':
                return _text(value)
        return None

    def look(self, value: Any, place: Place, *, in_string: bool) -> None:
        self._values += 1
        if self._values > _MOST_VALUES or len(place) > _DEEPEST:
            return
        if isinstance(value, bytes):
            value = self.opened(value)
        match value:
            case {"type": kind} if kind == END_OF_CALL_REPORT:
                self._note(self.reports, place)
            case {"message": {"type": kind}} if kind == END_OF_CALL_REPORT and in_string:
                # The string is the message as Vapi sent it, so it is the string that is named.
                self._note(self.reports, place)
            case {"type": kind, "call": call} if _is_one_of(kind, OTHER_MESSAGES) and _is_object(call):
                self._note(self.others, place)
            case dict() if is_call(value):
                self._note(self.calls, place)
            case dict():
                is_message = "type" in value
                for name, inner in value.items():
                    if not (is_message and name == "call"):
                        self.look(inner, (*place, name), in_string=False)
            case list():
                for inner in value:
                    self.look(inner, (*place, EACH), in_string=False)
            case str() if len(value) > len(END_OF_CALL_REPORT):
                self._look_into_string(value, place)

    def _members(self, value: bytes, *, and_inside: bool) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = dict(members(value, "body"))
        except InvalidReport:
            return None
        for name, inner in found.items():
            if inner[:1] not in {b"{", b"["}:
                found[name] = _text(inner) if inner[:1] == b'"' else None
            elif and_inside and name == "message" and inner[:1] == b"{":
                found[name] = self.opened(inner, and_inside=False)
        return found

    def _look_into_string(self, text: str, place: Place) -> None:
        if text.lstrip()[:1] not in {"{", "[", '"', "e", "W", "H"}:
            return
        document = opened_string(msgspec.json.encode(text))
        if document[:1] in {b"{", b"["} and _is_json(document):
            self.look(without_surrogates(document), place, in_string=True)

    def _note(self, places: dict[Place, None], place: Place) -> None:
        self.found += 1
        places.setdefault(place)


def _elements(array: bytes) -> Iterator[Any]:
    """Yield what an array holds, one after the other."""
    scanner = ElementScanner(array=True, most_bytes=len(array))
    return (_text(each) if each[:1] == b'"' else each for _, each, *_ in scanner.feed(array[1:]))


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, bytes) and value.startswith(b"{"))


def _text(value: bytes) -> str:
    try:
        return msgspec.json.decode(value, type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def _listed(places: tuple[Place, ...]) -> str:
    shown = [named(place) for place in places[:_MOST_PLACES]]
    return " and ".join(shown) + (" and elsewhere" if len(places) > _MOST_PLACES else "")


def _has(*names: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda value: all(name in value for name in names)


_WRAPPERS: tuple[tuple[str, bool, Callable[[Mapping[str, Any]], bool]], ...] = (
    ("a CloudEvents envelope", True, _has("specversion")),
    ("a notification of Amazon SNS", True, _has("Type", "Message", "TopicArn")),
    ("an event of Azure Event Grid", True, _has("eventType", "subject", "data")),
    ("an event of Amazon EventBridge", True, _has("detail-type", "detail")),
    ("a message of Google Pub/Sub", True, lambda value: "subscription" in value and "message" in value),
    ("a Standard Webhooks envelope", True, lambda value: isinstance(value.get("type"), str) and "data" in value),
    ("an event of AWS with records", False, _has("Records")),
    ("a request as API Gateway hands it over", False, lambda value: "body" in value and "requestContext" in value),
    ("a request with its headers", False, _has("headers", "body")),
    (
        "a log record",
        False,
        lambda value: any(name in value for name in ("_source", "log", "textPayload", "jsonPayload")),
    ),
)
"""What it is called, whether it carries one message by its specification, and how it is known."""


def _wrapper(value: Any) -> tuple[str, bool]:
    if not isinstance(value, Mapping):
        return "", False
    return next(((name, envelope) for name, envelope, fits in _WRAPPERS if fits(value)), ("", False))
