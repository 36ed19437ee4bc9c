"""Records outcomes by batches, and does not give up while Redis is away.

Uploads that ended are gathered for a fifth of an upload's time (2 to 50 ms) or until there are enough, then decided
and recorded in one round trip.
While Redis is away outcomes are kept and tried again; their leases may run out meanwhile, and then the ledger says so
and nothing is recorded twice.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from roark_ledger.errors import LedgerUnavailable
from roark_ledger.ledger import AsyncLedger
from roark_ledger.logs import event, written_together
from roark_ledger.moves import delivery
from roark_ledger.moves.delivery import Bury, Defer, Deliver, Held, Recorded, Refuse
from roark_ledger.moves.operation import Operation
from roark_worker.deciding import Ended
from roark_worker.metrics.counting import Counts
from roark_worker.settings import WorkerSettings
from roark_worker.settlement import Release, Settlement

logger = logging.getLogger(__name__)

# A script's call costs as much as recording ten outcomes, so few of them a second save a third of Redis's time. But
# a report whose outcome is not recorded yet counts as in flight, so waiting long would slow a lane with a low level:
# there a part of the few that are in flight is enough.
_GATHER_SHARE, _LEAST_GATHER_SECONDS, _MOST_GATHER_SECONDS = 0.2, 0.002, 0.05
_WEIGHT = 0.05
_PAUSE_SECONDS = 0.25


class Settling:
    """Takes uploads that ended one by one and records them together. Belongs to one event loop."""

    def __init__(
        self,
        ledger: AsyncLedger,
        settings: WorkerSettings,
        decide: Callable[[Ended], Settlement],
        done: Callable[[Held], None],
        *,
        enough: Callable[[], int],
        recorded: Callable[[Sequence[Settlement]], None] | None = None,
        counts: Counts | None = None,
    ) -> None:
        self._ledger = ledger
        self._settings = settings
        self._rules = settings.flow_rules()
        self._decide = decide
        self._done = done
        self._worth_recording = enough
        self._recorded = recorded
        self._counts = counts or Counts.unshared()
        self._ended: list[Ended] = []
        self._pending: list[Settlement] = []
        self._upload_seconds = 0.0
        self._redis_away = False
        self._more = asyncio.Event()
        self._enough = asyncio.Event()
        self._all_recorded = asyncio.Event()
        self._all_recorded.set()
        self.counted: Counter[str] = Counter()

    async def finish(self) -> None:
        """Return when every outcome is recorded."""
        await self._all_recorded.wait()

    def add_ended(self, ended: Ended) -> None:
        """Take an upload that is over; what it came to is recorded soon."""
        self._upload_seconds += (ended.seconds - self._upload_seconds) * _WEIGHT
        self._ended.append(ended)
        self._there_is_more()

    def add(self, settlement: Settlement) -> None:
        """Take an outcome; it is recorded soon."""
        self._pending.append(settlement)
        self._there_is_more()

    def crashed(self, held: Held, error: BaseException) -> None:
        """Let go of a report whose upload met a fault of ours: a lease that is renewed for ever would keep it."""
        event(logger, "upload_crashed", level=logging.ERROR, call_id=held.call_id, error=type(error).__name__)
        self._done(held)

    def _there_is_more(self) -> None:
        self._more.set()
        if len(self._pending) + len(self._ended) >= self._worth_recording():
            self._enough.set()
        self._all_recorded.clear()

    @property
    def gather_seconds(self) -> float:
        """How long it is worth waiting for others, be it to record them or to follow them."""
        return min(max(self._upload_seconds * _GATHER_SHARE, _LEAST_GATHER_SECONDS), _MOST_GATHER_SECONDS)

    async def run(self) -> None:
        """Record outcomes until cancelled."""
        while True:
            await self._more.wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.gather_seconds):
                    await self._enough.wait()
            await self.flush()

    async def flush(self) -> None:
        """Record what is pending; wait a little and return when Redis is away."""
        self._decide_all()
        batch = self._pending[: 4 * self._settings.claim_batch]
        try:
            await self._record_what_can_be(batch)
        except LedgerUnavailable as error:
            if not self._redis_away:
                event(logger, "settle_postponed", level=logging.WARNING, reports=len(self._pending), error=str(error))
            self._redis_away = True
            await asyncio.sleep(_PAUSE_SECONDS)
            return
        self._redis_away = False
        del self._pending[: len(batch)]
        for settlement in batch:
            self._done(settlement.held)
        waiting = len(self._pending) + len(self._ended)
        if waiting < self._worth_recording():
            self._enough.clear()
        if not waiting:
            self._more.clear()
            self._all_recorded.set()

    def _decide_all(self) -> None:
        ended, self._ended = self._ended, []
        with written_together():
            for one in ended:
                try:
                    self._pending.append(self._decide(one))
                except Exception as error:  # noqa: BLE001 a fault of ours must not take the others along
                    self.crashed(Held(one.claimed.call_id, one.claimed.token), error)

    async def _record_what_can_be(self, batch: Sequence[Settlement]) -> None:
        try:
            await self._record(batch)
        except LedgerUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 whatever it is, this loop must go on
            if len(batch) > 1:
                # One outcome that cannot be recorded must not take the others with it.
                middle = len(batch) // 2
                await self._record_what_can_be(batch[:middle])
                await self._record_what_can_be(batch[middle:])
                return
            # The lease runs out, and others try; three such deaths are poison.
            held = batch[0].held
            event(logger, "settle_failed", level=logging.ERROR, call_id=held.call_id, error=type(error).__name__)

    async def _record(self, batch: Sequence[Settlement]) -> None:
        delivered = [one for one in batch if isinstance(one, Deliver)]
        deferred = [one for one in batch if isinstance(one, Defer)]
        buried = [one for one in batch if isinstance(one, Bury)]
        refused = [one for one in batch if isinstance(one, Refuse)]
        released = [one for one in batch if isinstance(one, Release)]
        steps: list[tuple[str, Operation[Any]]] = []
        if delivered:
            keep = self._settings.keep_payloads
            steps.append(("delivered", delivery.deliver(delivered, keep_payloads=keep, rules=self._rules)))
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
        judged: list[Settlement] = []
        for (name, _), reply in zip(steps, replies, strict=True):
            self._tell_news(reply)
            if name == "refused":
                judged = [_as_judged(one, place, reply) for place, one in enumerate(refused)]
            self._count(name, reply, len(getattr(reply, "buried", ())))
            if name == "delivered":
                self._counts.delivered(one for one, recorded in zip(delivered, reply, strict=True) if recorded)
        if self._recorded:
            flags = [flag for reply in replies for flag in reply]
            outcomes: list[Settlement] = [*delivered, *deferred, *buried, *judged, *released]
            self._recorded([one for one, flag in zip(outcomes, flags, strict=True) if flag])

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
        if lost := len(reply) - recorded:
            outcomes["lost"] = lost
        for outcome, number in outcomes.items():
            self.counted[outcome] += number
            self._counts.settled(outcome, number)
        if lost:
            event(logger, "lease_lost", level=logging.WARNING, reports=lost)


def _as_judged(refused: Refuse, place: int, reply: Recorded) -> Settlement:
    """Return what the ledger made of a refusal: it is the ledger that knows whether it is the report's own matter."""
    if place not in reply.buried:
        return refused
    event(logger, "bury", level=logging.WARNING, call_id=refused.held.call_id, reason=refused.reason, over="alone")
    return Bury(refused.held, refused.reason, refused.last_words)
