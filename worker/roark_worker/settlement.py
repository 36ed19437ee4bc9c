"""From a verdict to what is recorded: delivered, deferred, buried, refused, or given back. Pure."""

import contextlib
from dataclasses import dataclass
from typing import Any

import msgspec

from roark_producer.assistant import assistant_of
from roark_producer.operations import Bury, Claimed, Defer, Deliver, Held, Refuse, Signal
from roark_producer.packing import DamagedPayload, unpack
from roark_worker.schedule import Schedule
from roark_worker.verdict import Delivered, OurFault, Passing, Refused, Verdict

EXHAUSTED = "exhausted"


@dataclass(frozen=True, slots=True)
class Release:
    """The report goes back to its queue, unjudged."""

    held: Held


Settlement = Deliver | Defer | Bury | Refuse | Release


class Attempt(msgspec.Struct, frozen=True, gc=False):
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
            pause_ms = _pause_ms(delivered.lane_pause, schedule)
            age_ms = round(attempt.age_seconds * 1000)
            return Deliver(held, delivered.roark_call_id, _detail(attempt), attempt.duration_ms, pause_ms, age_ms)
        case OurFault() as fault:
            last_words = _last_words(attempt, "alone")
            return Refuse(held, fault.reason, fault.message, _detail(attempt), last_words, attempt.duration_ms)
        case Refused() as refused:
            return Bury(held, refused.reason, _last_words(attempt), Signal.NONE if refused.status else Signal.UNSENT)
        case Passing() as passing if passing.status == 409 and tried >= max_conflicts:
            return Bury(held, passing.reason, _last_words(attempt))
        case Passing() as passing if schedule.is_over(tried, attempt.age_seconds):
            over = "attempts" if tried >= schedule.max_attempts else "age"
            return Bury(held, EXHAUSTED, _last_words(attempt, over), signal_of(passing))
        case Passing() as passing:
            delay = schedule.delay(tried, chance, passing.retry_after)
            return Defer(
                held,
                round(delay * 1000),
                passing.reason,
                _detail(attempt, delay),
                signal_of(passing),
                _pause_ms(passing.lane_pause, schedule),
            )


def _pause_ms(seconds: float, schedule: Schedule) -> int:
    # One answer with a mistaken Retry-After must not stop everything for years.
    return round(min(seconds, schedule.retry_after_max) * 1000)


def signal_of(passing: Passing) -> Signal:
    """Return what a failed attempt says about Roark.

    A 429 is overload and no fault: Roark works, and says how fast. Any other 4xx says something about one call only.
    """
    if passing.reason == "timeout" or passing.status in {503, 504}:
        return Signal.BOTH
    if passing.status == 429:
        return Signal.OVERLOAD
    return Signal.NONE if 400 <= passing.status < 500 else Signal.FAULT


def _last_words(attempt: Attempt, over: str = "") -> bytes:
    """Return what is kept of the attempt that ended a report: with the assistant, by which people look for it."""
    detail = _facts(attempt)
    if over:
        detail["over"] = over
    with contextlib.suppress(DamagedPayload):
        if assistant := assistant_of(unpack(attempt.claimed.packed).payload):
            detail["assistant"] = assistant
    return msgspec.json.encode(detail)


def _detail(attempt: Attempt, delay: float | None = None) -> bytes:
    detail = _facts(attempt)
    if delay is not None:
        detail["next_seconds"] = round(delay, 3)
    return msgspec.json.encode(detail)


def _facts(attempt: Attempt) -> dict[str, Any]:
    verdict = attempt.verdict
    detail: dict[str, Any] = {"attempt": attempt.claimed.attempts + 1, "ms": attempt.duration_ms}
    for name in ("status", "reason", "message", "parameter", "retry_after", "already_there"):
        if value := getattr(verdict, name, None):
            detail[name] = value
    if attempt.claimed.revision:
        detail["revision"] = True
    return detail
