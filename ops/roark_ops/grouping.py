"""Groups dead letters that died of the same thing. Pure.

Two letters belong together when reason, status and Roark's message are the same after ids and numbers in the
message are folded: "call 7f3a… is 812 s long" and "call 91bc… is 40 s long" say one thing.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from roark_producer.records import DeadLetter

# A word with a digit in it is an id, a number or a time.
_VARIABLE = re.compile(r"\+?[\w-]*\d[\w-]*(?:[.:]\d+)*")
_FOLDED = "#"


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


@dataclass(frozen=True, slots=True)
class Group:
    """Letters that died of the same thing. Times are Unix ms; `example` is the id of the last one that came."""

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
        death = Death.of(letter)
        key = Death(death.reason, death.status, fold(death.message), fold(death.parameter), death.last)
        found[key] = _with(found.get(key), key, letter)
    return sorted(found.values(), key=lambda group: (-group.count, group.first_ms))


def fold(message: str) -> str:
    """Return `message` with every id and number replaced by #."""
    return _VARIABLE.sub(_FOLDED, message)


def _with(before: Group | None, key: Death, letter: DeadLetter) -> Group:
    newer = before is None or letter.since_ms >= before.last_ms
    return Group(
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
