"""Looking deliveries up at Roark: what is due, and what was found. The scripts' headers say what each guarantees."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from roark_ledger.moves.goes import Everywhere, First
from roark_ledger.moves.operation import Operation, for_calls

_SKIP_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery that is to be looked up. Times are Unix ms."""

    call_id: str
    roark_call_id: str
    delivered_ms: int
    due_ms: int


@dataclass(frozen=True, slots=True)
class LookedUp:
    """What a look found. `detail` is the history's line."""

    due: Due
    visible: bool
    detail: bytes


def receipts_turn(*, who: str, patience_ms: int, most: int) -> Operation[list[Due] | None]:
    """Ask for the turn to look deliveries up; None where it is another's."""

    def parse(reply: list[Any]) -> list[Due] | None:
        if not reply:
            return None
        return [Due(call_id.decode(), named.decode(), int(at), int(due)) for call_id, named, at, due in reply[1:]]

    def join(answers: Sequence[list[Due] | None]) -> list[Due] | None:
        *theirs, turn = answers
        if turn is None:
            return None
        due = (one for some in theirs if some for one in some)
        return sorted(due, key=lambda one: one.due_ms)[:most]

    args = (who, patience_ms, most, _SKIP_MS)
    return Operation("receipts_turn", args, parse, Everywhere(join, home_too=True))


def receipts_note(
    found: Iterable[LookedUp], *, in_time_ms: int, ages_ms: Sequence[int], error: str = ""
) -> Operation[list[bool]]:
    """Keep what was found, and by which code nothing could be; False marks what was known already."""
    rows = [(one.due.call_id, one.due.roark_call_id, one.due.due_ms, int(one.visible), one.detail) for one in found]
    head = (error, in_time_ms, " ".join(map(str, ages_ms)))
    at_partitions = for_calls("receipts_note", head, rows, _parse_flags)
    # When Roark was asked, and whether it said something, is the home's.
    asked = Operation("receipts_note", head, _parse_flags)
    return replace(at_partitions, goes=First(asked, lambda _: at_partitions))


def _parse_flags(reply: list[int]) -> list[bool]:
    return [flag == 1 for flag in reply]
