"""Every operation of the ledger as a value: which script, which arguments, how to read the answer.

`Ledger` and `AsyncLedger` run the same operations, so that sync and asyncio callers share scripts and parsing:

    receipts = ledger.run(accept([...]))
    claim = await async_ledger.run(claim(wanted=64, ...))

The scripts' headers say what each one guarantees. All durations are in ms, as the scripts take them.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, NewType, TypeVar

from roark_producer.records import (
    DeadLetter,
    Entry,
    Snapshot,
    parse_dead_letter,
    parse_entry,
    parse_snapshot,
)
from roark_producer.report import CallId

T = TypeVar("T")
Argument = bytes | str | int
LeaseToken = NewType("LeaseToken", int)


@dataclass(frozen=True, slots=True)
class Operation(Generic[T]):
    """One call of one script. `args` leave out the time, which the ledger puts in front."""

    script: str
    args: tuple[Argument, ...]
    parse: Callable[[Any], T]


class Result(StrEnum):
    """What `accept` did with a report."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    REPLACED = "replaced"
    REVISION = "revision"
    ERASED = "erased"


@dataclass(frozen=True, slots=True)
class Acceptable:
    """What `accept` needs of a report: `packed` is made by `packing.pack`."""

    call_id: CallId
    fingerprint: str
    packed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The results in the order of the reports, and whether a wake-up should be published."""

    results: tuple[Result, ...]
    wake: bool


def accept(reports: Sequence[Acceptable], *, revisions: str, per_wakeup: int) -> Operation[Accepted]:
    """Store reports and queue them, or learn that they are known."""
    args: list[Argument] = [revisions, per_wakeup]
    for report in reports:
        args += (report.call_id, report.fingerprint, report.packed)

    def parse(reply: list[Any]) -> Accepted:
        return Accepted(tuple(Result(word.decode()) for word in reply[1:]), reply[0] == 1)

    return Operation("accept", tuple(args), parse)


class LaneState(StrEnum):
    """What stands between ready reports and Roark."""

    OPEN = "open"
    HELD = "held"
    PROBING = "probing"


@dataclass(frozen=True, slots=True)
class Claimed:
    """One report under a lease. `attempts` are those before this one, `age_ms` is since it was accepted."""

    call_id: CallId
    token: LeaseToken
    attempts: int
    age_ms: int
    revision: bool
    priority: str
    packed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Claim:
    """What the gate handed out; `wait_ms` until asking again makes sense, 0 where nothing forbids it."""

    lane: LaneState
    wait_ms: int
    reports: tuple[Claimed, ...]


def claim(*, wanted: int, lease_ms: int, listen_ms: int, most_bytes: int) -> Operation[Claim]:
    """Take up to `wanted` ready reports under a lease."""

    def parse(reply: list[Any]) -> Claim:
        return Claim(LaneState(reply[0].decode()), int(reply[1]), tuple(map(_parse_claimed, reply[2:])))

    return Operation("claim", (wanted, lease_ms, listen_ms, most_bytes), parse)


def _parse_claimed(row: list[Any]) -> Claimed:
    call_id, token, attempts, age_ms, revision, priority, packed = row
    return Claimed(
        call_id=CallId(call_id.decode()),
        token=LeaseToken(token),
        attempts=attempts,
        age_ms=age_ms,
        revision=revision == 1,
        priority=priority.decode(),
        packed=packed,
    )


@dataclass(frozen=True, slots=True)
class Held:
    """A report that this process holds under a lease."""

    call_id: CallId
    token: LeaseToken


@dataclass(frozen=True, slots=True)
class Deliver:
    """Roark took the report. `roark_call_id` is its id there, "" where Roark did not say."""

    held: Held
    roark_call_id: str
    detail: bytes


@dataclass(frozen=True, slots=True)
class Defer:
    """The attempt failed for a passing reason; the next one is due in `delay_ms`."""

    held: Held
    delay_ms: int
    reason: str
    detail: bytes


@dataclass(frozen=True, slots=True)
class Bury:
    """The report cannot be delivered."""

    held: Held
    reason: str
    detail: bytes


def deliver(outcomes: Iterable[Deliver], *, keep_payloads: bool) -> Operation[list[bool]]:
    """Record deliveries; False marks a lost lease."""
    args: list[Argument] = [int(keep_payloads)]
    for outcome in outcomes:
        args += (*_pair(outcome.held), outcome.roark_call_id or "-", outcome.detail)
    return Operation("deliver", tuple(args), _parse_flags)


def defer(outcomes: Iterable[Defer]) -> Operation[list[bool]]:
    """Record failed attempts that will be repeated; False marks a lost lease."""
    args: list[Argument] = []
    for outcome in outcomes:
        args += (*_pair(outcome.held), outcome.delay_ms, outcome.reason, outcome.detail)
    return Operation("defer", tuple(args), _parse_flags)


def bury(outcomes: Iterable[Bury]) -> Operation[list[bool]]:
    """Record reports as dead letters; False marks a lost lease."""
    args: list[Argument] = []
    for outcome in outcomes:
        args += (*_pair(outcome.held), outcome.reason, outcome.detail)
    return Operation("bury", tuple(args), _parse_flags)


def release(held: Iterable[Held]) -> Operation[list[bool]]:
    """Give reports back unjudged; False marks a lost lease."""
    return Operation("release", _pairs(held), _parse_flags)


def renew(held: Iterable[Held], *, lease_ms: int) -> Operation[list[bool]]:
    """Prolong leases; False marks a lost one."""
    return Operation("renew", (lease_ms, *_pairs(held)), _parse_flags)


def _pair(held: Held) -> tuple[Argument, Argument]:
    return held.call_id, held.token


def _pairs(held: Iterable[Held]) -> tuple[Argument, ...]:
    return tuple(argument for one in held for argument in _pair(one))


def _parse_flags(reply: list[int]) -> list[bool]:
    return [flag == 1 for flag in reply]


@dataclass(frozen=True, slots=True)
class Reaped:
    """How many reports came back from workers that died, and how many of them were taken for poison."""

    reclaimed: int
    poisoned: int


def reap(*, most: int, deaths: int) -> Operation[Reaped]:
    """Take back reports whose lease ran out."""
    return Operation("reap", (most, deaths), lambda reply: Reaped(int(reply[0]), int(reply[1])))


def promote(*, most: int) -> Operation[int]:
    """Make due reports ready; return how many."""
    return Operation("promote", (most,), int)


def forget(*, window_ms: int, most: int) -> Operation[int]:
    """Drop records of deliveries older than the window; return how many."""
    return Operation("forget", (window_ms, most), int)


def pulse(*, quiet_ms: int) -> Operation[bool]:
    """Learn whether a wake-up should be published."""
    return Operation("pulse", (quiet_ms,), bool)


def hold(
    *, by: str, reason: str, gap_ms: int = 0, longest_gap_ms: int = 0, witness: Held | None = None
) -> Operation[bool]:
    """Stop the lane, by a person's name or by "roark"; return whether it was open before."""
    named = f"{witness.call_id} {witness.token}" if witness else ""
    return Operation("hold", (by, reason, gap_ms, longest_gap_ms, named), bool)


def resume() -> Operation[bool]:
    """Open the lane; return whether it was held."""
    return Operation("resume", (), bool)


def replay(call_ids: Iterable[str], *, detail: bytes) -> Operation[list[str]]:
    """Send dead letters again; return `replayed` or the state each call is in instead."""
    return Operation("replay", (detail, *call_ids), _parse_words)


def discard(call_ids: Iterable[str], *, detail: bytes) -> Operation[list[str]]:
    """Put dead letters aside; return `discarded` or the state each call is in instead."""
    return Operation("discard", (detail, *call_ids), _parse_words)


def restore(call_ids: Iterable[str], *, detail: bytes) -> Operation[list[str]]:
    """Bring discarded reports back to the dead letters; return `restored` or the state instead."""
    return Operation("restore", (detail, *call_ids), _parse_words)


def erase(call_id: str, *, salt: str) -> Operation[str]:
    """Remove all that is known of a call; return the state it was in, `unknown` or `erased`."""
    return Operation("erase", (salt, call_id), lambda reply: str(reply.decode()))


def _parse_words(reply: list[bytes]) -> list[str]:
    return [word.decode() for word in reply]


def snapshot() -> Operation[Snapshot]:
    """Everything that `status` shows."""
    return Operation("snapshot", (), parse_snapshot)


def look(call_id: str) -> Operation[Entry | None]:
    """Everything that is known of one call; None when the ledger has never seen it."""
    return Operation("look", (call_id,), lambda reply: parse_entry(call_id, reply))


def dead_page(*, first: int, most: int, state: str = "dead") -> Operation[list[DeadLetter]]:
    """A page of the dead letters (or of the discarded), oldest first."""
    return Operation("dead", (state, first, most), lambda rows: [parse_dead_letter(row) for row in rows])


def reject(*, digest: str, meta: bytes, packed: bytes, most: int) -> Operation[bool]:
    """Keep what cannot be used; return whether it is new."""
    return Operation("reject", (digest, meta, packed, most), bool)


def tally(amounts: dict[str, int]) -> Operation[int]:
    """Add to counters."""
    return Operation("tally", tuple(part for item in amounts.items() for part in item), int)
