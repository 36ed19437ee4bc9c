"""Looking deliveries up at Roark: what is due, and what was found. The scripts' headers say what each guarantees."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from roark_ledger.moves.operation import Argument, Operation

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

    return Operation("receipts_turn", (who, patience_ms, most, _SKIP_MS), parse)


def receipts_note(
    found: Iterable[LookedUp], *, in_time_ms: int, ages_ms: Sequence[int], error: str = ""
) -> Operation[list[bool]]:
    """Keep what was found, and by which code nothing could be; False marks what was known already."""
    args: list[Argument] = [error, in_time_ms, " ".join(map(str, ages_ms))]
    for one in found:
        args += (one.due.call_id, one.due.roark_call_id, one.due.due_ms, int(one.visible), one.detail)
    return Operation("receipts_note", tuple(args), lambda reply: [flag == 1 for flag in reply])
