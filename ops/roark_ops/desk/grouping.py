"""Groups dead letters that died of the same thing, and finds what those of a group have in common. Pure.

Two letters belong together when reason, status and Roark's message are the same after ids, numbers and times in the
message are folded: "call 7f3a… is 812 s long" and "call 91bc… is 40 s long" say one thing.
"""

import hashlib
import re
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec

from roark_ledger.errors import InvalidReport
from roark_ledger.lifecycle import State
from roark_ledger.records.letters import DeadLetter
from roark_ops.desk.changes import SetupChange, before
from roark_producer.vapi.slices import members

# A time is one thing however finely it is told; any other word with a digit in it is an id or a number. Inside of a
# word none begins, but behind a time's Z: to look there as well takes twice as long.
_VARIABLE = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?"
    r"|(?:\+|(?<![^\W\dZ]))[\w-]*\d[\w-]*(?:[.:]\d[\w-]*)*"
)
_DIGIT = re.compile(r"\d")
_FOLDED = "#"
_NAME_LENGTH = 8
_KNOWN_DEATHS = 4096
_KNOWN_PROPERTIES = 1024
_MOST_DIFFERENT = 2000
_MOST_SHARED = 3
_EXAMPLES = 20
_ALMOST_ALL = 0.8


class _Told(msgspec.Struct, gc=False):
    status: Any = 0
    message: Any = ""
    parameter: Any = ""
    reason: Any = ""
    over: Any = ""
    by: Any = ""


_told = msgspec.json.Decoder(_Told).decode
_UNTOLD = (b"", b"", b"{}")


class Death(msgspec.Struct, frozen=True, gc=False):
    """What a letter died of. `last` is the code of the last attempt, where `reason` is not that code itself.

    `over` says why there was no other try: `attempts` or `age`, "" where that was not the reason.
    """

    reason: str
    status: int
    message: str
    parameter: str
    last: str
    over: str = ""

    @classmethod
    def of(cls, letter: DeadLetter) -> "Death":
        """Return what `letter` died of, as the ledger and Roark told it."""
        _, name, detail = line.split(b" ", 2) if (line := letter.last_line) else _UNTOLD
        told = _told(detail)
        if name == b"set_aside":
            return cls(letter.record.note, 0, ": ".join(filter(None, (str(told.by), str(told.reason)))), "", "")
        return cls(
            "" if letter.record.state is State.DELIVERED else letter.record.note,
            int(told.status),
            str(told.message),
            str(told.parameter),
            str(told.reason),
            str(told.over),
        )

    @property
    def group(self) -> str:
        """The name of the group that the letter belongs to: the same for the same cause, everywhere and always."""
        return _name(self.reason, self.status, fold(self.message), fold(self.parameter), self.last, self.over)

    def folded(self) -> "Death":
        """Return it with the ids and numbers in its texts folded: what a group has in common."""
        return Death(self.reason, self.status, fold(self.message), fold(self.parameter), self.last, self.over)


@lru_cache(_KNOWN_DEATHS)
def _name(*told: str | int) -> str:
    text = "\0".join(map(str, told))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_NAME_LENGTH]


@dataclass(frozen=True, slots=True)
class Shared:
    """What most letters of a group have in common: an assistant, or a property's value.

    `what` is `assistant` or `property NAME`; `count` of them have it, the first of those died at `since_ms`.
    """

    what: str
    value: str
    count: int
    since_ms: int


@dataclass(frozen=True, slots=True)
class Group:
    """Letters that died of the same thing. Times are Unix ms; `example` is the id of the last one that came, `examples`
    are those of some of the last ones.

    `shared` is what at least four of five have in common, `changed` what changed in the half hour before the first one
    died. `code` and `excerpt` are what Roark said of the example beside its message. `edited` of them a person has
    changed.
    """

    name: str
    reason: str
    status: int
    message: str
    parameter: str
    last: str
    over: str
    count: int
    first_ms: int
    last_ms: int
    example: str
    code: str = ""
    excerpt: str = ""
    edited: int = 0
    shared: tuple[Shared, ...] = ()
    changed: tuple[SetupChange, ...] = ()
    examples: tuple[str, ...] = ()


def group(letters: Iterable[DeadLetter], changes: Sequence[SetupChange] = ()) -> list[Group]:
    """Return the groups, the largest first. `changes` are all that are known."""
    found: dict[str, _Gathered] = {}
    for letter in letters:
        death = Death.of(letter)
        name = death.group
        gathered = found.get(name)
        if gathered is None:
            gathered = found[name] = _Gathered(name, death.folded(), letter)
        gathered.add(letter)
    groups = [one.group(changes) for one in found.values()]
    return sorted(groups, key=lambda group: (-group.count, group.first_ms))


def fold(message: str) -> str:
    """Return `message` with every id and number replaced by #."""
    return _VARIABLE.sub(_FOLDED, message) if message and _DIGIT.search(message) else message


def properties_of(letter: DeadLetter) -> dict[str, str]:
    """Return a letter's properties: a string's own text, any other value as it stands in JSON."""
    return dict(_properties(letter.properties)) if letter.properties else {}


@lru_cache(_KNOWN_PROPERTIES)
def _properties(document: bytes) -> tuple[tuple[str, str], ...]:
    try:
        return tuple((name, _plain(value)) for name, value in members(document, "properties").items())
    except InvalidReport:
        return ()


@lru_cache(_KNOWN_PROPERTIES)
def _noted_properties(document: bytes) -> tuple[tuple[str, str], ...]:
    return tuple((f"property {name}", value) for name, value in _properties(document))


def _plain(value: bytes) -> str:
    try:
        return msgspec.json.decode(value, type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return value.decode("utf-8", "replace")


class _Gathered:
    """What is known so far of a group while letters are read; takes bounded memory."""

    def __init__(self, name: str, death: Death, letter: DeadLetter) -> None:
        self._name = name
        self._death = death
        self._count = self._edited = 0
        self._first_ms, self._last_ms, self._example = letter.since_ms, letter.since_ms, letter
        self._latest: deque[str] = deque(maxlen=_EXAMPLES)
        # (what, value) → how many have it, and when the first of them died.
        self._seen: dict[tuple[str, str], list[int]] = {}

    def add(self, letter: DeadLetter) -> None:
        since_ms = letter.since_ms
        self._count += 1
        self._edited += letter.edited
        self._latest.append(letter.call_id)
        self._first_ms = min(self._first_ms, since_ms)
        if since_ms >= self._last_ms:
            self._last_ms, self._example = since_ms, letter
        if assistant := letter.assistant:
            self._note(("assistant", assistant), since_ms)
        if letter.properties:
            for what in _noted_properties(letter.properties):
                self._note(what, since_ms)

    def _note(self, what: tuple[str, str], since_ms: int) -> None:
        if seen := self._seen.get(what):
            seen[0] += 1
            seen[1] = min(seen[1], since_ms)
        # What most have in common comes early; what differs from letter to letter is not worth the memory.
        elif len(self._seen) < _MOST_DIFFERENT:
            self._seen[what] = [1, since_ms]

    def group(self, changes: Sequence[SetupChange]) -> Group:
        said = self._example.last.detail if self._example.last else {}
        return Group(
            name=self._name,
            reason=self._death.reason,
            status=self._death.status,
            message=self._death.message,
            parameter=self._death.parameter,
            last=self._death.last,
            over=self._death.over,
            count=self._count,
            first_ms=self._first_ms,
            last_ms=self._last_ms,
            example=self._example.call_id,
            code=str(said.get("code", "")),
            excerpt=str(said.get("excerpt", "")),
            edited=self._edited,
            shared=self._shared(),
            changed=before(changes, self._first_ms),
            examples=tuple(self._latest),
        )

    def _shared(self) -> tuple[Shared, ...]:
        # What one letter alone has, it has in common with nobody; whose assistant it was is worth knowing all the same.
        found = [
            Shared(what, value, count, since_ms)
            for (what, value), (count, since_ms) in self._seen.items()
            if count >= self._count * _ALMOST_ALL and (self._count > 1 or what == "assistant")
        ]
        return tuple(sorted(found, key=lambda one: (one.what != "assistant", -one.count, one.what))[:_MOST_SHARED])
