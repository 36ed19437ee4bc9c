"""Records what came of attempts, many in one round trip, and does not give up while Redis is away.

    async with recorder.turn:                           one at a time: whoever comes first
        while batch := await recorder.ended_together()  those that ended in a fifth of an upload's time, or are enough
            await recorder.record(batch)

While Redis is away outcomes are kept and tried again; their leases may run out meanwhile, and then the ledger says so
and nothing is recorded twice. So it is with those of one partition of the ledger that is away, and all others are
recorded meanwhile.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from roark_ledger.errors import LedgerUnavailable
from roark_ledger.ledger import AsyncLedger
from roark_ledger.logs import event
from roark_ledger.moves import delivery
from roark_ledger.moves.delivery import Bury, Defer, Deliver, Outcome, Recorded, Refuse, Release
from roark_ledger.moves.operation import Operation
from roark_worker.attempt import Attempt
from roark_worker.metrics.counting import Counts
from roark_worker.settings import WorkerSettings

logger = logging.getLogger(__name__)

# A script's call costs as much as recording ten outcomes, so few of them a second save a third of Redis's time. But
# a report whose outcome is not recorded yet counts as in flight, so waiting long would slow a lane with a low level:
# there a part of the few that are in flight is enough.
_GATHER_SHARE, _LEAST_GATHER_SECONDS, _MOST_GATHER_SECONDS = 0.2, 0.002, 0.05
_WEIGHT = 0.05
_PAUSE_SECONDS = 0.25


class Recorder:
    """Belongs to one event loop. `counted` says how many attempts came to what; `tell` hears what was recorded."""

    def __init__(
        self,
        ledger: AsyncLedger,
        settings: WorkerSettings,
        *,
        counts: Counts,
        tell: Callable[[Sequence[Outcome]], None] | None = None,
    ) -> None:
        self._ledger = ledger
        self._settings = settings
        self._rules = settings.flow_rules()
        self._first_look_ms = settings.receipt_rules().first_look_ms
        self._counts = counts
        self._tell = tell
        self._ended: list[Attempt] = []
        self._enough = asyncio.Event()
        self._upload_seconds = 0.0
        self._redis_away = False
        self._postponed: list[Attempt] = []
        self._again_at = 0.0
        self.turn = asyncio.Lock()
        self.counted: Counter[str] = Counter()

    def add(self, attempt: Attempt, *, enough: int) -> None:
        """Take an attempt whose upload is over; with `enough` of them no others are waited for."""
        if not attempt.outcome:
            self._upload_seconds += (attempt.seconds - self._upload_seconds) * _WEIGHT
        self._ended.append(attempt)
        if len(self._ended) >= enough or self._postponed:
            self._enough.set()

    @property
    def gather_seconds(self) -> float:
        """How long it is worth waiting for others, be it to record them or to follow them."""
        return min(max(self._upload_seconds * _GATHER_SHARE, _LEAST_GATHER_SECONDS), _MOST_GATHER_SECONDS)

    async def ended_together(self) -> list[Attempt]:
        """Wait for others and return those that have ended; at once and empty where there are none."""
        if self._postponed:
            await self._until_the_postponed_are_due()
        if not self._ended:
            return []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.gather_seconds):
                await self._enough.wait()
        most = 4 * self._settings.claim_batch
        batch, self._ended = self._ended[:most], self._ended[most:]
        if not self._ended:
            self._enough.clear()
        return batch

    async def _until_the_postponed_are_due(self) -> None:
        """Wait until what a partition could not record is tried again, or another attempt has ended."""
        loop = asyncio.get_running_loop()
        if not self._ended:
            self._enough.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self._again_at):
                    await self._enough.wait()
        if not self._ended or loop.time() >= self._again_at:
            self._ended += self._postponed
            self._postponed = []

    async def record(self, batch: Sequence[Attempt]) -> Sequence[Attempt]:
        """Record what was decided; return the attempts that are over with that, none where Redis is away."""
        outcomes = [one.outcome for one in batch if one.outcome]
        away: set[int] = set()
        try:
            if outcomes:
                away = {id(one) for one in await self._record_what_can_be(outcomes)}
        except LedgerUnavailable as error:
            self._ended[:0] = [one for one in batch if one.outcome]
            if not self._redis_away:
                event(logger, "settle_postponed", level=logging.WARNING, reports=len(self._ended), error=str(error))
            self._redis_away = True
            await asyncio.sleep(_PAUSE_SECONDS)
            return ()
        self._redis_away = False
        if not away:
            return batch
        postponed = [one for one in batch if id(one.outcome) in away]
        if not self._postponed:
            self._again_at = asyncio.get_running_loop().time() + _PAUSE_SECONDS
        self._postponed += postponed
        return [one for one in batch if id(one.outcome) not in away]

    async def _record_what_can_be(self, outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
        """Record all that can be; return those whose partition is away."""
        try:
            return await self._record(outcomes)
        except LedgerUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 whatever it is, this loop must go on
            if len(outcomes) > 1:
                # One outcome that cannot be recorded must not take the others with it.
                middle = len(outcomes) // 2
                away = [*await self._record_what_can_be(outcomes[:middle])]
                return [*away, *await self._record_what_can_be(outcomes[middle:])]
            # The lease runs out, and others try; three such deaths are poison.
            held = outcomes[0].held
            event(logger, "settle_failed", level=logging.ERROR, call_id=held.call_id, error=type(error).__name__)
            return ()

    async def _record(self, outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
        delivered = [one for one in outcomes if isinstance(one, Deliver)]
        deferred = [one for one in outcomes if isinstance(one, Defer)]
        buried = [one for one in outcomes if isinstance(one, Bury)]
        refused = [one for one in outcomes if isinstance(one, Refuse)]
        released = [one for one in outcomes if isinstance(one, Release)]
        steps: list[tuple[str, Operation[Any]]] = []
        if delivered:
            steps.append(("delivered", self._deliver(delivered)))
        if deferred:
            steps.append(("deferred", delivery.defer(deferred, rules=self._rules)))
        if buried:
            steps.append(("buried", delivery.bury(buried, rules=self._rules)))
        if refused:
            # After the deliveries, which say that it is not about all of us.
            steps.append(("refused", self._refuse(refused)))
        if released:
            steps.append(("released", delivery.release([one.held for one in released])))
        loop = asyncio.get_running_loop()
        started = loop.time()
        replies = await self._ledger.run_all([operation for _, operation in steps])
        self._counts.recorded(loop.time() - started)
        judged: list[Outcome] = []
        for (name, _), reply in zip(steps, replies, strict=True):
            self._tell_news(reply)
            if name == "refused":
                judged = [_as_judged(one, place, reply) for place, one in enumerate(refused)]
            self._count(name, reply, len(getattr(reply, "buried", ())))
            if name == "delivered":
                self._counts.delivered(one for one, recorded in zip(delivered, reply, strict=True) if recorded)
        flags = [flag for reply in replies for flag in reply]
        if self._tell:
            told = [*delivered, *deferred, *buried, *judged, *released]
            self._tell([one for one, flag in zip(told, flags, strict=True) if flag])
        in_order: list[Outcome] = [*delivered, *deferred, *buried, *refused, *released]
        return _of_those_away(in_order, replies)

    def _deliver(self, delivered: Sequence[Deliver]) -> Operation[Recorded]:
        keep, first_look_ms = self._settings.keep_payloads, self._first_look_ms
        return delivery.deliver(delivered, keep_payloads=keep, rules=self._rules, first_look_ms=first_look_ms)

    def _refuse(self, refused: Sequence[Refuse]) -> Operation[Recorded]:
        longest_gap_ms = round(self._settings.probe_max_seconds * 1000)
        return delivery.refuse(refused, longest_gap_ms=longest_gap_ms, most_sends=self._settings.max_attempts)

    def _tell_news(self, reply: list[bool]) -> None:
        for what, why in getattr(reply, "news", ()):
            level = logging.WARNING if what == "lane_open" else logging.ERROR
            event(logger, what, level=level, **{"reason" if what == "lane_held" else "why": why})

    def _count(self, name: str, reply: list[bool], given_up: int) -> None:
        recorded = sum(reply)
        outcomes = {name: recorded - given_up}
        if given_up:
            outcomes["buried"] = given_up
        if lost := len(reply) - recorded - len(getattr(reply, "away", ())):
            outcomes["lost"] = lost
        for outcome, number in outcomes.items():
            self.counted[outcome] += number
            self._counts.settled(outcome, number)
        if lost:
            event(logger, "lease_lost", level=logging.WARNING, reports=lost)


def _of_those_away(outcomes: Sequence[Outcome], replies: Sequence[list[bool]]) -> list[Outcome]:
    """Return the outcomes whose partitions are away; the replies are those to all outcomes, in order."""
    found, first = [], 0
    for reply in replies:
        found += [outcomes[first + place] for place in getattr(reply, "away", ())]
        first += len(reply)
    return found


def _as_judged(refused: Refuse, place: int, reply: Recorded) -> Outcome:
    """Return what the ledger made of a refusal: it is the ledger that knows whether it is the report's own matter."""
    if place not in reply.buried:
        return refused
    event(logger, "bury", level=logging.WARNING, call_id=refused.held.call_id, reason=refused.reason, over="alone")
    return Bury(refused.held, refused.reason, refused.last_words)
