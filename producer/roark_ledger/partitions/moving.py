"""While calls are moved into partitions: whoever does anything with a call brings it to its partition first. Pure.

What is left of the old ledger (`Keys.source`) stands still: nothing is done to it but that calls which their partitions
have adopted are dropped. So a call may be brought over by anybody, at any time, and twice: what is known at its
partition is not adopted again. Nothing is forgotten and nothing expires there until all are moved, or an old copy could
come back.
"""

from collections import defaultdict
from collections.abc import Generator, Sequence
from typing import Any, TypeVar

from roark_ledger.errors import LedgerUnavailable
from roark_ledger.moves import moving
from roark_ledger.moves.goes import ByCall, Goes, Left, Refuses, Renews, Settles
from roark_ledger.moves.operation import Operation
from roark_ledger.partitions.placing import partition_of
from roark_ledger.records.letters import UNKNOWN

T = TypeVar("T")
Asked = list[tuple[int, Operation[Any]]]
SOURCE = -2
"""The number of what is left of the old ledger, beside the home's."""
STANDS_STILL: dict[str, Any] = {"forget": 0, "expire": (0, 0, 0)}
"""What these scripts answer where they did nothing: they are not run while calls are moved."""

LOOKS_ON = frozenset({"verify"})
"""Scripts that look at partitions as they are, and bring nothing there."""
LOOKS_AT_BOTH = frozenset({"look", "named", "erased_among", "replay_held"})
"""Scripts that look at calls wherever those are, and bring nothing anywhere: who may only read runs them, too."""


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


def pulled(call_ids: Sequence[str], partitions: int) -> Generator[Asked, list[Any], None]:
    """Bring these calls to their partitions, where that was not done before. Raises LedgerUnavailable."""
    left = list(dict.fromkeys(call_ids))
    while left:
        (exported,) = _there((yield [(SOURCE, moving.export(left))]))
        if exported.rows:
            asked = adoptions(exported.rows, partitions)
            _there((yield [(where, adopt) for where, several in asked for adopt in several]))
        left = left[exported.looked_at :]


def either(old: Any, new: Any) -> Any:
    """Return what is known of calls: at their partitions, and else where they are still to be moved from.

    What is left is to be asked first, since a call is dropped there once its partition has it.
    """
    if isinstance(new, list):
        return [one if one and one != UNKNOWN else before for before, one in zip(old, new, strict=False)]
    return new or old


def still_left(left: Left[T], old: T, partitions: int, asked: Asked) -> Generator[Asked, list[Any], list[Any]]:
    """Ask the partitions; return their answers, and behind them what of `old`, asked before, is nowhere but there."""
    placed: defaultdict[int, list[str]] = defaultdict(list)
    for call_id in left.calls(old):
        placed[partition_of(call_id, partitions)].append(call_id)
    # Before anything else of them: what a partition takes over in between would be in neither answer.
    known = [(where, moving.known(some)) for where, some in placed.items()]
    answers = yield [*known, *asked]
    # Of a partition that is away nobody can tell; its own answer says that it is.
    told = zip(placed.values(), answers[: len(known)], strict=True)
    here = [some for some, flags in told if not isinstance(flags, LedgerUnavailable)]
    flags = [flags for flags in answers[: len(known)] if not isinstance(flags, LedgerUnavailable)]
    nowhere_else = {
        call_id
        for some, theirs in zip(here, flags, strict=True)
        for call_id, is_known in zip(some, theirs, strict=True)
        if not is_known
    }
    return [*answers[len(known) :], left.only(old, nowhere_else)]


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
