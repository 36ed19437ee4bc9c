"""From a verdict to what is recorded: delivered, deferred, buried, or given back with the lane on hold. Pure."""

from dataclasses import dataclass
from typing import Any

import msgspec

from roark_producer.operations import Bury, Claimed, Defer, Deliver, Held
from roark_worker.schedule import Schedule
from roark_worker.verdict import Delivered, OurFault, Passing, Refused, Verdict

EXHAUSTED = "exhausted"


@dataclass(frozen=True, slots=True)
class Release:
    """The report goes back to its queue, unjudged. `hold_reason` stops the lane where it is not empty."""

    held: Held
    hold_reason: str = ""


Settlement = Deliver | Defer | Bury | Release


@dataclass(frozen=True, slots=True)
class Attempt:
    """One upload that is over: what was held, what it means, how long it took and how old the report is."""

    claimed: Claimed
    verdict: Verdict
    duration_ms: int
    age_seconds: float


def settle(attempt: Attempt, schedule: Schedule, *, max_conflicts: int, chance: float) -> Settlement:
    """Return what is recorded about an attempt. `chance` is evenly drawn from 0 to 1."""
    held = Held(attempt.claimed.call_id, attempt.claimed.token)
    tried = attempt.claimed.attempts + 1
    match attempt.verdict:
        case Delivered() as delivered:
            return Deliver(held, delivered.roark_call_id, _detail(attempt))
        case OurFault() as fault:
            return Release(held, hold_reason=f"{fault.reason} {fault.message}".strip())
        case Refused() as refused:
            return Bury(held, refused.reason, _detail(attempt))
        case Passing() as passing if passing.status == 409 and tried >= max_conflicts:
            return Bury(held, passing.reason, _detail(attempt))
        case Passing() if schedule.is_over(tried, attempt.age_seconds):
            return Bury(held, EXHAUSTED, _detail(attempt))
        case Passing() as passing:
            delay = schedule.delay(tried, chance, passing.retry_after)
            return Defer(held, round(delay * 1000), passing.reason, _detail(attempt, delay))


def _detail(attempt: Attempt, delay: float | None = None) -> bytes:
    verdict = attempt.verdict
    detail: dict[str, Any] = {"attempt": attempt.claimed.attempts + 1, "ms": attempt.duration_ms}
    for name in ("status", "reason", "message", "parameter", "retry_after", "already_there"):
        if value := getattr(verdict, name, None):
            detail[name] = value
    if delay is not None:
        detail["next_seconds"] = round(delay, 3)
    return msgspec.json.encode(detail)
