"""One look at the ledger per second for the whole process, however many tabs are open; and what tabs hear of it.

live.now()             the latest moment: at most a second old where the thread runs, else fetched now
live.curves()          the moments of the last hour, thinned out, for the charts
async for beat in live.beats(): …       one word for each change, for a tab's event stream
"""

import asyncio
import contextlib
import json
import logging
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from typing import Any

from roark_ledger.errors import LedgerError
from roark_ledger.ledger import Ledger
from roark_ledger.lifecycle import State
from roark_ledger.logs import event
from roark_ledger.moves import desk, watch
from roark_ledger.records.alerts import Facts
from roark_ledger.records.letters import LetterPage
from roark_ledger.records.setup import Setup
from roark_ledger.records.snapshot import Snapshot
from roark_ops.console.memory.survey import Surveyor

logger = logging.getLogger(__name__)

_EVERY_SECONDS = 1.0
_OLD_SECONDS = 1.5
_LATEST = 50
_LATELY_MS, _SOON_MS = 3_600_000, 7_200_000
_POINTS, _STEP_MS = 720, 5_000
_WATCHED_SECONDS = 90.0
BEAT_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Moment:
    """The ledger at one moment, and what is judged beside it.

    `crew` are the workers by name, `latencies` those of the latest deliveries (ms). `error` says why Redis could not be
    asked; the rest is then what was seen last.
    """

    snapshot: Snapshot
    crew: dict[str, Setup]
    facts: Facts
    latencies: tuple[int, ...]
    seen: float
    error: str = ""

    def latency(self, share: float) -> int | None:
        """Return what so many in a hundred of the latest deliveries did not exceed, from accepted to delivered."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share / 100))] if ordered else None


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """A step of the charts: what came in and went out per second, and how long deliveries took (ms)."""

    at_ms: int
    accepted_ps: float | None
    delivered_ps: float | None
    p50_ms: int | None
    p95_ms: int | None


class Live:
    """Looks once a second from `start` on. Without that, `now` looks by itself."""

    def __init__(self, ledger: Ledger, surveyor: Surveyor) -> None:
        self._ledger = ledger
        self._surveyor = surveyor
        self._lock = threading.Lock()
        self._moment: Moment | None = None
        self._points: deque[CurvePoint] = deque(maxlen=_POINTS)
        self._step: Snapshot | None = None
        self._listeners: dict[asyncio.Queue[str], asyncio.AbstractEventLoop] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._watched = 0.0
        self.looks = 0
        """How often the ledger was asked."""

    def start(self) -> None:
        """Begin to look."""
        self._thread = threading.Thread(target=self._run, name="console-live", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()
        if self._thread:
            self._thread.join(5)

    def now(self, *, fresh: bool = False) -> Moment:
        """Return the latest moment; with `fresh` one that begins now.

        Raises LedgerUnavailable when Redis is away and nothing was ever seen.
        """
        self._watched = time.monotonic()
        moment = self._moment
        if fresh or moment is None or time.monotonic() - moment.seen > _OLD_SECONDS:
            with self._lock:
                if fresh or self._moment is moment:
                    self._look()
        assert self._moment  # noqa: S101 `_look` raises without one
        return self._moment

    def curves(self) -> tuple[CurvePoint, ...]:
        """Return the last hour, the oldest first."""
        return tuple(self._points)

    async def beats(self) -> AsyncIterator[str]:
        """Yield a line of JSON for each change, and "" now and then where there is none."""
        queue: asyncio.Queue[str] = asyncio.Queue(8)
        self._listeners[queue] = asyncio.get_running_loop()
        try:
            if self._moment:
                yield _told(self._moment)
            while True:
                self._watched = time.monotonic()
                try:
                    async with asyncio.timeout(BEAT_SECONDS):
                        yield await queue.get()
                except TimeoutError:
                    yield ""
        finally:
            del self._listeners[queue]

    @property
    def tabs(self) -> int:
        """How many tabs listen."""
        return len(self._listeners)

    def _run(self) -> None:
        last = ""
        while not self._stop.is_set():
            try:
                last = self._round(last)
            except LedgerError:
                pass
            except Exception as error:  # noqa: BLE001 if this thread ended, nothing would be live any more
                event(logger, "look_failed", level=logging.ERROR, error=type(error).__name__)
            self._stop.wait(_EVERY_SECONDS)

    def _round(self, last: str) -> str:
        with self._lock:
            self._look()
        moment = self._moment
        told = _told(moment) if moment else last
        if told != last:
            self._tell(told)
        self._survey(moment)
        return told

    def _survey(self, moment: Moment | None) -> None:
        # Nobody looks: the next one who does waits for a moment, and Redis has peace until then.
        is_first = not self._surveyor.read
        if moment and not moment.error and (is_first or time.monotonic() - self._watched < _WATCHED_SECONDS):
            try:
                self._surveyor.refresh_if_due()
            except LedgerError as error:
                event(logger, "survey_failed", level=logging.WARNING, error=str(error))

    def _look(self) -> None:
        try:
            self.looks += 1
            found: list[Any] = self._ledger.run_all(
                [
                    watch.snapshot(),
                    watch.crew(),
                    watch.alert_facts(lately_ms=_LATELY_MS, soon_ms=_SOON_MS),
                    desk.page(most=_LATEST, place="delivered"),
                ]
            )
        except LedgerError as error:
            if self._moment is None:
                raise
            self._moment = replace(self._moment, error=str(error), seen=time.monotonic())
            return
        snapshot, crew, facts, page = found
        self._moment = Moment(snapshot, crew, facts, tuple(_latencies(page, snapshot.now_ms)), time.monotonic())
        self._draw(self._moment)

    def _draw(self, moment: Moment) -> None:
        snapshot, before = moment.snapshot, self._step
        if before is None:
            self._step = snapshot
            return
        gap_ms = snapshot.now_ms - before.now_ms
        if gap_ms < _STEP_MS:
            return
        self._step = snapshot
        accepted = snapshot.total("accepted") - before.total("accepted")
        delivered = snapshot.states[State.DELIVERED] - before.states[State.DELIVERED]
        self._points.append(
            CurvePoint(
                snapshot.now_ms,
                round(accepted * 1000 / gap_ms, 2),
                round(max(0, delivered) * 1000 / gap_ms, 2),
                moment.latency(50),
                moment.latency(95),
            )
        )

    def _tell(self, told: str) -> None:
        for queue, loop in tuple(self._listeners.items()):
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_put, queue, told)


def _put(queue: "asyncio.Queue[str]", told: str) -> None:
    # A tab that does not keep up needs the latest alone.
    with contextlib.suppress(asyncio.QueueFull):
        queue.put_nowait(told)


def _latencies(page: LetterPage, now_ms: int) -> Iterator[int]:
    for letter in page.letters:
        if now_ms - letter.record.since_ms < _LATELY_MS:
            yield max(0, letter.record.since_ms - letter.record.accepted_ms)


def _told(moment: Moment) -> str:
    snapshot = moment.snapshot
    facts = {
        "states": {state.value: number for state, number in snapshot.states.items()},
        "unconfirmed": snapshot.unconfirmed,
        "rejected": snapshot.rejected_kept,
        "uploads": snapshot.lane.state,
        "log": snapshot.logbook_lines,
        "replays": [snapshot.replays.running, snapshot.replays.paused, snapshot.replays.sent],
        "error": bool(moment.error),
    }
    return json.dumps(facts, separators=(",", ":"))
