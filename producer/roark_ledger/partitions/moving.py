"""While calls are moved into partitions: whoever does anything with a call brings it to its partition first. Pure.

What is left of the old ledger (`Keys.source`) stands still: nothing is done to it but that calls which their partitions
have adopted are dropped. So a call may be brought over by anybody, at any time, and twice: what is known at its
partition is not adopted again. Nothing is forgotten and nothing expires there until all are moved, or an old copy could
come back.
"""

from collections.abc import Generator, Sequence
from typing import Any

from roark_ledger.errors import LedgerUnavailable
from roark_ledger.moves import moving
from roark_ledger.moves.goes import ByCall, Goes, Refuses, Renews, Settles
from roark_ledger.moves.operation import Operation
from roark_ledger.partitions.placing import partition_of

SOURCE = -2
"""The number of what is left of the old ledger, beside the home's."""
STANDS_STILL: dict[str, Any] = {"forget": 0, "expire": (0, 0, 0)}
"""What these scripts answer where they did nothing: they are not run while calls are moved."""

LOOKS_ON = frozenset({"verify"})
"""Scripts that look at partitions as they are, and bring nothing there."""


def calls_of(goes: Goes[Any]) -> Sequence[str]:
    """Return the calls that an operation is about, by name."""
    match goes:
        case ByCall():
            return goes.calls
        case Settles():
            return [each.held.call_id for each in goes.outcomes]
        case Refuses():
            return [each.held.call_id for each in goes.refused]
        case Renews():
            return [each.call_id for each in goes.held]
    return ()


def pulled(call_ids: Sequence[str], partitions: int) -> Generator[list[tuple[int, Operation[Any]]], list[Any], None]:
    """Bring these calls to their partitions, where that was not done before. Raises LedgerUnavailable."""
    left = list(dict.fromkeys(call_ids))
    while left:
        (exported,) = _there((yield [(SOURCE, moving.export(left))]))
        if exported.rows:
            asked = adoptions(exported.rows, partitions)
            _there((yield [(where, adopt) for where, several in asked for adopt in several]))
        left = left[exported.looked_at :]


def adoptions(
    rows: Sequence[moving.Row], partitions: int, *, most: int = 1000
) -> list[tuple[int, list[Operation[list[str]]]]]:
    """Return which partition is to adopt which calls, up to so many by one script."""
    placed: dict[int, list[moving.Row]] = {}
    for row in rows:
        placed.setdefault(partition_of(str(row[0], "utf-8", "surrogatepass"), partitions), []).append(row)  # type: ignore[arg-type] # ids are bytes
    return [
        (where, [moving.adopt(some[first : first + most]) for first in range(0, len(some), most)])
        for where, some in sorted(placed.items())
    ]


def _there(answers: list[Any]) -> list[Any]:
    for answer in answers:
        if isinstance(answer, LedgerUnavailable):
            raise answer
    return answers
