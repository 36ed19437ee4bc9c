"""One report's way through a worker: claim → upload → settle, for hundreds of reports on one event loop.

    drain      claims reports while slots are free and time is left, and starts an upload for each
    _deliver   one upload: unpack, post; what came of it goes to `Settling`
    _renew     prolongs the leases of what is in hand

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
from collections.abc import Callable
from dataclasses import dataclass

from roark_ledger.errors import LedgerError, LedgerUnavailable
from roark_ledger.ledger import AsyncLedger
from roark_ledger.logs import event
from roark_ledger.moves import delivery
from roark_ledger.moves.delivery import Claim, Claimed, Held, LaneState
from roark_ledger.packing import DamagedPayload, NewerPayload, Unpacked, check, payload_size, trace_of, unpack
from roark_ledger.records.screen import uploads_are
from roark_producer.tracing import Traces, Uploading
from roark_worker.answers.verdict import Answer, Passing, Refused, Verdict
from roark_worker.calls.fresh_audio import FreshAudio
from roark_worker.deciding import Deciding, Ended
from roark_worker.flower.event_sender import EventSender
from roark_worker.flower.report_events import started
from roark_worker.metrics.counting import Counts
from roark_worker.settings import WorkerSettings
from roark_worker.settlement import NEWER_VERSION, Release
from roark_worker.settling import Settling
from roark_worker.upload.roark import Roark, UploadFailed, upload_body
from roark_worker.upload.room import Room, need_of, room_bytes

logger = logging.getLogger(__name__)

_ASK_SECONDS = 0.005
_ASK_IDLE_SECONDS = 0.02
_LEAST_FILL_SECONDS = 0.02
_IDLE_AFTER_SECONDS = 0.25
_LINGER_SECONDS = 1.0
_LISTEN_MS = 400
_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 0.25
_RECORD_SECONDS = 5

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


@dataclass(slots=True)
class _InHand:
    held: Held
    began: float
    revision: bool
    told: bool = False
    task: "asyncio.Task[None] | None" = None


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
        self._fresh_audio = fresh_audio
        self._counts = counts or Counts.unshared()
        self._traces = traces
        self._roark = roark
        self._settings = settings
        self._rules = settings.flow_rules()
        self._batch = min(settings.claim_batch, settings.max_in_flight)
        self._room = Room(room_bytes(settings.process_count))
        self._some = max(1, min(self._batch, settings.max_in_flight // 6))
        self._events = events
        deciding = Deciding(settings, self._counts, chance)
        told = events.tell if events else None
        self._settling = Settling(
            ledger,
            settings,
            deciding.decide,
            self._let_go,
            enough=self._worth_recording,
            recorded=told,
            counts=self._counts,
        )
        self._in_hand: dict[Held, _InHand] = {}
        self._uploading = 0
        self._progress = asyncio.Event()
        self._one_drain = asyncio.Lock()
        self._stopping = False
        self._background = [
            asyncio.create_task(self._settling.run(), name="settle"),
            asyncio.create_task(self._renew(), name="renew"),
        ]

    async def drain(self) -> Summary:
        """Deliver reports until none is ready, the time budget is used up, or the lane is held."""
        async with self._one_drain:
            return await self._drain()

    async def _drain(self) -> Summary:
        loop = asyncio.get_running_loop()
        started, before = loop.time(), Counter(self._settling.counted)
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
            if claim.reports or self._in_hand:
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
        counted = dict(self._settling.counted - before)
        return Summary(claimed, counted, loop.time() - started, ended, len(self._in_hand))

    async def _last_claim(self) -> int:
        # It also takes back the promise to listen: from here on producers wake somebody again.
        try:
            return len((await self._claim(listen=False)).reports)
        except LedgerUnavailable:
            return 0

    async def _claim(self, *, listen: bool) -> Claim:
        free = self._settings.max_in_flight - self._uploading
        # What is claimed while others wait for memory would only lie there, packed.
        wanted = 0 if self._room.is_waited_for else min(free, self._batch)
        if wanted <= 0:
            return Claim(LaneState.OPEN, 0, ())
        asked, asked_ns = asyncio.get_running_loop().time(), time.time_ns()
        claim = await self._ledger.run(
            delivery.claim(
                wanted=wanted,
                lease_ms=round(self._settings.lease_seconds * 1000),
                listen_ms=_LISTEN_MS if listen else 0,
                most_bytes=min(self._settings.claim_bytes, self._room.most_bytes // 4),
                rules=self._rules,
            )
        )
        self._counts.claimed(claim, asyncio.get_running_loop().time() - asked)
        for report in claim.reports:
            self._start(report, self._span_of(report, asked_ns))
        self._counts.in_flight(self._uploading)
        return claim

    def _span_of(self, report: Claimed, asked_ns: int) -> Uploading | None:
        kept = trace_of(report.packed) if self._traces else b""
        if not (self._traces and kept):
            return None
        attempt = report.attempts + 1
        return self._traces.claimed(kept, report.call_id, attempt=attempt, age_ms=report.age_ms, asked_ns=asked_ns)

    def _start(self, report: Claimed, span: Uploading | None) -> None:
        in_hand = _InHand(Held(report.call_id, report.token), time.time(), report.revision)
        self._in_hand[in_hand.held] = in_hand
        self._uploading += 1
        in_hand.task = asyncio.create_task(self._deliver(report, span))
        in_hand.task.add_done_callback(lambda task: self._check(in_hand.held, task))

    def _check(self, held: Held, task: "asyncio.Task[None]") -> None:
        self._uploading -= 1
        if not self._uploading:
            self._counts.in_flight(0)
        if self._settings.max_in_flight - self._uploading >= self._some:
            self._progress.set()
        if task.cancelled():
            self._settling.add(Release(held))
        elif error := task.exception():
            self._settling.crashed(held, error)

    async def _pause(self, claim: Claim, *, idle: float) -> None:
        if len(claim.reports) == self._batch:
            await asyncio.sleep(0)
            return
        if claim.wait_ms:
            # The gate says when: with a rate limit, asking later than that would leave some of it unused.
            await asyncio.sleep(min(claim.wait_ms / 1000, _LONGEST_PAUSE_SECONDS))
            return
        if self._settings.max_in_flight - self._uploading < self._some:
            # All slots but a few are taken: wait for some to come free rather than claim one at a time.
            self._progress.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(_LEAST_FILL_SECONDS, self._settling.gather_seconds)):
                    await self._progress.wait()
            return
        await asyncio.sleep(_ASK_IDLE_SECONDS if idle > _IDLE_AFTER_SECONDS else _ASK_SECONDS)

    async def _deliver(self, report: Claimed, span: Uploading | None) -> None:
        """One report: unpack and post. What its answer means is decided together with others'."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        came: Answer | Verdict
        try:
            need = need_of(len(report.packed), payload_size(report.packed))
            if need > self._room.most_bytes:
                came = self._too_large(report, need)
            else:
                # What waiting for room, or Vapi, takes is none of Roark's time, by which the level is found.
                await self._room.take(need)
                try:
                    fresh = await self._fresh_audio.refreshed(report) if self._fresh_audio else None
                    started = loop.time()
                    came = await self._attempt(report, span, fresh)
                finally:
                    self._room.give(need)
        except asyncio.CancelledError:
            if span:
                span.end("release", status=0, reason="cancelled", at=time.time())
            raise
        self._settling.add_ended(Ended(report, came, loop.time() - started, time.time(), span))

    async def _attempt(self, report: Claimed, span: Uploading | None, fresh: Unpacked | None) -> Answer | Verdict:
        try:
            body = upload_body(fresh or unpack(report.packed), revision=report.revision)
        except NewerPayload as error:
            return Passing(NEWER_VERSION, message=str(error))
        except DamagedPayload as error:
            return Refused("damaged", message=str(error))
        try:
            told = span.traceparent if span and self._settings.traceparent_to_roark else ""
            return await self._roark.upload(body, traceparent=told)
        except UploadFailed as error:
            return Passing(error.reason, message=error.detail)

    def _too_large(self, report: Claimed, need: int) -> Verdict:
        try:
            check(report.packed)
        except DamagedPayload as error:
            return Refused("damaged", message=str(error))
        room = self._room.most_bytes
        return Refused(
            "too_large_here", message=f"it needs {need / 1e6:.0f} MB of memory, but a process has {room / 1e6:.0f} MB"
        )

    def _worth_recording(self) -> int:
        return max(1, min(self._batch, len(self._in_hand) // 4))

    def _let_go(self, held: Held) -> None:
        self._in_hand.pop(held, None)

    async def _renew(self) -> None:
        lease_ms = round(self._settings.lease_seconds * 1000)
        failed = False
        while True:
            await asyncio.sleep(self._settings.lease_seconds / 3)
            in_hand = list(self._in_hand)
            if not in_hand:
                continue
            self._tell_what_takes_long()
            try:
                kept = await self._ledger.run(delivery.renew(in_hand, lease_ms=lease_ms))
            except Exception as error:  # noqa: BLE001 if this loop ended, every long upload would be done twice
                if not failed:
                    why = str(error) if isinstance(error, LedgerError) else type(error).__name__
                    event(logger, "renew_failed", level=logging.WARNING, reports=len(in_hand), error=why)
                failed = True
                continue
            failed = False
            for held in (held for held, mine in zip(in_hand, kept, strict=True) if not mine):
                self._give_up(held)

    def _tell_what_takes_long(self) -> None:
        if not self._events:
            return
        long_ago = time.time() - self._settings.lease_seconds / 6
        slow = [one for one in self._in_hand.values() if not one.told and one.began < long_ago]
        for one in slow:
            one.told = True
        self._events.tell_started([started(one.held, one.began, revision=one.revision) for one in slow])

    def _give_up(self, held: Held) -> None:
        # Somebody else has it by now: an upload that goes on would only be the second one.
        in_hand = self._in_hand.get(held)
        if in_hand and in_hand.task and not in_hand.task.done():
            event(logger, "lease_lost", level=logging.WARNING, call_id=held.call_id)
            in_hand.task.cancel()

    @property
    def is_stopping(self) -> bool:
        """Whether nothing more is claimed."""
        return self._stopping

    def begin_stop(self) -> None:
        """Claim nothing more; a running drain ends at once."""
        self._stopping = True
        self._progress.set()

    async def stop(self, seconds: float) -> None:
        """Let uploads end for up to `seconds`, give back the rest, and record every outcome."""
        self.begin_stop()
        # The drain that is under way may still be handed reports by the claim that it has sent.
        async with self._one_drain:
            pass
        tasks = [one.task for one in self._in_hand.values() if one.task and not one.task.done()]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_RECORD_SECONDS):
                await self._settling.finish()
        for background in self._background:
            background.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self._roark.aclose()
        if self._fresh_audio:
            await self._fresh_audio.aclose()
        await self._ledger.aclose()


def _is_shut(claim: Claim) -> bool:
    # What will open soon is waited for; for the rest the tick wakes somebody when it is time.
    if claim.lane in {LaneState.OPEN, LaneState.PROBING}:
        return False
    return claim.lane is LaneState.HELD or claim.wait_ms > _LINGER_SECONDS * 1000
