"""From uploads that have ended to what is recorded of them: judge, settle, count, log, end the span.

That is done by the batch that is recorded together, and not when each upload ends: there, between two uploads of 74 kB
that drive all else out of the processor's caches, the same steps took twice as long, and a line in the log four times.
"""

import logging
import random
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from roark_ledger.logs import event
from roark_ledger.moves.delivery import Claimed, Defer
from roark_producer.tracing import Uploading
from roark_worker.answers.verdict import Answer, Delivered, Verdict, judge
from roark_worker.metrics.counting import Counts
from roark_worker.schedule import Schedule
from roark_worker.settings import WorkerSettings
from roark_worker.settlement import Attempt, Settlement, settle

logger = logging.getLogger(__name__)


class Ended(msgspec.Struct, gc=False):
    """An upload that is over: what came of it, how long it took, and when it ended (Unix time).

    `came` is Roark's answer, or the verdict where there was none.
    """

    claimed: Claimed
    came: Answer | Verdict
    seconds: float
    at: float
    span: Uploading | None = None


class Deciding:
    """Says what is recorded of each upload."""

    def __init__(
        self, settings: WorkerSettings, counts: Counts | None = None, chance: Callable[[], float] = random.random
    ) -> None:
        self._schedule = schedule_of(settings)
        self._max_conflicts = settings.max_conflicts
        self._counts = counts or Counts.unshared()
        self._chance = chance

    def decide(self, ended: Ended) -> Settlement:
        """Return what is recorded of an upload; count it and tell of it."""
        came, claimed = ended.came, ended.claimed
        verdict = judge(came, datetime.fromtimestamp(ended.at, UTC)) if isinstance(came, Answer) else came
        duration_ms = max(1, round(ended.seconds * 1000))
        attempt = Attempt(claimed, verdict, duration_ms, claimed.age_ms / 1000 + ended.seconds)
        settlement = settle(attempt, self._schedule, max_conflicts=self._max_conflicts, chance=self._chance())
        self._counts.attempted(verdict, ended.seconds)
        if ended.span:
            outcome = type(settlement).__name__.lower()
            ended.span.end(outcome, status=verdict.status, reason=getattr(verdict, "reason", ""), at=ended.at)
        _tell(attempt, settlement)
        return settlement


def schedule_of(settings: WorkerSettings) -> Schedule:
    """Return the schedule that the settings describe."""
    return Schedule(
        first_delay=settings.first_delay_seconds,
        max_delay=settings.max_delay_seconds,
        max_attempts=settings.max_attempts,
        max_age=settings.max_age_hours * 3600,
        retry_after_max=settings.retry_after_max_seconds,
    )


def _tell(attempt: Attempt, settlement: Settlement) -> None:
    verdict = attempt.verdict
    good = isinstance(verdict, Delivered)
    level = logging.INFO if good else logging.WARNING
    if not logger.isEnabledFor(level):
        return
    event(
        logger,
        type(settlement).__name__.lower(),
        level=level,
        call_id=attempt.claimed.call_id,
        attempt=attempt.claimed.attempts + 1,
        status=verdict.status or None,
        reason=getattr(verdict, "reason", None),
        duration_ms=attempt.duration_ms,
        age_seconds=round(attempt.age_seconds, 3),
        **({"confirmed": False} if isinstance(verdict, Delivered) and not verdict.confirmed else {}),
        **({"next_try_seconds": settlement.delay_ms / 1000} if isinstance(settlement, Defer) else {}),
    )
