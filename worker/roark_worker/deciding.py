"""From a verdict to the outcome that is recorded: delivered, deferred, buried or refused. Pure."""

import contextlib
from typing import Any

import msgspec

from roark_ledger.moves.delivery import Bury, Defer, Deliver, Outcome, Refuse, Signal
from roark_ledger.packing import DamagedPayload, ended_ms_of, unpack
from roark_producer.vapi.assistant import assistant_of
from roark_worker.answers.answer_words import unquoted
from roark_worker.answers.reasons import Judged, reason_of
from roark_worker.answers.verdict import Delivered, OurFault, Passing, Refused, Verdict
from roark_worker.attempt import Attempt
from roark_worker.receipt_rules import ReceiptRules
from roark_worker.schedule import Schedule

EXHAUSTED = "exhausted"
NEWER_VERSION = "newer_version"
WAITS_FOR_AUDIO = "waits_for_audio"
_UNSENT_SECONDS = {NEWER_VERSION: 120.0, WAITS_FOR_AUDIO: 30.0}


_NO_RECEIPTS = ReceiptRules(0, 0, 0)


def decide(  # noqa: PLR0911 one for each verdict
    attempt: Attempt,
    schedule: Schedule,
    *,
    max_conflicts: int,
    chance: float,
    receipts: ReceiptRules = _NO_RECEIPTS,
) -> Outcome:
    """Return what is recorded of an attempt that was judged. `chance` is evenly drawn from 0 to 1."""
    held, tried = attempt.held, attempt.number
    match attempt.verdict:
        case Delivered() as delivered:
            pause_ms = _pause_ms(delivered.lane_pause, schedule)
            took_ms, age_ms = attempt.duration_ms, attempt.age_ms
            in_time = receipts.is_in_time(ended_ms_of(attempt.claimed.packed), attempt.ended * 1000)
            look_up = receipts.is_sampled(held.call_id)
            named = delivered.roark_call_id
            return Deliver(held, named, _detail(attempt), took_ms, pause_ms, age_ms, in_time, look_up)
        case OurFault() as fault:
            last_words = _last_words(attempt, "alone")
            return Refuse(held, fault.reason, fault.message, _detail(attempt), last_words, attempt.duration_ms)
        case Refused() as refused:
            return Bury(held, refused.reason, _last_words(attempt), _signal_of_refusal(refused))
        case Passing(reason=reason) as passing if reason in _UNSENT_SECONDS:
            # It waits for the version that can read it, or for Vapi, and neither attempts nor age end that.
            seconds = passing.retry_after or _UNSENT_SECONDS[reason]
            detail = msgspec.json.encode(_facts(attempt) | {"next_seconds": round(seconds, 3), "unsent": True})
            return Defer(held, round(seconds * 1000), reason, detail, Signal.UNSENT)
        case Passing() as passing if reason_of(passing.reason).judged is Judged.BUSY and tried >= max_conflicts:
            return Bury(held, passing.reason, _last_words(attempt))
        case Passing() as passing if schedule.is_over(tried, attempt.age_ms / 1000):
            over = "attempts" if tried >= schedule.max_attempts else "age"
            return Bury(held, EXHAUSTED, _last_words(attempt, over), signal_of(passing), passing.reason)
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
        case None:
            raise ValueError("an attempt is judged before it is decided")


def _signal_of_refusal(refused: Refused) -> Signal:
    # Whatever the reason says of Roark: it has judged this one report, so the way to it is in order.
    return Signal.NONE if refused.status else reason_of(refused.reason).signal


def _pause_ms(seconds: float, schedule: Schedule) -> int:
    # One answer with a mistaken Retry-After must not stop everything for years.
    return round(min(seconds, schedule.retry_after_max) * 1000)


def signal_of(passing: Passing) -> Signal:
    """Return what a failed attempt says about Roark: see the table of reasons."""
    return reason_of(passing.reason).signal


def _last_words(attempt: Attempt, over: str = "") -> bytes:
    """Return what is kept of the attempt that ended a report: with the assistant, by which people look for it."""
    detail = _facts(attempt)
    if over:
        detail["over"] = over
    if _must_stay_packed(attempt.verdict):
        return msgspec.json.encode(detail)
    with contextlib.suppress(DamagedPayload):
        if assistant := assistant_of(unpack(attempt.claimed.packed).payload):
            detail["assistant"] = assistant
    return msgspec.json.encode(detail)


def _must_stay_packed(verdict: Verdict | None) -> bool:
    return getattr(verdict, "reason", "") == "too_large_here"


def _detail(attempt: Attempt, delay: float | None = None) -> bytes:
    detail = _facts(attempt)
    if delay is not None:
        detail["next_seconds"] = round(delay, 3)
    return msgspec.json.encode(detail)


_QUOTING = ("message", "excerpt")
_TOLD = ("status", "reason", "message", "code", "parameter", "excerpt", "retry_after", "already_there")


def _take_out_quotes(detail: dict[str, Any], packed: bytes) -> None:
    """Take what an answer quotes of the report out of its words: they are shown to people, and outlive the report."""
    names = [name for name in _QUOTING if name in detail]
    if not names:
        return
    with contextlib.suppress(DamagedPayload):
        report = unpack(packed).payload.decode("utf-8", "replace")
        for name in names:
            detail[name] = unquoted(detail[name], report)


def _facts(attempt: Attempt) -> dict[str, Any]:
    """Return all that is kept of an attempt in the call's history."""
    verdict = attempt.verdict
    detail: dict[str, Any] = {"attempt": attempt.number, "ms": attempt.duration_ms}
    if isinstance(verdict, Delivered) and verdict.roark_call_id:
        # Nearly every attempt, and there is nothing else to tell of it.
        detail["status"] = verdict.status
        if verdict.already_there:
            detail["already_there"] = True
    else:
        detail |= {name: value for name in _TOLD if (value := getattr(verdict, name, None))}
        if not _must_stay_packed(verdict):
            _take_out_quotes(detail, attempt.claimed.packed)
        if isinstance(verdict, Delivered):
            detail["unconfirmed"] = True
    if attempt.claimed.revision:
        detail["revision"] = True
    if attempt.claimed.route == "call":
        detail["route"] = "call"
    return detail
