"""Keeps a worker's slots filled: claims reports while slots are free and time is left, and keeps their leases.

    drain      asks the gate for reports, and sends each on its way (`journey.py`)
    _renew     prolongs the leases of what is in hand
    stop       lets uploads end, gives back the rest

A drain does not wait for its uploads: they belong to the process, and the next drain goes on with them. So a
slow answer neither holds up a wake-up nor empties the pipe at the end of a time budget.

While it waits for slots or for work, a drain asks the gate every few ms. That it does so stands in the ledger
(`listening_until`), and producers publish no wake-up while somebody listens.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from roark_ledger.errors import LedgerError, LedgerUnavailable
from roark_ledger.ledger import AsyncLedger
from roark_ledger.logs import event
from roark_ledger.moves import delivery
from roark_ledger.moves.delivery import Claim, LaneState
from roark_ledger.records.screen import uploads_are
from roark_producer.tracing import Traces
from roark_worker.attempt import Attempt
from roark_worker.calls.fresh_audio import FreshAudio
from roark_worker.flower.event_sender import EventSender
from roark_worker.flower.report_events import started
from roark_worker.journey import Journey
from roark_worker.metrics.counting import Counts
from roark_worker.settings import WorkerSettings
from roark_worker.upload.roark import Roark

logger = logging.getLogger(__name__)

_ASK_SECONDS = 0.005
_ASK_IDLE_SECONDS = 0.02
_LEAST_FILL_SECONDS = 0.02
_IDLE_AFTER_SECONDS = 0.25
_LINGER_SECONDS = 1.0
_LISTEN_MS = 400
_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 0.25

_ENDED = {
    "idle": "nothing more is ready",
    "budget": "its time is up, the next drain continues",
    "stopping": "the worker is stopping",
    "redis": "Redis is unreachable",
}


@dataclass(frozen=True, slots=True)
class Summary:
    """What one drain did: counts of what was recorded while it ran, and why it ended.

    `ended` is idle, budget, stopping, redis, or the state of the lane that let nothing through. `more` says
    that somebody should be woken.
    """

    claimed: int
    counted: dict[str, int]
    seconds: float
    ended: str
    in_flight: int

    @property
    def more(self) -> bool:
        """Whether reports may still be ready."""
        return self.ended == "budget"

    def in_words(self) -> str:
        """Return the line that Flower shows for the drain."""
        parts = [f"{count} {name}" for name, count in sorted(self.counted.items()) if count]
        parts += [f"{self.in_flight} in progress"] if self.in_flight else []
        done = f"{self.claimed} claimed: {', '.join(parts)}" if parts else "nothing claimed"
        ended = _ENDED.get(self.ended) or uploads_are(self.ended).lower()
        return f"{done}; ended after {self.seconds:.1f} s: {ended}"


class Delivery:
    """Delivers reports on the event loop that it was made on."""

    def __init__(
        self,
        ledger: AsyncLedger,
        roark: Roark,
        settings: WorkerSettings,
        chance: Callable[[], float] = random.random,
        *,
        events: EventSender | None = None,
        counts: Counts | None = None,
        traces: Traces | None = None,
        fresh_audio: FreshAudio | None = None,
    ) -> None:
        self._ledger = ledger
        self._counts = counts or Counts.unshared()
        self._settings = settings
        self._rules = settings.flow_rules()
        self._batch = min(settings.claim_batch, settings.max_in_flight)
        self._events = events
        self._journey = Journey(
            ledger,
            roark,
            settings,
            chance,
            counts=self._counts,
            events=events,
            traces=traces,
            fresh_audio=fresh_audio,
        )
        self._one_drain = asyncio.Lock()
        self._stopping = False
        self._renewing = asyncio.create_task(self._renew(), name="renew")

    async def drain(self) -> Summary:
        """Deliver reports until none is ready, the time budget is used up, or the lane is held."""
        async with self._one_drain:
            return await self._drain()

    async def _drain(self) -> Summary:
        loop = asyncio.get_running_loop()
        started, before = loop.time(), Counter(self._journey.recorder.counted)
        deadline = started + self._settings.drain_seconds
        claimed, last_work, ended = 0, started - _LINGER_SECONDS, "budget"
        while not self._stopping and loop.time() < deadline:
            try:
                claim = await self._claim(listen=True)
            except LedgerUnavailable as error:
                if ended != "redis":
                    event(logger, "claim_failed", level=logging.WARNING, error=str(error))
                ended = "redis"
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            ended = "budget"
            claimed += len(claim.reports)
            if claim.reports or self._journey.in_hand:
                last_work = loop.time()
            elif _is_shut(claim):
                ended = claim.lane.value
                break
            elif loop.time() - last_work > _LINGER_SECONDS:
                last = await self._last_claim()
                claimed += last
                if not last:
                    ended = "idle"
                    break
            await self._pause(claim, idle=loop.time() - last_work)
        if self._stopping:
            ended = "stopping"
        self._counts.drained(ended)
        counted = dict(self._journey.recorder.counted - before)
        return Summary(claimed, counted, loop.time() - started, ended, len(self._journey.in_hand))

    async def _last_claim(self) -> int:
        # It also takes back the promise to listen: from here on producers wake somebody again.
        try:
            return len((await self._claim(listen=False)).reports)
        except LedgerUnavailable:
            return 0

    async def _claim(self, *, listen: bool) -> Claim:
        free = self._settings.max_in_flight - self._journey.uploading
        # What is claimed while others wait for memory would only lie there, packed.
        wanted = 0 if self._journey.room.is_waited_for else min(free, self._batch)
        if wanted <= 0:
            return Claim(LaneState.OPEN, 0, ())
        asked, asked_ns = asyncio.get_running_loop().time(), time.time_ns()
        claim = await self._ledger.run(
            delivery.claim(
                wanted=wanted,
                lease_ms=round(self._settings.lease_seconds * 1000),
                listen_ms=_LISTEN_MS if listen else 0,
                most_bytes=min(self._settings.claim_bytes, self._journey.room.most_bytes // 4),
                rules=self._rules,
                route=self._settings.route,
            )
        )
        self._counts.claimed(claim, asyncio.get_running_loop().time() - asked)
        for report in claim.reports:
            self._journey.begin(report, asked_ns)
        self._counts.in_flight(self._journey.uploading)
        return claim

    async def _pause(self, claim: Claim, *, idle: float) -> None:
        if len(claim.reports) == self._batch:
            await asyncio.sleep(0)
            return
        if claim.wait_ms:
            # The gate says when: with a rate limit, asking later than that would leave some of it unused.
            await asyncio.sleep(min(claim.wait_ms / 1000, _LONGEST_PAUSE_SECONDS))
            return
        if not self._journey.is_worth_filling:
            # All slots but a few are taken: wait for some to come free rather than claim one at a time.
            self._journey.progress.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(_LEAST_FILL_SECONDS, self._journey.recorder.gather_seconds)):
                    await self._journey.progress.wait()
            return
        await asyncio.sleep(_ASK_IDLE_SECONDS if idle > _IDLE_AFTER_SECONDS else _ASK_SECONDS)

    async def _renew(self) -> None:
        lease_ms = round(self._settings.lease_seconds * 1000)
        failed = False
        while True:
            await asyncio.sleep(self._settings.lease_seconds / 3)
            if not (in_hand := list(self._journey.in_hand)):
                continue
            self._tell_what_takes_long(in_hand)
            try:
                kept = await self._ledger.run(delivery.renew([one.held for one in in_hand], lease_ms=lease_ms))
            except Exception as error:  # noqa: BLE001 if this loop ended, every long upload would be done twice
                if not failed:
                    why = str(error) if isinstance(error, LedgerError) else type(error).__name__
                    event(logger, "renew_failed", level=logging.WARNING, reports=len(in_hand), error=why)
                failed = True
                continue
            failed = False
            for lost in (one for one, mine in zip(in_hand, kept, strict=True) if not mine):
                # Somebody else has it by now: an upload that goes on would only be the second one.
                self._journey.give_up(lost)

    def _tell_what_takes_long(self, in_hand: Sequence[Attempt]) -> None:
        if not self._events:
            return
        long_ago = time.time() - self._settings.lease_seconds / 6
        slow = [one for one in in_hand if not one.told and one.began < long_ago]
        for one in slow:
            one.told = True
        self._events.tell_started([started(one.held, one.began, revision=one.claimed.revision) for one in slow])

    @property
    def is_stopping(self) -> bool:
        """Whether nothing more is claimed."""
        return self._stopping

    def begin_stop(self) -> None:
        """Claim nothing more; a running drain ends at once."""
        self._stopping = True
        self._journey.progress.set()

    async def stop(self, seconds: float) -> None:
        """Let uploads end for up to `seconds`, give back the rest, and record every outcome."""
        self.begin_stop()
        # The drain that is under way may still be handed reports by the claim that it has sent.
        async with self._one_drain:
            pass
        await self._journey.end(seconds)
        self._renewing.cancel()
        await asyncio.gather(self._renewing, return_exceptions=True)
        await self._ledger.aclose()


def _is_shut(claim: Claim) -> bool:
    # What will open soon is waited for; for the rest the tick wakes somebody when it is time.
    if claim.lane in {LaneState.OPEN, LaneState.PROBING}:
        return False
    return claim.lane is LaneState.HELD or claim.wait_ms > _LINGER_SECONDS * 1000
