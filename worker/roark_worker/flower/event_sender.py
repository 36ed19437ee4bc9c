"""Sends report events beside the uploads, in groups, and never in their way.

    tell     the event loop hands over what was recorded and goes on; too much of it is dropped, and counted
    word     the sender's own thread makes events of what gathered in a fifth of a second or so
    send     all of it in a few messages; what the broker does not take is dropped, and counted

Flower believes what it hears last. So where the next attempt, perhaps another process's, may be over before the group
goes, the group goes at once.

The ledger is the truth and Flower a view of it, so nothing is kept for later and nothing is sent twice. Above a
rate, successes are sampled evenly; problems are all told.
"""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from roark_ledger.ids import CallId
from roark_ledger.logs import event
from roark_ledger.moves.delivery import Defer, Deliver, Outcome
from roark_worker.flower.report_events import ReportEvent, events_of, poisoned

logger = logging.getLogger(__name__)

_GATHER_SECONDS = 0.2
_SOON_MS = 1000
_GROUP = 200
_MOST_WAITING = 20_000
_PAUSE_SECONDS = 2.0
_LAST_WORDS_SECONDS = 3.0


class Publisher(Protocol):
    """What carries events to whoever listens. Used by one thread."""

    def publish(self, events: Sequence[ReportEvent]) -> None:
        """Send a group of events; raises when it cannot."""

    def close(self) -> None:
        """Close the connection; never raises."""


_Events = tuple[ReportEvent, ...]


@dataclass(frozen=True, slots=True)
class _Told:
    at: float
    outcomes: Sequence[Outcome]


class Sampler:
    """Lets up to `per_second` successes through, evenly chosen from each batch. 0 lets none through."""

    def __init__(self, per_second: float, now: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._now = now
        self._allowance = per_second
        self._at = now()

    def sample(self, successes: Sequence[Outcome]) -> Sequence[Outcome]:
        """Return those that are told."""
        now = self._now()
        self._allowance = min(self._per_second, self._allowance + (now - self._at) * self._per_second)
        self._at = now
        number = min(len(successes), int(self._allowance))
        self._allowance -= number
        if number == len(successes):
            return successes
        return [successes[place * len(successes) // number] for place in range(number)]


class EventSender:
    """Takes outcomes from any thread and sends them as events from its own.

    `counted` has the outcomes sent, sampled (successes left out) and dropped; `counts` is told of it now and then.
    """

    def __init__(
        self,
        make: Callable[[], Publisher],
        *,
        successes_per_second: float,
        counts: Callable[[Mapping[str, int]], None] = lambda _: None,
        console_url: str = "",
    ) -> None:
        self._make = make
        self._counts = counts
        self._sampler = Sampler(successes_per_second)
        self._waiting: deque[_Told | _Events] = deque()
        self._number_waiting = 0
        self._console_url = console_url
        self._publisher: Publisher | None = None
        self._away = False
        self._something = threading.Event()
        self._hurry = threading.Event()
        self._stop = threading.Event()
        self._counting = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)
        self.counted: Counter[str] = Counter()

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """Send what is waiting, if that goes at once, and end."""
        self._stop.set()
        self._hurry.set()
        self._something.set()
        if self._thread.is_alive():
            self._thread.join(timeout=_LAST_WORDS_SECONDS)

    def tell(self, recorded: Sequence[Outcome]) -> None:
        """Take outcomes that the ledger has recorded. Returns at once."""
        successes = [one for one in recorded if isinstance(one, Deliver)]
        told = self._sampler.sample(successes)
        if left_out := len(successes) - len(told):
            self._count("sampled", left_out)
            self._something.set()
        chosen = [*told, *(one for one in recorded if not isinstance(one, Deliver))]
        if chosen:
            self._keep(_Told(time.time(), chosen), len(chosen))
        if any(isinstance(one, Defer) and one.delay_ms < _SOON_MS for one in chosen):
            self._hurry.set()

    def tell_started(self, events: Sequence[ReportEvent]) -> None:
        """Take events about uploads that take long. Returns at once."""
        for one in events:
            self._keep((one,), 1)

    def tell_lane(self, row: ReportEvent) -> None:
        """Take how the lane is. Returns at once."""
        self._keep((row,), 1)

    def tell_poisoned(self, call_ids: Sequence[CallId]) -> None:
        """Take calls whose reports were given up as poison. Returns at once."""
        for call_id in call_ids:
            self._keep((poisoned(call_id, time.time()),), 1)

    def _keep(self, one: "_Told | _Events", size: int) -> None:
        with self._counting:
            is_too_much = self._number_waiting + size > _MOST_WAITING
            self._number_waiting += 0 if is_too_much else size
        if is_too_much:
            self._count("dropped", size)
            return
        self._waiting.append(one)
        self._something.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._something.wait()
            if self._away:
                self._stop.wait(_PAUSE_SECONDS)
            else:
                self._hurry.wait(_GATHER_SECONDS)
            self._hurry.clear()
            self._something.clear()
            self.send_all()
        if self._publisher:
            self._publisher.close()

    def send_all(self) -> None:
        """Send what is waiting."""
        outcomes = list(self._worded())
        for first in range(0, len(outcomes), _GROUP):
            self._send(outcomes[first : first + _GROUP])
        self._counts(self.counted)

    def _count(self, what: str, number: int) -> None:
        with self._counting:
            self.counted[what] += number

    def _worded(self) -> Iterator[_Events]:
        while self._waiting:
            one = self._waiting.popleft()
            made = [self._word(each, one.at) for each in one.outcomes] if isinstance(one, _Told) else [one]
            with self._counting:
                self._number_waiting -= len(made)
            yield from (each for each in made if each)

    def _word(self, outcome: Outcome, at: float) -> _Events:
        try:
            return events_of(outcome, at, self._console_url)
        except Exception as error:  # noqa: BLE001 one outcome without words must not silence all others
            event(logger, "event_unworded", level=logging.ERROR, error=type(error).__name__)
            self._count("dropped", 1)
            return ()

    def _send(self, group: Sequence[_Events]) -> None:
        try:
            self._publisher = self._publisher or self._make()
            self._publisher.publish([each for events in group for each in events])
        except Exception as error:  # noqa: BLE001 whatever the broker's client raises: Flower misses some rows, no more
            self._lose(group, error)
            return
        self._count("sent", len(group))
        if self._away:
            self._away = False
            event(logger, "events_resumed", dropped=self.counted["dropped"])

    def _lose(self, group: Sequence[_Events], error: Exception) -> None:
        self._count("dropped", len(group))
        if self._publisher:
            self._publisher.close()
            self._publisher = None
        if not self._away:
            event(logger, "events_dropped", level=logging.WARNING, error=type(error).__name__, reports=len(group))
        self._away = True
