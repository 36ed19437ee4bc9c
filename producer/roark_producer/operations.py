"""Every operation of the ledger as a value: which script, which arguments, how to read the answer.

`Ledger` and `AsyncLedger` run the same operations, so that sync and asyncio callers share scripts and parsing:

    receipts = ledger.run(accept([...]))
    claim = await async_ledger.run(claim(wanted=64, ...))

The scripts' headers say what each one guarantees. All durations are in ms, as the scripts take them.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any, Generic, NewType, TypeVar

import msgspec

from roark_producer.accounts import Accounts
from roark_producer.alerts import AlertKind, Facts, Message, Turn, parse_facts, parse_turns
from roark_producer.flow import NO_LIMITS, FlowRules
from roark_producer.logbook import Action, Deed, doer, parse_deed
from roark_producer.promises import Remembered, UnreadFile, parse_remembered
from roark_producer.records import (
    Entry,
    LaneNews,
    LetterPage,
    Rejected,
    Setup,
    Snapshot,
    parse_entry,
    parse_lane_news,
    parse_page,
    parse_rejected,
    parse_setup,
    parse_snapshot,
)
from roark_producer.report import CallId
from roark_producer.tombstones import pads

T = TypeVar("T")
Argument = bytes | str | int
LeaseToken = NewType("LeaseToken", int)

REJECTED_BYTES = 64_000_000
"""What the rejected bin takes of Redis where nobody says otherwise."""


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
    args: list[Argument] = [revisions, per_wakeup]
    for report in reports:
        args += (report.call_id, report.fingerprint, report.expires_ms, report.packed)

    def parse(reply: list[Any]) -> Accepted:
        return Accepted(tuple(map(_RESULTS.__getitem__, reply[1:])), reply[0] == 1)

    return Operation("accept", tuple(args), parse)


class LaneState(StrEnum):
    """What stands between ready reports and Roark."""

    OPEN = "open"
    HELD = "held"
    PROBING = "probing"
    BREAKER_OPEN = "breaker-open"
    HALF_OPEN = "half-open"
    THROTTLED = "throttled"


class Claimed(msgspec.Struct, frozen=True, gc=False):
    """One report under a lease. `attempts` are those before this one.

    `age_ms` is since it was accepted, `late_ms` since it was due: accepted, or due again.
    """

    call_id: CallId
    token: LeaseToken
    attempts: int
    age_ms: int
    revision: bool
    priority: str
    packed: bytes
    late_ms: int = 0

    def __repr__(self) -> str:
        """Name the call; what was packed is people's data."""
        return f"Claimed({self.call_id!r}, token={self.token})"


@dataclass(frozen=True, slots=True)
class Claim:
    """What the gate handed out; `wait_ms` until asking again makes sense, 0 where nothing forbids it."""

    lane: LaneState
    wait_ms: int
    reports: tuple[Claimed, ...]


def claim(
    *, wanted: int, lease_ms: int, listen_ms: int, most_bytes: int, rules: FlowRules = NO_LIMITS
) -> Operation[Claim]:
    """Take up to `wanted` ready reports under a lease."""

    def parse(reply: list[Any]) -> Claim:
        return Claim(LaneState(reply[0].decode()), int(reply[1]), tuple(map(_parse_claimed, reply[2:])))

    return Operation("claim", (wanted, lease_ms, listen_ms, most_bytes, rules.text()), parse)


def _parse_claimed(row: list[Any]) -> Claimed:
    call_id, token, attempts, age_ms, revision, priority, packed, late_ms = row
    return Claimed(CallId(call_id.decode()), token, attempts, age_ms, revision == 1, priority.decode(), packed, late_ms)


class Held(msgspec.Struct, frozen=True, gc=False):
    """A report that this process holds under a lease."""

    call_id: CallId
    token: LeaseToken


class Signal(IntEnum):
    """What a failed attempt says about Roark, for the breaker (faults), the level and the pace (overload).

    NONE: Roark answered, and it is about this report only. UNSENT: nothing was sent.
    """

    NONE = 0
    FAULT = 1
    OVERLOAD = 2
    BOTH = 3
    UNSENT = 4


class Deliver(msgspec.Struct, frozen=True, gc=False):
    """Roark took the report. `roark_call_id` is its id there, "" where Roark did not say: then it is unconfirmed.

    `age_ms` is how long ago it was accepted; not recorded, but counted once the delivery is.
    """

    held: Held
    roark_call_id: str
    detail: bytes
    took_ms: int = 0
    pause_ms: int = 0
    age_ms: int = 0


@dataclass(frozen=True, slots=True)
class Defer:
    """The attempt failed for a passing reason; the next one is due in `delay_ms`.

    `pause_ms` is how long Roark asked all of us to wait, 0 where it did not.
    """

    held: Held
    delay_ms: int
    reason: str
    detail: bytes
    signal: Signal = Signal.NONE
    pause_ms: int = 0


@dataclass(frozen=True, slots=True)
class Bury:
    """The report cannot be delivered."""

    held: Held
    reason: str
    detail: bytes
    signal: Signal = Signal.NONE


@dataclass(frozen=True, slots=True)
class Refuse:
    """The report was refused in a way that may be true for all, or for it alone: the ledger tells which.

    `message` is what was said. `last_words` take the place of `detail` where the report becomes a dead letter.
    """

    held: Held
    reason: str
    message: str
    detail: bytes
    last_words: bytes
    took_ms: int = 0


class Recorded(list[bool]):
    """Whether each outcome was recorded; False marks a lost lease.

    `news` is what the lane came to with them, as `(what, why)`: `breaker_opened` with the evidence, `lane_held`,
    `lane_open`. `buried` are the places of refused reports that are dead letters now.
    """

    news: tuple[tuple[str, str], ...] = ()
    buried: tuple[int, ...] = ()


def deliver(outcomes: Sequence[Deliver], *, keep_payloads: bool, rules: FlowRules = NO_LIMITS) -> Operation[Recorded]:
    """Record deliveries."""
    args: list[Argument] = [int(keep_payloads), rules.text(), _longest_pause(outcomes)]
    for outcome in outcomes:
        args += (*_pair(outcome.held), outcome.roark_call_id or "-", outcome.detail, outcome.took_ms)
    return Operation("deliver", tuple(args), _parse_recorded)


def defer(
    outcomes: Sequence[Defer], *, rules: FlowRules = NO_LIMITS, causes: Sequence[str] = ()
) -> Operation[Recorded]:
    """Record failed attempts that will be repeated. `causes` say more than the reasons do; without them those count."""
    args: list[Argument] = [rules.text(), _longest_pause(outcomes)]
    for outcome, cause in zip(outcomes, causes or [one.reason for one in outcomes], strict=True):
        args += (*_pair(outcome.held), outcome.delay_ms, outcome.reason, outcome.detail, int(outcome.signal), cause)
    return Operation("defer", tuple(args), _parse_recorded)


def bury(outcomes: Sequence[Bury], *, rules: FlowRules = NO_LIMITS, causes: Sequence[str] = ()) -> Operation[Recorded]:
    """Record reports as dead letters; `causes` as in `defer`."""
    args: list[Argument] = [rules.text()]
    for outcome, cause in zip(outcomes, causes or [one.reason for one in outcomes], strict=True):
        args += (*_pair(outcome.held), outcome.reason, outcome.detail, int(outcome.signal), cause)
    return Operation("bury", tuple(args), _parse_recorded)


def refuse(outcomes: Sequence[Refuse], *, longest_gap_ms: int, most_sends: int) -> Operation[Recorded]:
    """Record refusals: the reports wait or are dead letters, and the lane may be put on hold."""
    args: list[Argument] = [longest_gap_ms, most_sends]
    for one in outcomes:
        args += (*_pair(one.held), one.reason, one.message, one.took_ms, one.detail, one.last_words)
    return Operation("refuse", tuple(args), _parse_recorded)


def release(held: Iterable[Held]) -> Operation[list[bool]]:
    """Give reports back unjudged; False marks a lost lease."""
    return Operation("release", _pairs(held), _parse_flags)


def renew(held: Iterable[Held], *, lease_ms: int) -> Operation[list[bool]]:
    """Prolong leases; False marks a lost one."""
    return Operation("renew", (lease_ms, *_pairs(held)), _parse_flags)


def _longest_pause(outcomes: Sequence[Deliver | Defer]) -> int:
    return max((outcome.pause_ms for outcome in outcomes), default=0)


def _pair(held: Held) -> tuple[Argument, Argument]:
    return held.call_id, held.token


def _pairs(held: Iterable[Held]) -> tuple[Argument, ...]:
    return tuple(argument for one in held for argument in _pair(one))


def _parse_flags(reply: list[int]) -> list[bool]:
    return [flag == 1 for flag in reply]


_BURIED = 2


def _parse_recorded(reply: list[Any]) -> Recorded:
    recorded = Recorded(flag > 0 for flag in reply if isinstance(flag, int))
    recorded.buried = tuple(place for place, flag in enumerate(reply) if flag == _BURIED)
    recorded.news = tuple((what.decode(), why.decode()) for what, why in reply[len(recorded) :])
    return recorded


@dataclass(frozen=True, slots=True)
class Reaped:
    """How many reports came back from workers that died, and the calls whose reports were taken for poison instead."""

    reclaimed: int
    poisoned: tuple[CallId, ...] = ()


def reap(*, most: int, deaths: int) -> Operation[Reaped]:
    """Take back reports whose lease ran out."""
    return Operation(
        "reap", (most, deaths), lambda reply: Reaped(reply[0], tuple(CallId(one.decode()) for one in reply[1:]))
    )


def promote(*, most: int) -> Operation[int]:
    """Make due reports ready; return how many."""
    return Operation("promote", (most,), int)


def forget(*, window_ms: int, most: int) -> Operation[int]:
    """Drop records of deliveries older than the window; return how many."""
    return Operation("forget", (window_ms, most), int)


def pulse(*, quiet_ms: int, rules: FlowRules = NO_LIMITS, plenty: int = 0) -> Operation[bool]:
    """Learn whether a wake-up should be published; `plenty` ready reports deserve one even while others claim."""
    return Operation("pulse", (quiet_ms, rules.text(), plenty), bool)


def hold(
    *, by: str, reason: str, gap_ms: int = 0, longest_gap_ms: int = 0, witness: Held | None = None
) -> Operation[bool]:
    """Stop the lane, by a person's name or by "roark"; return whether it was open before."""
    named = f"{witness.call_id} {witness.token}" if witness else ""
    return Operation("hold", (by, reason, gap_ms, longest_gap_ms, named, doer(by, reason)), bool)


def resume(*, by: str, reason: str = "") -> Operation[bool]:
    """Open the lane; return whether it was held."""
    return Operation("resume", (doer(by, reason),), bool)


def replay(call_ids: Iterable[str], *, detail: bytes) -> Operation[list[str]]:
    """Send dead letters and unconfirmed deliveries again; return `replayed` or the state each call is in instead."""
    return Operation("replay", (detail, *call_ids), _parse_words)


def edit(call_id: str, *, packed: bytes, expires_ms: int, edited_from: bytes, detail: bytes) -> Operation[str]:
    """Put an edited report in a dead letter's place.

    `edited_from` is the packed report that was edited. Returns `edited`, `changed` where another one lies there by now,
    or the state that the call is in instead.
    """
    return Operation("edit", (call_id, _sha1(edited_from), expires_ms, detail, packed), _parse_word)


def unedit(call_id: str, *, expires_ms: int, seen: bytes, detail: bytes) -> Operation[str]:
    """Put the report as it was sent back.

    `seen` is the packed report that is there. Returns `unedited`, `unchanged` where nobody edited it, `changed` where
    another report lies there by now, or the state that the call is in instead.
    """
    return Operation("unedit", (call_id, _sha1(seen), expires_ms, detail), _parse_word)


def set_aside(call_ids: Iterable[str], *, detail: bytes) -> Operation[list[str]]:
    """Make dead letters of reports that wait; return `set aside` or the state each call is in instead."""
    return Operation("set_aside", (detail, *call_ids), _parse_words)


def discard(call_ids: Iterable[str], *, detail: bytes) -> Operation[list[str]]:
    """Put dead letters aside, drop the payloads of unconfirmed deliveries; return `discarded` or the state instead."""
    return Operation("discard", (detail, *call_ids), _parse_words)


def confirm(call_ids: Iterable[str], *, detail: bytes) -> Operation[list[str]]:
    """Take unconfirmed deliveries for good; return `confirmed` or the state each call is in instead."""
    return Operation("confirm", (detail, *call_ids), _parse_words)


def unconfirmed(*, most: int) -> Operation[list[str]]:
    """The ids of unconfirmed deliveries, the oldest first."""
    return Operation("unconfirmed", (most,), _parse_words)


def restore(call_ids: Iterable[str], *, detail: bytes) -> Operation[list[str]]:
    """Bring discarded reports back to the dead letters; return `restored` or the state instead."""
    return Operation("restore", (detail, *call_ids), _parse_words)


@dataclass(frozen=True, slots=True)
class Expired:
    """How many reports retention removed, and how many it announced; those go at `first_ms` at the earliest."""

    removed: int
    announced: int
    first_ms: int


def expire(*, state: str, window_ms: int, notice_ms: int, most: int) -> Operation[Expired]:
    """Remove what has been `dead` or `discarded` for longer than the window, and was announced a notice ago.

    Of what has been `unconfirmed` for so long the payload is dropped.
    """
    args = (state, window_ms, notice_ms, most, doer("retention", f"{state} for too long", window_ms=window_ms))
    return Operation("expire", args, lambda reply: Expired(*map(int, reply)))


@dataclass(frozen=True, slots=True)
class Erased:
    """What was removed of a call. `state` is the one it was in, `unknown` or `erased`; `tombstone` is what is left."""

    state: str
    tombstone: str
    removed: tuple[str, ...]


def erase(call_id: str, *, key: bytes, who: bytes) -> Operation[Erased]:
    """Remove all that is known of a call. `key`, of 32 random bytes, is for a ledger that has erased nothing yet."""

    def parse(reply: list[bytes]) -> Erased:
        state, tombstone, *removed = _parse_words(reply)
        return Erased(state, tombstone, tuple(removed))

    return Operation("erase", (*pads(key), who, call_id), parse)


def erase_rejected(digests: Iterable[str], *, key: bytes, who: bytes) -> Operation[list[str]]:
    """Remove entries of the rejected bin for good and refuse their content later; return their tombstones."""
    return Operation("erase_rejected", (*pads(key), who, *digests), _parse_words)


def _sha1(packed: bytes) -> str:
    return hashlib.sha1(packed, usedforsecurity=False).hexdigest()


def _parse_word(reply: bytes) -> str:
    return reply.decode()


def _parse_words(reply: list[bytes]) -> list[str]:
    return [word.decode() for word in reply]


def snapshot() -> Operation[Snapshot]:
    """Everything that `status` shows."""
    return Operation("snapshot", (), parse_snapshot)


def lane_news(*, again_ms: int) -> Operation[LaneNews | None]:
    """How the lane is, if it is the caller's turn to show that; None where it is not."""
    return Operation("lane_news", (again_ms,), parse_lane_news)


def look(call_id: str) -> Operation[Entry | None]:
    """Everything that is known of one call; None when the ledger has never seen it."""
    return Operation("look", (call_id,), lambda reply: parse_entry(call_id, reply))


def page(
    *,
    most: int,
    place: str = "dead",
    oldest_ms: int = 0,
    youngest_ms: int = 0,
    behind: tuple[int, str] | None = None,
    properties: bool = False,
) -> Operation[LetterPage]:
    """A page of the reports that stand in a place, in its order; the place `delivered` is the latest first.

    `behind` is the score and the id of the last one of the page before, `youngest_ms` what that page said.
    """
    score, call_id = behind or ("", "")
    args = (place, oldest_ms, youngest_ms, score, call_id, most, int(properties))
    return Operation("page", args, lambda reply: parse_page(place, reply))


def note_setup(facts: bytes, *, started: bool, most: int) -> Operation[bool]:
    """Keep how a worker is set up; return whether it is another set-up than the last one."""
    return Operation("note_setup", (facts, int(started), most), bool)


_CREW_PATIENCE_MS = 60_000


def note_crew(worker: str, facts: bytes) -> Operation[int]:
    """Keep how a worker that lives is set up; it says so again every few seconds."""
    return Operation("note_crew", (worker, facts, _CREW_PATIENCE_MS), int)


def crew() -> Operation[dict[str, Setup]]:
    """How the workers that live are set up, by their names."""

    def parse(reply: list[bytes]) -> dict[str, Setup]:
        named = zip(reply[::2], reply[1::2], strict=True)
        return {name.decode(): parse_setup(b"0 0 0 " + facts) for name, facts in named}

    return Operation("crew", (_CREW_PATIENCE_MS,), parse)


def setups() -> Operation[list[Setup]]:
    """How the workers were set up, the oldest first."""
    return Operation("setups", (), lambda lines: [parse_setup(line) for line in lines])


def reject(
    *, digest: str, meta: bytes, packed: bytes, most: int, most_bytes: int = REJECTED_BYTES, spare: bool = False
) -> Operation[bool]:
    """Keep what cannot be used; return whether it is new. What is `spare` makes room for what is not."""
    return Operation("reject", (digest, meta, packed, most, most_bytes, int(spare)), bool)


def rejected_page(*, first: int, most: int) -> Operation[list[Rejected]]:
    """A page of the rejected bin, oldest first."""
    return Operation("rejected", (first, most), lambda rows: [parse_rejected(row) for row in rows])


_UNREJECTED = {
    Action.REJECTED_RETRY: "rejected_retried",
    Action.REJECTED_DISCARD: "rejected_discarded",
}


def unreject(digests: Iterable[str], *, action: Action, who: bytes) -> Operation[int]:
    """Take entries out of the rejected bin; return how many were there. `who` is made by `logbook.doer`."""
    return Operation("unreject", (_UNREJECTED[action], action.value, who, *digests), int)


def log_deed(action: Action, *, who: bytes, count: int = 0, calls: Iterable[str] = ()) -> Operation[str]:
    """Write what somebody is about to do into the logbook; return the line's id. `who` is made by `logbook.doer`.

    For what takes more than one script: those that act write their own line.
    """
    return Operation("log_deed", (action.value, who, count, *calls), lambda reply: str(reply.decode()))


def deeds_page(*, most: int, after: str = "", newest_first: bool = False) -> Operation[list[Deed]]:
    """A page of the logbook, behind the line with the id `after`."""
    order = "newest" if newest_first else "oldest"
    return Operation("deeds", (order, after, most), lambda rows: [parse_deed(row) for row in rows])


def trim_deeds(*, before_ms: int, most: int, who: bytes) -> Operation[int]:
    """Remove up to `most` (of at most 5000) of the logbook's lines from before a time; return how many are gone."""
    return Operation("trim_deeds", (before_ms, most, who), int)


def tally(amounts: dict[str, int]) -> Operation[int]:
    """Add to counters."""
    return Operation("tally", tuple(part for item in amounts.items() for part in item), int)


def alert_facts(*, lately_ms: int, soon_ms: int) -> Operation[Facts]:
    """What alerts are judged by beside the snapshot: recent deaths, audio that ends soon, spools in use."""
    return Operation("alert_facts", (lately_ms, soon_ms), parse_facts)


def take_alerts(
    causes: Mapping[AlertKind, Message], *, lease_ms: int, calm_ms: int, repeat_ms: int, may_send: bool
) -> Operation[list[Turn]]:
    """Take note of what there is cause for; return the messages that are the caller's turn to send."""
    args: list[Argument] = [lease_ms, calm_ms, repeat_ms, int(may_send)]
    for kind in AlertKind:
        args += (kind.value, causes[kind].encode() if kind in causes else b"")
    return Operation("alerts", tuple(args), parse_turns)


def alert_sent(turn: Turn) -> Operation[bool]:
    """Take note that a message was sent; False where the turn was lost meanwhile."""
    return Operation("alert_sent", (turn.kind.value, turn.token), bool)


def note_spool(who: str, *, waiting_bytes: int) -> Operation[int]:
    """Take note of what waits in a webhook's spool; 0 bytes: nothing does."""
    return Operation("note_spool", (who, waiting_bytes), int)


def note_unread(who: str, files: Sequence[UnreadFile]) -> Operation[int]:
    """Take note of what a webhook's spool cannot give back; none: all of it can be read."""
    return Operation("note_unread", (who, msgspec.json.encode(files) if files else b""), int)


def remember(keeper: str, known: Remembered, *, fresh_id: str) -> Operation[Remembered]:
    """Lay what is remembered of the ledger beside it; return what is to be remembered from now on."""
    args: list[Argument] = [fresh_id, keeper, known.ledger, known.accepted, known.open, known.number, known.seen_ms]
    for loss in known.losses:
        args += loss
    return Operation("remember", tuple(args), parse_remembered)


def settle_promises(kind: str, *, who: bytes) -> Operation[int]:
    """Say that what is `lost`, or `unread`, will not come back; return how many entries that were."""
    return Operation("settle", (kind, who), lambda reply: len(reply) // 2)


@dataclass(frozen=True, slots=True)
class Broken:
    """A call that is not in exactly one place; see `verify.lua` for the faults."""

    call_id: str
    state: str
    faults: tuple[str, ...]


def verify(call_ids: Iterable[str], *, listed: bool = False) -> Operation[list[Broken]]:
    """Say which of these calls are not in exactly one place; `listed` ones are on the list of the delivered."""

    def parse(rows: list[list[bytes]]) -> list[Broken]:
        words = ([word.decode() for word in row] for row in rows)
        return [Broken(call_id, state, tuple(faults)) for call_id, state, *faults in words]

    return Operation("verify", (int(listed), *call_ids), parse)


def mend(call_ids: Iterable[str]) -> Operation[list[str]]:
    """Put broken calls where their records say; return `mended` or `sound` for each."""
    return Operation("mend", tuple(call_ids), _parse_words)


def audit_turn(*, who: str, every_ms: int, patience_ms: int) -> Operation[bool]:
    """Ask for the turn to audit the ledger, or keep it; return whether it is the caller's."""
    return Operation("audit_turn", (who, every_ms, patience_ms), bool)


def audit_done(found: Accounts, *, who: str = "") -> Operation[int]:
    """Keep what an audit found; `who` gives the turn back that it had."""
    miscounted = "\n".join(found.miscounted)
    args = (found.difference, found.broken, found.looked_at, found.took_ms, miscounted, who)
    return Operation("audit_done", args, int)
