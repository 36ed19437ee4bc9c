"""What Flower is told of a report: Celery task events, as few as it needs. Pure: outcomes in, events out.

    delivered            task-succeeded   SUCCESS   on which attempt, what Roark answered, Roark's id of the call
    deferred             task-retried     RETRY     the reason in plain words, when the next attempt follows
    refused              task-retried     RETRY     the reason in plain words; all may be refused, or this one alone
    buried, poisoned     task-failed      FAILURE   the reason in plain words, what to do and what to type
    long under way       task-started     STARTED

An attempt is two events that go together when it is over: Flower counts a worker's tasks by task-received, so that
one comes along. Nothing is announced before, but an upload that takes long.

The uuid is derived from the call alone: all attempts of a call are one row in Flower, whichever worker made them,
and where the call id is a UUID, as Vapi's are, the row's page is /task/CALL_ID. A revision of a delivered call has a
row of its own, for Celery's states do not go back from SUCCESS.

An event's words are ours: Roark's own message may quote the report, and is for `roark-ingest why` alone.
"""

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from roark_ledger.ids import CallId
from roark_ledger.moves.delivery import Bury, Defer, Deliver, Held, Outcome, Refuse, Release
from roark_worker.alerts.pages import call_page
from roark_worker.answers.explain import Explanation, explain

REPORT_TASK = "roark.report"
_CALLS = uuid.UUID("0f6c0a3e-5d0b-5f0e-9a55-3f1c8d1f2f3b")
_IS_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# What Roark names as the wrong field is shown only where it looks like one.
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_.\[\]-]{0,99}")


@dataclass(frozen=True, slots=True)
class ReportEvent:
    """One Celery event: its type, and the fields beside those that every event of a worker has."""

    type: str
    fields: Mapping[str, Any]


class _Detail(msgspec.Struct):
    attempt: int = 0
    ms: int = 0
    status: int = 0
    reason: str = ""
    parameter: str = ""
    over: str = ""
    already_there: bool = False
    unconfirmed: bool = False
    revision: bool = False


def task_uuid(call_id: str, *, revision: bool = False) -> str:
    """Return the uuid of a call's row in Flower, the same in all processes."""
    if revision:
        return str(uuid.uuid5(_CALLS, f"{call_id} revision"))
    return call_id if _IS_UUID.fullmatch(call_id) else str(uuid.uuid5(_CALLS, call_id))


def events_of(outcome: Outcome, at: float, console_url: str = "") -> tuple[ReportEvent, ...]:
    """Return what Flower is told of an outcome that was recorded `at` this Unix time; nothing for what is no news.

    What went wrong leads to the console's page about the call, where that has an address.
    """
    match outcome:
        case Deliver(held, roark_call_id, packed):
            detail = _detail(packed)
            said = _delivered(detail, roark_call_id)
            return _attempt("task-succeeded", held, detail, at, result=said, exception=None)
        case Defer(held, delay_ms, reason, packed):
            detail = _detail(packed)
            again = f"Attempt {detail.attempt + 1} in {delay_ms / 1000:.1f} s."
            said = _linked(f"{_cause(held, reason, detail).what} {again}", held, console_url)
            return _attempt("task-retried", held, detail, at, result=said, exception=said)
        case Bury(held, reason, packed):
            detail = _detail(packed)
            said = _linked(in_words(_cause(held, reason, detail)), held, console_url)
            return _attempt("task-failed", held, detail, at, result=said, exception=said)
        case Refuse(held, reason, _, packed):
            detail = _detail(packed)
            said = _linked(f"{in_words(_cause(held, reason, detail))} It is sent again.", held, console_url)
            return _attempt("task-retried", held, detail, at, result=said, exception=said)
        case Release():
            return ()


def started(held: Held, at: float, *, revision: bool) -> ReportEvent:
    """Return what Flower is told of an upload that began `at` this Unix time and takes long."""
    row = _row(held.call_id, revision=revision)
    return ReportEvent("task-started", row | {"received": at, "timestamp": at})


def poisoned(call_id: CallId, at: float) -> ReportEvent:
    """Return what Flower is told of a report that was given up `at` this time because its workers died with it."""
    said = in_words(explain("poison", call_id=call_id))
    facts = {"received": at, "timestamp": at, "result": said, "exception": said}
    return ReportEvent("task-failed", _row(call_id, revision=False) | facts)


def _attempt(kind: str, held: Held, detail: _Detail, at: float, **more: object) -> tuple[ReportEvent, ...]:
    seconds = detail.ms / 1000
    row = _row(held.call_id, revision=detail.revision)
    facts: dict[str, Any] = {"uuid": row["uuid"], "timestamp": at, "started": at - seconds}
    if detail.attempt:
        facts |= {"retries": detail.attempt - 1, "runtime": seconds}
    return ReportEvent("task-received", row | {"timestamp": at - seconds}), ReportEvent(kind, facts | more)


def _linked(said: str, held: Held, console_url: str) -> str:
    page = call_page(console_url, held.call_id)
    return f"{said} {page}" if page else said


def _row(call_id: str, *, revision: bool) -> dict[str, Any]:
    uuid_ = task_uuid(call_id, revision=revision)
    return {"uuid": uuid_, "name": REPORT_TASK, "args": call_id, "kwargs": "{}"}


def _detail(packed: bytes) -> _Detail:
    return msgspec.json.decode(packed, type=_Detail)


def _delivered(detail: _Detail, roark_call_id: str) -> str:
    what = "already at Roark" if detail.already_there else "delivered"
    if detail.unconfirmed:
        what = f"{what}, unconfirmed (Roark's answer did not name the call)"
    named = f"; Roark's ID {roark_call_id}" if roark_call_id else ""
    return f"{what} on attempt {detail.attempt}: {detail.status} in {detail.ms} ms{named}"


def _cause(held: Held, reason: str, detail: _Detail) -> Explanation:
    field = detail.parameter if _FIELD.fullmatch(detail.parameter) else ""
    return explain(
        reason, call_id=held.call_id, status=detail.status, last=detail.reason, parameter=field, over=detail.over
    )


def in_words(why: Explanation) -> str:
    """Return an explanation in the words of a row: what it is, what to do, and what to type."""
    return f"{why.what} {why.todo} Next: {why.command}"
