"""What the ledger knows of the comparison with Vapi's list of calls, and the operations by which it is made.

`reconcile_turn` gives a worker the turn, `reconcile_look` says where the listed calls are, `note_missing` and
`backfill` keep what is not here, `reconcile_note` how far the pass came; `ask_vapi` says when Vapi may be asked at all.
The scripts' headers say what each guarantees.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from roark_ledger.moves.goes import ByCall, Places
from roark_ledger.moves.intake import Acceptable
from roark_ledger.moves.operation import Argument, Operation, for_calls, parse_words
from roark_ledger.records.reconciled import Reconciled

__all__ = [
    "Reconciled",
    "Stand",
    "Turned",
    "Whereabouts",
    "ask_vapi",
    "backfill",
    "note_missing",
    "reconcile_look",
    "reconcile_note",
    "reconcile_turn",
]


@dataclass(frozen=True, slots=True)
class Stand:
    """How far the passes of the workers have come; Unix ms, 0 for never.

    Of what was created before `watermark_ms` each window was read whole. `swept_ms` is when the last whole pass began,
    `full_ms` when the last one over all that Vapi keeps did, `full_next_ms` where one that was broken off goes on.
    """

    watermark_ms: int = 0
    swept_ms: int = 0
    full_ms: int = 0
    full_next_ms: int = 0


def reconcile_turn(*, who: str, every_ms: int, patience_ms: int) -> Operation[Stand | None]:
    """Ask for the turn to compare with Vapi; None where it is not the caller's."""

    def parse(reply: list[Any]) -> Stand | None:
        return Stand(*map(int, reply)) if reply else None

    return Operation("reconcile_turn", (who, every_ms, patience_ms), parse)


def reconcile_note(
    *,
    who: str,
    phase: Literal["going", "done", "failed"] = "going",
    error: str = "",
    stand: Mapping[str, int] | None = None,
    result: Mapping[str, Any] | None = None,
) -> Operation[bool]:
    """Keep how far the pass came, and the turn; False where it was lost. `stand`: the fields of Stand, without _ms."""
    args: list[Argument] = [who, phase, error]
    for name, value in (stand or {}).items():
        args += (name, value)
    if result is not None:
        args += ("result", msgspec.json.encode(result))
    return Operation("reconcile_note", tuple(args), bool)


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a call's report is: `state` is one, or unconfirmed, expired, erased or unknown.

    `roark_call_id` is what Roark named it, and `receipt` what a look for it there found: `seen`, `unseen` or "".
    """

    state: str
    roark_call_id: str = ""
    receipt: str = ""


def reconcile_look(call_ids: Iterable[str]) -> Operation[list[Whereabouts]]:
    """Say where the report of each call is."""

    def parse(reply: list[bytes]) -> list[Whereabouts]:
        return [Whereabouts(*word.decode().split(" ")[:3]) for word in reply]

    return for_calls("reconcile_look", (), ((each,) for each in call_ids), parse)


def note_missing(
    calls: Iterable[tuple[str, int]] = (), *, oldest_ms: int, first: int = 0, most: int = 0
) -> Operation[tuple[int, int]]:
    """Keep missing calls with their ends, and look at `most` of the kept ones again.

    Returns how many are missing, and the place to go on at, 0 when all were looked at.
    """
    missing = list(calls)

    def some(places: Places) -> Operation[tuple[int, int]]:
        return note_missing([missing[place] for place in places], oldest_ms=oldest_ms, first=first, most=most)

    def join(answers: Sequence[tuple[Places, tuple[int, int]]]) -> tuple[int, int]:
        numbers, places_to_go_on = zip(*(answer for _, answer in answers), strict=True)
        return sum(numbers), min(filter(None, places_to_go_on), default=0)

    return Operation(
        "note_missing",
        (oldest_ms, first, most, *(part for call in missing for part in call)),
        lambda reply: (int(reply[0]), int(reply[1])),
        ByCall([call_id for call_id, _ in missing], some, join, none_too=True),
    )


def backfill(reports: Sequence[Acceptable], *, detail: bytes) -> Operation[list[str]]:
    """Store reports of calls that the ledger does not know; return accepted, known, erased or expired for each."""
    rows = ((report.call_id, report.fingerprint, report.expires_ms, report.packed) for report in reports)
    return for_calls("backfill", (detail,), rows, parse_words)


@dataclass(frozen=True, slots=True)
class Turned:
    """Vapi may be asked in `wait_ms`. Where that is too long, come back in `back_ms`; with neither, not at all."""

    wait_ms: int | None
    back_ms: int | None = None


def ask_vapi(*, gap_ms: int, patience_ms: int, latest_ms: int) -> Operation[Turned]:
    """Take one of the moments, `gap_ms` apart, in which any process may ask Vapi.

    Takes none where it is further away than `patience_ms` (-1: in any case).
    """

    def parse(reply: list[int]) -> Turned:
        wait_ms, back_ms = (int(one) if int(one) >= 0 else None for one in reply)
        return Turned(wait_ms, back_ms)

    return Operation("ask_vapi", (gap_ms, patience_ms, latest_ms), parse)
