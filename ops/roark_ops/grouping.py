"""Groups dead letters that died of the same thing. Pure.

Two letters belong together when reason, status and Roark's message are the same after ids and numbers in the
message are folded: "call 7f3a… is 812 s long" and "call 91bc… is 40 s long" say one thing.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from roark_producer.records import DeadLetter

# A word with a digit in it is an id, a number or a time.
_VARIABLE = re.compile(r"\+?[\w-]*\d[\w-]*(?:[.:]\d+)*")
_FOLDED = "#"
_NAME_LENGTH = 8
_KNOWN_DEATHS = 4096


@dataclass(frozen=True, slots=True)
class Death:
    """What a letter died of. `last` is the code of the last attempt, where `reason` is not that code itself."""

    reason: str
    status: int
    message: str
    parameter: str
    last: str

    @classmethod
    def of(cls, letter: DeadLetter) -> "Death":
        """Return what `letter` died of, as the ledger and Roark told it."""
        detail = letter.last.detail if letter.last else {}
        return cls(
            reason=letter.record.note,
            status=int(detail.get("status", 0)),
            message=str(detail.get("message", "")),
            parameter=str(detail.get("parameter", "")),
            last=str(detail.get("reason", "")),
        )

    @property
    def group(self) -> str:
        """The name of the group that the letter belongs to: the same for the same cause, everywhere and always."""
        return _name(self)

    def folded(self) -> "Death":
        """Return it with the ids and numbers in its texts folded: what a group has in common."""
        return Death(self.reason, self.status, fold(self.message), fold(self.parameter), self.last)


@lru_cache(_KNOWN_DEATHS)
def _name(death: Death) -> str:
    folded = death.folded()
    text = "\0".join((folded.reason, str(folded.status), folded.message, folded.parameter, folded.last))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_NAME_LENGTH]


@dataclass(frozen=True, slots=True)
class Group:
    """Letters that died of the same thing. Times are Unix ms; `example` is the id of the last one that came."""

    name: str
    reason: str
    status: int
    message: str
    parameter: str
    last: str
    count: int
    first_ms: int
    last_ms: int
    example: str


def group(letters: Iterable[DeadLetter]) -> list[Group]:
    """Return the groups, the largest first."""
    found: dict[Death, Group] = {}
    for letter in letters:
        key = Death.of(letter).folded()
        found[key] = _with(found.get(key), key, letter)
    return sorted(found.values(), key=lambda group: (-group.count, group.first_ms))


def fold(message: str) -> str:
    """Return `message` with every id and number replaced by #."""
    return _VARIABLE.sub(_FOLDED, message)


def _with(before: Group | None, key: Death, letter: DeadLetter) -> Group:
    newer = before is None or letter.since_ms >= before.last_ms
    return Group(
        name=key.group,
        reason=key.reason,
        status=key.status,
        message=key.message,
        parameter=key.parameter,
        last=key.last,
        count=before.count + 1 if before else 1,
        first_ms=min(before.first_ms, letter.since_ms) if before else letter.since_ms,
        last_ms=letter.since_ms if newer or before is None else before.last_ms,
        example=letter.call_id if newer or before is None else before.example,
    )
