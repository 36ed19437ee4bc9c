"""Moves of whoever takes reports in: accept them, keep what cannot be used, count."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec

from roark_ledger.ids import CallId
from roark_ledger.moves.goes import ByCall, Places, in_order
from roark_ledger.moves.operation import Argument, Operation
from roark_ledger.packing import ended_ms_of

if TYPE_CHECKING:
    from roark_ledger.records.promises import UnreadFile

REJECTED_BYTES = 64_000_000
"""What the rejected bin takes of Redis where nobody says otherwise."""


class Result(StrEnum):
    """What became of a report that was submitted. Each is a `str`, too: `Result.ACCEPTED == "accepted"`.

    The ledger says the first five. The others never reach it: what is unusable, and messages that are no reports.
    """

    ACCEPTED = "accepted"
    """A new call; it will be delivered."""
    DUPLICATE = "duplicate"
    """The same report again; nothing to do."""
    REPLACED = "replaced"
    """A newer report of a call that is still pending: it takes the older one's place."""
    REVISION = "revision"
    """A newer report of a call that was delivered: kept beside it (see ROARK_INGEST_REVISIONS)."""
    ERASED = "erased"
    """Its call was erased, so the report is refused."""
    REJECTED = "rejected"
    """Unusable, and kept in the rejected bin; the receipt's reason names the field and the problem."""
    IGNORED = "ignored"
    """A Vapi message of another type; counted, not kept."""


_RESULTS = {result.value.encode(): result for result in Result}


class Acceptable(msgspec.Struct, frozen=True, gc=False):
    """What `accept` needs of a report: `packed` is made by `packing.pack`.

    `expires_ms` is the Unix time at which its audio links end, 0 where it names none.
    """

    call_id: CallId
    fingerprint: str
    packed: bytes
    expires_ms: int = 0

    def __repr__(self) -> str:
        """Name the call; what was packed is people's data."""
        return f"Acceptable({self.call_id!r}, {self.fingerprint!r})"


@dataclass(frozen=True, slots=True)
class Accepted:
    """The results in the order of the reports, and whether a wake-up should be published."""

    results: tuple[Result, ...]
    wake: bool


def accept(reports: Sequence[Acceptable], *, revisions: str, per_wakeup: int) -> Operation[Accepted]:
    """Store reports and queue them, or learn that they are known."""
    due = "".join("d" if ended_ms_of(report.packed) else "-" for report in reports)
    args: list[Argument] = [revisions, per_wakeup, due]
    for report in reports:
        args += (report.call_id, report.fingerprint, report.expires_ms, report.packed)

    def parse(reply: list[Any]) -> Accepted:
        return Accepted(tuple(map(_RESULTS.__getitem__, reply[1:])), reply[0] == 1)

    def some(places: Places) -> Operation[Accepted]:
        return accept([reports[place] for place in places], revisions=revisions, per_wakeup=per_wakeup)

    def join(answers: Sequence[tuple[Places, Accepted]]) -> Accepted:
        results = in_order([(places, list(answer.results)) for places, answer in answers])
        return Accepted(tuple(results), any(answer.wake for _, answer in answers))

    return Operation("accept", tuple(args), parse, ByCall([report.call_id for report in reports], some, join))


def reject(
    *, digest: str, meta: bytes, packed: bytes, most: int, most_bytes: int = REJECTED_BYTES, spare: bool = False
) -> Operation[bool]:
    """Keep what cannot be used; return whether it is new. What is `spare` makes room for what is not."""
    return Operation("reject", (digest, meta, packed, most, most_bytes, int(spare)), bool)


def tally(amounts: dict[str, int]) -> Operation[int]:
    """Add to counters."""
    return Operation("tally", tuple(part for item in amounts.items() for part in item), int)


def note_spool(who: str, *, waiting_bytes: int, why: str = "") -> Operation[int]:
    """Take note of what waits in a webhook's spool, and why; 0 bytes: nothing does."""
    return Operation("note_spool", (who, waiting_bytes, why), int)


def note_unread(who: str, files: "Sequence[UnreadFile]") -> Operation[int]:
    """Take note of what a webhook's spool cannot give back; none: all of it can be read."""
    return Operation("note_unread", (who, msgspec.json.encode(files) if files else b""), int)
