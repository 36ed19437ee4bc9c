"""One report's way through a worker, for hundreds of reports on one event loop. `Journey._travel` is the whole of it:

    claim       the gate hands out a report under a lease (`delivery.py`): an `Attempt` begins
    take room   wait for memory; a report that can never fit is a dead letter
    unpack      the body that is posted, with fresh audio links where its own have ended
    upload      post it: Roark's answer, or why there is none
    judge       what that means: a Verdict (`answers/verdict.py`)
    decide      what is recorded: an Outcome, to deliver, defer, bury, refuse or release (`deciding.py`)
    record      in the ledger (`recorder.py`)

Each step fills in its part of the attempt. The last three are taken together for all reports whose uploads end at
about the same time: the first one that ends takes the others along, as in a database's group commit. That makes few
round trips of many, and it is quicker: between two uploads of 74 kB, which drive all else out of the processor's
caches, judging and deciding took twice as long, and a line in the log four times.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime

from roark_ledger.ledger import AsyncLedger
from roark_ledger.logs import event, written_together
from roark_ledger.moves.delivery import Claimed, Defer, Outcome, Release
from roark_ledger.packing import DamagedPayload, NewerPayload, check, payload_size, trace_of, unpack
from roark_producer.tracing import Traces, Uploading
from roark_worker.answers.verdict import Delivered, Passing, Refused, Verdict, judge
from roark_worker.attempt import Attempt
from roark_worker.calls.fresh_audio import FreshAudio
from roark_worker.calls.vapi import AskLater
from roark_worker.deciding import NEWER_VERSION, WAITS_FOR_AUDIO, decide
from roark_worker.flower.event_sender import EventSender
from roark_worker.metrics.counting import Counts
from roark_worker.recorder import Recorder
from roark_worker.settings import WorkerSettings
from roark_worker.upload.call_route import NotForThisRoute
from roark_worker.upload.roark import Roark, UploadFailed, upload_body
from roark_worker.upload.room import Room, need_of, room_bytes

logger = logging.getLogger(__name__)

_RECORD_SECONDS = 5


class Journey:
    """Takes reports that were claimed to their outcomes. Belongs to one event loop."""

    def __init__(
        self,
        ledger: AsyncLedger,
        roark: Roark,
        settings: WorkerSettings,
        chance: Callable[[], float] = random.random,
        *,
        counts: Counts,
        events: EventSender | None = None,
        traces: Traces | None = None,
        fresh_audio: FreshAudio | None = None,
    ) -> None:
        self._roark = roark
        self._settings = settings
        self._schedule = settings.schedule()
        self._receipts = settings.receipt_rules()
        self._chance = chance
        self._counts = counts
        self._traces = traces
        self._fresh_audio = fresh_audio
        self._loop = asyncio.get_running_loop()
        self._tasks: dict[asyncio.Task[None], Attempt] = {}
        self.in_hand: set[Attempt] = set()
        """What has a lease of ours: under way, or over and not recorded yet."""
        self.uploading = 0
        # Slots are worth filling when some are free: a claim costs as much for one report as for ten.
        self._some = max(1, min(settings.claim_batch, settings.max_in_flight // 6))
        self.progress = asyncio.Event()
        """Set when so many slots are free."""
        self.room = Room(room_bytes(settings.process_count))
        self.recorder = Recorder(ledger, settings, counts=counts, tell=events.tell if events else None)

    def begin(self, report: Claimed, asked_ns: int) -> None:
        """Send a report on its way; `asked_ns` is when the gate was asked for it (Unix time)."""
        attempt = Attempt.of(report, self._span_of(report, asked_ns))
        self.in_hand.add(attempt)
        self.uploading += 1
        task = asyncio.create_task(self._travel(attempt))
        self._tasks[task] = attempt
        task.add_done_callback(self._check)

    async def _travel(self, attempt: Attempt) -> None:
        """Take a report from its claim to the record of what came of it."""
        try:
            if await self._take_room(attempt) and await self._unpack(attempt):
                await self._upload(attempt)
        except asyncio.CancelledError:
            self._give_back(attempt)
        finally:
            self._end_upload(attempt)
        self.recorder.add(attempt, enough=max(1, min(self._settings.claim_batch, len(self.in_hand) // 4)))
        if self.recorder.turn.locked():
            # Whoever has the turn takes this one along.
            return
        async with self.recorder.turn:
            while batch := await self.recorder.ended_together():
                with written_together():
                    for one in batch:
                        try:
                            self._judge(one)
                            self._decide(one)
                        except Exception as error:  # noqa: BLE001 a fault of ours must not take the others along
                            self._crashed(one, error)
                self.in_hand.difference_update(await self.recorder.record(batch))

    async def _take_room(self, attempt: Attempt) -> bool:
        attempt.started = self._loop.time()
        packed = attempt.claimed.packed
        need = need_of(len(packed), payload_size(packed))
        if need > self.room.most_bytes:
            attempt.verdict = _too_large(packed, need, self.room.most_bytes)
            return False
        if not self.room.take_now(need):
            await self.room.take(need)
        attempt.room = need
        return True

    async def _unpack(self, attempt: Attempt) -> bool:
        report = attempt.claimed
        fresh = None
        try:
            fresh = await self._fresh_audio.refreshed(report) if self._fresh_audio else None
        except AskLater as later:
            attempt.verdict = Passing(WAITS_FOR_AUDIO, retry_after=later.seconds)
        # What waiting for room, or Vapi, takes is none of Roark's time, by which the level is found.
        attempt.started = self._loop.time()
        if attempt.verdict:
            return False
        try:
            unpacked = fresh or unpack(report.packed)
            attempt.body = upload_body(unpacked, revision=report.revision, route=report.route)
        except NotForThisRoute as error:
            attempt.verdict = Refused(error.code, message=str(error))
        except NewerPayload as error:
            attempt.verdict = Passing(NEWER_VERSION, message=str(error))
        except DamagedPayload as error:
            attempt.verdict = Refused("damaged", message=str(error))
        return attempt.verdict is None

    async def _upload(self, attempt: Attempt) -> None:
        told = attempt.span.traceparent if attempt.span and self._settings.traceparent_to_roark else ""
        try:
            attempt.answer = await self._roark.upload(attempt.body, route=attempt.claimed.route, traceparent=told)
        except UploadFailed as error:
            attempt.verdict = Passing(error.reason, message=error.detail)

    def _give_back(self, attempt: Attempt) -> None:
        attempt.outcome = Release(attempt.held)
        if attempt.span:
            attempt.span.end("release", status=0, reason="cancelled", at=time.time())

    def _end_upload(self, attempt: Attempt) -> None:
        attempt.end(self._loop.time() - attempt.started, time.time())
        if attempt.room:
            self.room.give(attempt.room)
        self.uploading -= 1
        if not self.uploading:
            self._counts.in_flight(0)
        if self.is_worth_filling:
            self.progress.set()

    def _judge(self, attempt: Attempt) -> None:
        if attempt.answer:
            at = datetime.fromtimestamp(attempt.ended, UTC)
            attempt.verdict = judge(attempt.answer, at, attempt.claimed.route)

    def _decide(self, attempt: Attempt) -> None:
        if attempt.outcome or not attempt.verdict:
            # It was given back, or could not be recorded the last time.
            return
        conflicts, chance = self._settings.max_conflicts, self._chance()
        attempt.outcome = decide(
            attempt, self._schedule, max_conflicts=conflicts, chance=chance, receipts=self._receipts
        )
        self._tell(attempt, attempt.outcome, attempt.verdict)

    def _tell(self, attempt: Attempt, outcome: Outcome, verdict: Verdict) -> None:
        """Count it, end its span, and write its line in the log."""
        self._counts.attempted(verdict, attempt.seconds)
        name, reason = type(outcome).__name__.lower(), getattr(verdict, "reason", "")
        if attempt.span:
            attempt.span.end(name, status=verdict.status, reason=reason, at=attempt.ended)
        level = logging.INFO if isinstance(verdict, Delivered) else logging.WARNING
        if not logger.isEnabledFor(level):
            return
        event(
            logger,
            name,
            level=level,
            call_id=attempt.held.call_id,
            attempt=attempt.number,
            status=verdict.status or None,
            reason=reason or None,
            duration_ms=attempt.duration_ms,
            age_seconds=attempt.age_ms / 1000,
            **({"confirmed": False} if isinstance(verdict, Delivered) and not verdict.confirmed else {}),
            **({"next_try_seconds": outcome.delay_ms / 1000} if isinstance(outcome, Defer) else {}),
        )

    def _crashed(self, attempt: Attempt, error: BaseException) -> None:
        # It is let go of: a lease that is renewed for ever would keep it.
        call_id = attempt.held.call_id
        event(logger, "upload_crashed", level=logging.ERROR, call_id=call_id, error=type(error).__name__)
        self.in_hand.discard(attempt)

    def _check(self, task: "asyncio.Task[None]") -> None:
        attempt = self._tasks.pop(task)
        if not task.cancelled() and (error := task.exception()):
            self._crashed(attempt, error)

    def _span_of(self, report: Claimed, asked_ns: int) -> Uploading | None:
        kept = trace_of(report.packed) if self._traces else b""
        if not (self._traces and kept):
            return None
        attempt = report.attempts + 1
        return self._traces.claimed(kept, report.call_id, attempt=attempt, age_ms=report.age_ms, asked_ns=asked_ns)

    @property
    def is_worth_filling(self) -> bool:
        """Whether enough slots are free to claim reports for them."""
        return self._settings.max_in_flight - self.uploading >= self._some

    def give_up(self, attempt: Attempt) -> None:
        """End an upload; the report is given back, where its lease is still ours."""
        task = next((task for task, one in self._tasks.items() if one is attempt), None)
        if task and not attempt.ended:
            event(logger, "lease_lost", level=logging.WARNING, call_id=attempt.held.call_id)
            task.cancel()

    async def end(self, seconds: float) -> None:
        """Let uploads end for up to `seconds`, give back the rest, and record every outcome."""
        if uploads := [task for task, one in self._tasks.items() if not one.ended]:
            _, late = await asyncio.wait(uploads, timeout=seconds)
            for task in late:
                if not self._tasks[task].ended:
                    task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_RECORD_SECONDS)
        unrecorded = list(self._tasks)
        for task in unrecorded:
            task.cancel()
        await asyncio.gather(*unrecorded, return_exceptions=True)
        await self._roark.aclose()
        if self._fresh_audio:
            await self._fresh_audio.aclose()


def _too_large(packed: bytes, need: int, room: int) -> Verdict:
    try:
        check(packed)
    except DamagedPayload as error:
        return Refused("damaged", message=str(error))
    what = f"it needs {need / 1e6:.0f} MB of memory, but a process has {room / 1e6:.0f} MB"
    return Refused("too_large_here", message=what)
