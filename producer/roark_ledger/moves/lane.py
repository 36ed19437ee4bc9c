"""Moves of the lane where reports lie in partitions, and the lane in their home: leave to upload, what came of it.

    permit           the home's gate: leave for so many uploads, counted as if they were under way
    outcomes         what came of them: rate, level, breaker, hold and probes learn from that; judges refusals
    give_back        leave that was not used
    prolong          of uploads that take long
    passes           whether the lane would let one through
    forget_refusals  of calls that are erased
    ready            what is ready in a partition
    probe_candidate  what a partition would probe with
    note_resumed     tells a partition that the lane was opened again
    refused_before   which reports a partition knows to have been refused
    refuse           records in a partition what the home made of a refusal

**What holds, and how exactly.** A permit is a member of the home's `uploading` from before its upload starts until its
outcome is told, so the level counts every upload, and is never exceeded, but by uploads that outlive their lease, as in
a ledger of one partition. Who is given permits starts uploads by them for `PERMIT_SECONDS` and no longer, by its own
monotonic clock, from before it asked; it gives back the rest. With a rate of R a second, a burst of B and a level of L,
and t for those seconds:

    level            no more than L at any time
    rate             no more than R x (w + t) + B starts in any w seconds
    hold, breaker,   once one is in force, no more than min(L, R x t + B) uploads start that were permitted before, all
    pause            within t
    probe            one, never two: leave for a probe is one permit, and no other is given before it has ended

Who uses its permits as soon as it has them, as `partitions/lane.py` does, stays far below that: t is then the time that
partitions take to hand out reports, some milliseconds.

What is given back gives the rate back what it was charged, less what the rate let through meanwhile; never more than
was charged. So polling for reports that are not there costs no rate, and heaps up none.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NewType

import msgspec

from roark_ledger.flow import NO_LIMITS, FlowRules
from roark_ledger.lane_states import LaneState
from roark_ledger.moves.delivery import Bury, Claimed, Defer, Deliver, Outcome, Recorded, Refuse, Signal
from roark_ledger.moves.operation import Argument, Operation
from roark_ledger.routes import Route

PermitId = NewType("PermitId", str)

PERMIT_SECONDS = 1.0
"""For so long uploads may start by a permit, from before it was asked for."""
NEUTRAL = FlowRules()
"""The rules by which a partition is run: none, since its home has asked them."""


@dataclass(frozen=True, slots=True)
class Leave:
    """What the home's gate let through; `wait_ms` until asking again makes sense, 0 where nothing forbids it.

    Where `lane` is not open and there is a permit, it is for a probe. `route` is the way in to which a person switched,
    None where the workers' setting counts; `resumed_ms` how long ago the lane was opened again, None where it was not.
    """

    lane: LaneState
    wait_ms: int
    permits: tuple[PermitId, ...]
    route: Route | None = None
    resumed_ms: int | None = None

    @property
    def is_for_probe(self) -> bool:
        """Whether the one upload that may start is to find out whether Roark still refuses all."""
        return self.lane is LaneState.PROBING


def permit(*, wanted: int, lease_ms: int, rules: FlowRules, ready: int, untried: int) -> Operation[Leave]:
    """Ask for leave to start up to `wanted` uploads; `ready` reports are known to be, `untried` of them fresh."""

    def parse(reply: list[Any]) -> Leave:
        lane, wait_ms, route, resumed_ms = LaneState(reply[0].decode()), int(reply[1]), reply[2].decode(), int(reply[3])
        permits = tuple(PermitId(each.decode()) for each in reply[4:])
        return Leave(lane, wait_ms, permits, route or None, None if resumed_ms < 0 else resumed_ms)

    return Operation("permit", (wanted, lease_ms, rules.text(), ready, untried), parse)


def give_back(permits: Iterable[PermitId], *, rules: FlowRules) -> Operation[int]:
    """End permits by which nothing was started; return how many were still given."""
    return Operation("give_back", (rules.text(), *permits), int)


def prolong(permits: Iterable[PermitId], *, lease_ms: int) -> Operation[list[bool]]:
    """Prolong permits; False marks one that had ended."""
    return Operation("prolong", (lease_ms, *permits), lambda reply: [flag == 1 for flag in reply])


def passes(*, rules: FlowRules) -> Operation[bool]:
    """Learn whether an upload might start now."""
    return Operation("passes", (rules.text(),), bool)


def forget_refusals(call_ids: Iterable[str]) -> Operation[int]:
    """Forget at home that these calls' reports were refused, or failed; return of how many a refusal was known."""
    return Operation("forget_refusals", tuple(call_ids), int)


@dataclass(frozen=True, slots=True)
class Uploaded:
    """What came of one upload. `outcome` None: it is not judged, as it was given back, or lost its lease.

    Of a refusal, `anew` says that its partition knows of no earlier one of this report.
    """

    permit: PermitId
    call_id: str
    outcome: Outcome | None
    anew: bool = False


@dataclass(frozen=True, slots=True)
class Noted:
    """What the lane made of uploads.

    `flags` say whether each was noted, `sends` for each refusal how often its report was refused in all, negative where
    it is a dead letter of it, and 0 for others. `news` are those of `Recorded`.
    """

    flags: tuple[bool, ...]
    sends: tuple[int, ...]
    news: tuple[tuple[str, str], ...] = ()


def outcomes(
    uploaded: Sequence[Uploaded],
    *,
    rules: FlowRules = NO_LIMITS,
    ready: int = 0,
    longest_gap_ms: int = 0,
    most_sends: int = 0,
) -> Operation[Noted]:
    """Tell the home what came of uploads, and learn what each refusal means, for which the last two are.

    `ready` is as in `permit`.
    """
    args: list[Argument] = [rules.text(), _pause_ms(uploaded), longest_gap_ms, most_sends, ready]
    for one in uploaded:
        args += (one.permit, one.call_id, *_as_told(one))

    def parse(reply: list[Any]) -> Noted:
        numbers = reply[: len(uploaded)]
        refused = [isinstance(one.outcome, Refuse) for one in uploaded]
        return Noted(
            tuple(number != 0 for number in numbers),
            tuple(number if is_refused else 0 for number, is_refused in zip(numbers, refused, strict=True)),
            tuple((what.decode(), why.decode()) for what, why in reply[len(uploaded) :]),
        )

    return Operation("outcomes", tuple(args), parse)


def in_partition(outcome: Outcome) -> Outcome:
    """Return the outcome as its partition is told it: without what is about all reports, which the home learns."""
    match outcome:
        case Deliver(pause_ms=pause_ms) if pause_ms:
            return msgspec.structs.replace(outcome, pause_ms=0)
        case Defer() | Bury() if outcome.signal not in {Signal.NONE, Signal.UNSENT}:
            outcome = replace(outcome, signal=Signal.NONE)
    return replace(outcome, pause_ms=0) if isinstance(outcome, Defer) and outcome.pause_ms else outcome


def _pause_ms(uploaded: Sequence[Uploaded]) -> int:
    return max((getattr(one.outcome, "pause_ms", 0) for one in uploaded), default=0)


def _as_told(uploaded: Uploaded) -> tuple[Argument, ...]:
    match uploaded.outcome:
        case Deliver(took_ms=took_ms):
            return "good", took_ms, "", ""
        case Defer(signal=signal, reason=reason):
            return int(signal), 0, reason, ""
        case Bury(signal=signal, reason=reason, failed_of=failed_of):
            return f"dead{int(signal)}", 0, failed_of or reason, ""
        case Refuse(took_ms=took_ms, reason=reason, message=message):
            return "refused-anew" if uploaded.anew else "refused", took_ms, reason, message
        case _:
            return "unjudged", 0, "", ""


@dataclass(frozen=True, slots=True)
class Queue:
    """The reports that are ready in one queue; `age_ms` is for how long the oldest has been."""

    number: int = 0
    age_ms: int = 0


@dataclass(frozen=True, slots=True)
class Ready:
    """What is ready in one partition. `perishable` reports stand in the queues as well."""

    perishable: int = 0
    fresh: Queue = Queue()
    retry: Queue = Queue()
    replay: Queue = Queue()

    @property
    def number(self) -> int:
        """How many reports are ready."""
        return self.fresh.number + self.retry.number + self.replay.number

    def less(self, claimed: Sequence[Claimed]) -> "Ready":
        """Return what is left when these were claimed."""
        by_letter = Counter(one.priority for one in claimed)
        fresh, retry, replay = (
            Queue(left, queue.age_ms) if (left := queue.number - by_letter[letter]) > 0 else Queue()
            for letter, queue in (("f", self.fresh), ("r", self.retry), ("p", self.replay))
        )
        return Ready(max(0, self.perishable - len(claimed)), fresh, retry, replay)


NOTHING_READY = Ready()


def ready(*, listen_ms: int = -1) -> Operation[Ready]:
    """Learn what is ready in a partition, and promise to ask again within `listen_ms`; 0 takes such a promise back."""

    def parse(reply: list[int]) -> Ready:
        perishable, *queues = map(int, reply)
        return Ready(perishable, *(Queue(*queues[place : place + 2]) for place in (0, 2, 4)))

    return Operation("ready", (listen_ms,), parse)


def probe_candidate() -> Operation[int | None]:
    """Learn when the report was last refused (ms) that a partition would probe with; -1: never, None: it has none."""
    return Operation("probe_candidate", (), lambda reply: None if reply is None else int(reply))


def note_resumed(*, ago_ms: int) -> Operation[bool]:
    """Tell a partition that the lane was opened again; return whether it did not know."""
    return Operation("note_resumed", (ago_ms,), bool)


def refused_before(call_ids: Sequence[str]) -> Operation[list[bool]]:
    """Learn of a partition which reports were refused before and have stayed what they were."""
    return Operation("refused_before", tuple(call_ids), lambda reply: [flag == 1 for flag in reply])


def refuse(refused: Sequence[Refuse], sends: Sequence[int]) -> Operation[Recorded]:
    """Record refusals in a partition, as the home judged them: `sends` of `Noted`."""
    args: list[Argument] = []
    for one, number in zip(refused, sends, strict=True):
        args += (one.held.call_id, one.held.token, one.reason, number, one.detail, one.last_words)

    def parse(reply: list[int]) -> Recorded:
        recorded = Recorded(flag > 0 for flag in reply)
        recorded.buried = tuple(place for place, flag in enumerate(reply) if flag == 2)
        return recorded

    return Operation("refuse_as_judged", tuple(args), parse)
