"""The tick: what every worker does each second, so that nothing waits for a message that was lost.

    promote   reports that are due again become ready
    reap      reports whose worker died come back
    forget    records of old deliveries are dropped
    replay    replay jobs send their next letters, stop when too many fail again, and end
    expire    dead letters, discarded reports and the payloads of unconfirmed deliveries go at an age that is a setting
              (default: never), after a notice
    pulse     ready reports that nobody claims: publish a wake-up

Every step is one atomic script, so any number of workers may tick at once and none leads.

After Redis was away nothing is reaped for the length of a lease: the workers could not prolong theirs, and live.

If wake-ups bring this worker no drain although reports stay ready, the broker is away or Celery's consumer has not
noticed yet that it is back: after two seconds this worker drains unasked. If no wake-up comes for a minute, the
consumer has stalled (that is known to happen after Redis was away) and the process ends itself, for its supervisor to
start it anew.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from roark_ledger.errors import LedgerFault, LedgerUnavailable
from roark_ledger.ids import CallId
from roark_ledger.ledger import Ledger
from roark_ledger.logs import event
from roark_ledger.moves import replay as replay_jobs
from roark_ledger.moves import upkeep
from roark_worker.process.rounds import Rounds
from roark_worker.settings import WorkerSettings

logger = logging.getLogger(__name__)

_AT_ONCE = 500
_MOST_ROUNDS = 20
_QUIET_MS = 1000
_DRAIN_UNASKED_AFTER = 2.0
_REPLAYED_AT_ONCE, _REPLAY_QUEUE = 100, 500
_REPLAY_SILENCE_MS = 60_000


class Tick(Rounds):
    """Ticks on a thread of its own until stopped."""

    def __init__(
        self,
        ledger: Ledger,
        settings: WorkerSettings,
        *,
        wake: Callable[[], bool],
        is_draining: Callable[[], bool],
        give_up: Callable[[], None],
        drain_unasked: Callable[[], object] = lambda: None,
        wake_ups_heard: Callable[[], int] = lambda: 0,
        tell_poisoned: Callable[[Sequence[CallId]], None] | None = None,
        note_setup: Callable[[], None] = lambda: None,
        show_lane: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__("tick", settings.tick_seconds)
        self._ledger = ledger
        self._settings = settings
        self._rules = settings.flow_rules()
        self._wake = wake
        self._is_draining = is_draining
        self._give_up = give_up
        self._drain_unasked = drain_unasked
        self._wake_ups_heard = wake_ups_heard
        self._heard = 0
        self._unasked: threading.Thread | None = None
        self._tell_poisoned = tell_poisoned
        self._note_setup = note_setup
        self._show_lane = show_lane
        self._stalled_since: float | None = None
        self._redis_away = False
        self._reap_from = 0.0

    def _round(self) -> None:
        try:
            self.once()
        except LedgerUnavailable as error:
            if not self._redis_away:
                event(logger, "redis_away", level=logging.ERROR, error=str(error))
            self._redis_away = True
            self._stalled_since = None
        except LedgerFault as error:
            event(logger, "tick_failed", level=logging.ERROR, error=str(error))

    def once(self) -> None:
        """Tick once.

        Raises LedgerUnavailable when Redis is away.
        """
        self._promote()
        self._note_setup()
        self._show_lane()
        if self._redis_away:
            event(logger, "redis_back", level=logging.WARNING)
            self._redis_away = False
            # Celery notices later, and what it was about to bring is gone.
            self._stalled_since = time.monotonic() - _DRAIN_UNASKED_AFTER
            self._reap_from = time.monotonic() + self._settings.lease_seconds
        if time.monotonic() >= self._reap_from:
            self._reap()
        window_ms = round(self._settings.remember_days * 86_400_000)
        self._ledger.run(upkeep.forget(window_ms=window_ms, most=_AT_ONCE))
        self._replay()
        self._expire()
        # This worker may help with a large backlog, even while others are at it.
        plenty = 0 if self._is_draining() else self._settings.claim_batch
        if self._ledger.run(upkeep.pulse(quiet_ms=_QUIET_MS, rules=self._rules, plenty=plenty)):
            self._watch_for_a_stall()
            self._wake()
        elif not self._drains_unasked:
            self._stalled_since = None

    def _promote(self) -> None:
        for _ in range(_MOST_ROUNDS):
            if self._ledger.run(upkeep.promote(most=_AT_ONCE)) < _AT_ONCE:
                return

    def _replay(self) -> None:
        step = replay_jobs.step(
            most=_REPLAYED_AT_ONCE,
            queue_most=_REPLAY_QUEUE,
            patience_ms=round(self._settings.replay_patience_seconds * 1000),
            silence_ms=_REPLAY_SILENCE_MS,
            keep_ms=round(self._settings.replay_keep_days * 86_400_000),
        )
        for _ in range(_REPLAY_QUEUE // _REPLAYED_AT_ONCE):
            done = self._ledger.run(step)
            for what, job, why in done.news:
                level = logging.ERROR if what == "stopped" else logging.INFO
                event(logger, f"replay_{what}", level=level, job=job, why=why or None)
            if done.sent < _REPLAYED_AT_ONCE:
                return

    def _reap(self) -> None:
        reaped = self._ledger.run(upkeep.reap(most=_AT_ONCE, deaths=self._settings.max_deaths))
        if reaped.reclaimed or reaped.poisoned:
            poisoned = len(reaped.poisoned)
            event(logger, "leases_expired", level=logging.WARNING, back=reaped.reclaimed, poison=poisoned)
            if self._tell_poisoned:
                self._tell_poisoned(reaped.poisoned)

    def _expire(self) -> None:
        notice_ms = round(self._settings.notice_hours * 3_600_000)
        # Who keeps the payloads of all that is delivered keeps these, too.
        settings = self._settings
        unconfirmed_days = 0 if settings.keep_payloads else settings.unconfirmed_days
        kept = {"dead": settings.dead_days, "discarded": settings.discarded_days, "unconfirmed": unconfirmed_days}
        for state, days in kept.items():
            if not days:
                continue
            window_ms = round(days * 86_400_000)
            expire = upkeep.expire(state=state, window_ms=window_ms, notice_ms=notice_ms, most=_AT_ONCE)
            expired = self._ledger.run(expire)
            if expired.announced:
                hint = "to keep them: roark-ingest dlq export, dlq replay or dlq restore"
                event(
                    logger,
                    "retention_announced",
                    level=logging.WARNING,
                    state=state,
                    reports=expired.announced,
                    first=datetime.fromtimestamp(expired.first_ms / 1000, UTC).isoformat(timespec="seconds"),
                    hint=hint,
                )
            if expired.removed:
                event(logger, "retention_removed", level=logging.WARNING, state=state, reports=expired.removed)

    @property
    def _drains_unasked(self) -> bool:
        return self._unasked is not None and self._unasked.is_alive()

    def _watch_for_a_stall(self) -> None:
        heard, self._heard = self._heard, self._wake_ups_heard()
        if self._heard != heard or (self._is_draining() and not self._drains_unasked):
            self._stalled_since = None
            return
        self._stalled_since = self._stalled_since or time.monotonic()
        idle = time.monotonic() - self._stalled_since
        if idle >= _DRAIN_UNASKED_AFTER and not self._is_draining():
            event(logger, "drains_unasked", level=logging.WARNING, seconds=round(idle, 1))
            self._unasked = threading.Thread(target=self._drain_unasked, name="unasked drain", daemon=True)
            self._unasked.start()
        if idle >= self._settings.stall_seconds:
            event(logger, "stalled", level=logging.CRITICAL, seconds=round(idle))
            self._stalled_since = None
            self._give_up()
