"""Moves on a report's way to Roark: claim, settle (deliver, defer, refuse, bury, release), and the lane's hold.

The scripts' headers say what each one guarantees. All durations are in ms, as the scripts take them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import msgspec

from roark_ledger.flow import NO_LIMITS, FlowRules
from roark_ledger.ids import CallId, LeaseToken
from roark_ledger.lane_states import LaneState as LaneState  # noqa: PLC0414 a claim's answer has it
from roark_ledger.moves.goes import Claims, Refuses, Renews, Settles
from roark_ledger.moves.operation import Argument, Operation
from roark_ledger.records.logbook import doer
from roark_ledger.routes import Route


class Claimed(msgspec.Struct, frozen=True, gc=False):
    """One report under a lease. `attempts` are those before this one.

    `age_ms` is since it was accepted, `late_ms` since it was due: accepted, or due again. `route` is Roark's way in by
    which it must go.
    """

    call_id: CallId
    token: LeaseToken
    attempts: int
    age_ms: int
    revision: bool
    priority: str
    packed: bytes
    late_ms: int = 0
    route: Route = "vapi"

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
    *,
    wanted: int,
    lease_ms: int,
    listen_ms: int,
    most_bytes: int,
    rules: FlowRules = NO_LIMITS,
    route: Route = "vapi",
    which: str = "",
) -> Operation[Claim]:
    """Take up to `wanted` ready reports under a lease. What was sent by another way than `route` stays on it.

    `which` ones is told to a partition, whose lane is elsewhere: see `Share` in `partitions/splitting.py`.
    """

    def parse(reply: list[Any]) -> Claim:
        return Claim(LaneState(reply[0].decode()), int(reply[1]), tuple(map(_parse_claimed, reply[2:])))

    def some(number: int, their_bytes: int, lanes_route: Route | None, which: str) -> Operation[Claim]:
        return claim(
            wanted=number,
            lease_ms=lease_ms,
            listen_ms=listen_ms,
            most_bytes=their_bytes,
            route=lanes_route or route,
            which=which,
        )

    args = (wanted, lease_ms, listen_ms, most_bytes, rules.text(), route, *([which] if which else []))
    return Operation("claim", args, parse, Claims(wanted, lease_ms, listen_ms, most_bytes, rules, some))


def _parse_claimed(row: list[Any]) -> Claimed:
    call_id, token, attempts, age_ms, revision, priority, packed, late_ms, route = row
    facts = (CallId(call_id.decode()), token, attempts, age_ms, revision == 1, priority.decode(), packed, late_ms)
    return Claimed(*facts, "call" if route == b"call" else "vapi")


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

    `age_ms` is how long ago it was accepted; not recorded, but counted once the delivery is. `in_time` says that this
    was soon after its call's end, `look_up` that it is to be looked up there.
    """

    held: Held
    roark_call_id: str
    detail: bytes
    took_ms: int = 0
    pause_ms: int = 0
    age_ms: int = 0
    in_time: bool = False
    look_up: bool = False


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
    """The report cannot be delivered. Where `reason` is that no try is left, `failed_of` is the last attempt's."""

    held: Held
    reason: str
    detail: bytes
    signal: Signal = Signal.NONE
    failed_of: str = ""


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


@dataclass(frozen=True, slots=True)
class Release:
    """The report goes back to its queue, unjudged."""

    held: Held


Outcome = Deliver | Defer | Bury | Refuse | Release


class Recorded(list[bool]):
    """Whether each outcome was recorded; False marks a lost lease.

    `news` is what the lane came to with them, as `(what, why)`: `breaker_opened` with the evidence, `lane_held`,
    `lane_open`. `buried` are the places of refused reports that are dead letters now, `away` those of outcomes whose
    partition is away: they are neither recorded nor lost.
    """

    news: tuple[tuple[str, str], ...] = ()
    buried: tuple[int, ...] = ()
    away: tuple[int, ...] = ()


_LETTERS = {(False, False): "-", (True, False): "t", (False, True): "l", (True, True): "b"}


def deliver(
    outcomes: Sequence[Deliver], *, keep_payloads: bool, rules: FlowRules = NO_LIMITS, first_look_ms: int = 0
) -> Operation[Recorded]:
    """Record deliveries. Those to be looked up at Roark are due in `first_look_ms`; 0: none is."""
    args: list[Argument] = [int(keep_payloads), rules.text(), _longest_pause(outcomes), first_look_ms]
    args.append("".join(_LETTERS[one.in_time, one.look_up] for one in outcomes))
    for outcome in outcomes:
        args += (*_pair(outcome.held), outcome.roark_call_id or "-", outcome.detail, outcome.took_ms)

    def some(theirs: Sequence[Deliver]) -> Operation[Recorded]:
        return deliver(theirs, keep_payloads=keep_payloads, first_look_ms=first_look_ms)

    return Operation("deliver", tuple(args), _parse_recorded, Settles(outcomes, rules, some))


def defer(outcomes: Sequence[Defer], *, rules: FlowRules = NO_LIMITS) -> Operation[Recorded]:
    """Record failed attempts that will be repeated."""
    args: list[Argument] = [rules.text(), _longest_pause(outcomes)]
    for one in outcomes:
        args += (*_pair(one.held), one.delay_ms, one.reason, one.detail, int(one.signal))
    return Operation("defer", tuple(args), _parse_recorded, Settles(outcomes, rules, defer))


def bury(outcomes: Sequence[Bury], *, rules: FlowRules = NO_LIMITS) -> Operation[Recorded]:
    """Record reports as dead letters."""
    args: list[Argument] = [rules.text()]
    for one in outcomes:
        args += (*_pair(one.held), one.reason, one.detail, int(one.signal), one.failed_of or one.reason)
    return Operation("bury", tuple(args), _parse_recorded, Settles(outcomes, rules, bury))


def refuse(outcomes: Sequence[Refuse], *, longest_gap_ms: int, most_sends: int) -> Operation[Recorded]:
    """Record refusals: the reports wait or are dead letters, and the lane may be put on hold."""
    args: list[Argument] = [longest_gap_ms, most_sends]
    for one in outcomes:
        args += (*_pair(one.held), one.reason, one.message, one.took_ms, one.detail, one.last_words)

    return Operation("refuse", tuple(args), _parse_recorded, Refuses(outcomes, longest_gap_ms, most_sends))


def release(held: Iterable[Held]) -> Operation[list[bool]]:
    """Give reports back unjudged; False marks a lost lease."""
    released = list(map(Release, held))

    def some(theirs: Sequence[Release]) -> Operation[list[bool]]:
        return release(one.held for one in theirs)

    return Operation("release", pairs(one.held for one in released), _parse_flags, Settles(released, NO_LIMITS, some))


def renew(held: Iterable[Held], *, lease_ms: int) -> Operation[list[bool]]:
    """Prolong leases; False marks a lost one."""
    held = list(held)
    return Operation("renew", (lease_ms, *pairs(held)), _parse_flags, Renews(held, lease_ms))


def _longest_pause(outcomes: Sequence[Deliver | Defer]) -> int:
    return max((outcome.pause_ms for outcome in outcomes), default=0)


def _pair(held: Held) -> tuple[Argument, Argument]:
    return held.call_id, held.token


def pairs(held: Iterable[Held]) -> tuple[Argument, ...]:
    return tuple(argument for one in held for argument in _pair(one))


def _parse_flags(reply: list[int]) -> list[bool]:
    return [flag == 1 for flag in reply]


_BURIED = 2


def _parse_recorded(reply: list[Any]) -> Recorded:
    recorded = Recorded(flag > 0 for flag in reply if isinstance(flag, int))
    recorded.buried = tuple(place for place, flag in enumerate(reply) if flag == _BURIED)
    recorded.news = tuple((what.decode(), why.decode()) for what, why in reply[len(recorded) :])
    return recorded


def hold(
    *, by: str, reason: str, gap_ms: int = 0, longest_gap_ms: int = 0, witness: Held | None = None
) -> Operation[bool]:
    """Stop the lane, by a person's name or by "roark"; return whether it was open before."""
    named = f"{witness.call_id} {witness.token}" if witness else ""
    return Operation("hold", (by, reason, gap_ms, longest_gap_ms, named, doer(by, reason)), bool)


def resume(*, by: str, reason: str = "") -> Operation[bool]:
    """Open the lane; return whether it was held."""
    return Operation("resume", (doer(by, reason),), bool)
