"""The story of one call, from what the ledger tells: what happened to it, and what happens next. Pure.

`tell` turns the ledger's entry into steps and a next step in plain words, for `why` and `dlq show`.
"""

from dataclasses import dataclass, field
from typing import Any

from roark_ledger.ids import as_argument
from roark_ledger.lifecycle import State
from roark_ledger.places import UNCONFIRMED
from roark_ledger.records.lane import Lane
from roark_ledger.records.record import Entry, Event, Record
from roark_ledger.records.screen import uploads_are
from roark_ledger.records.setup import Setup
from roark_ledger.routes import path_of
from roark_ops.desk.named_fields import value_of
from roark_ops.mending.editing import CannotEdit, changes_between
from roark_ops.mending.json_text import pointer
from roark_worker.answers.explain import Explanation, Replay, Side, explain
from roark_worker.answers.lane_words import explain_way
from roark_worker.answers.reasons import reason_of

_ATTEMPTS = frozenset({"deferred", "refused", "buried", "delivered"})
_RECEIPTS = frozenset({"seen", "unseen", "absent"})
_EVENTS = {
    "deferred": "the attempt failed; a retry was scheduled",
    "refused": "refused; a retry was scheduled to see whether others are refused, too",
    "buried": "became a dead letter",
    "delivered": "Roark accepted the report",
    "confirmed": "the delivery was confirmed",
    "dropped": "the unconfirmed report was dropped",
    "poisoned": "too many workers died while uploading it: became a dead letter",
    "reclaimed": "its worker died or lost Redis: queued again",
    "lost": "its stored report was gone: became a dead letter",
    "replaced": "replaced by a newer report of the call",
    "revised": "a newer report of the delivered call was uploaded",
    "revision": "a newer report of the delivered call came in",
    "replayed": "replayed",
    "edited": "a person changed the report",
    "unedited": "the edits were undone",
    "set_aside": "a person set it aside: became a dead letter",
    "freed": "a person freed it to go by another of Roark's ways in",
    "discarded": "discarded",
    "restored": "restored: a dead letter again",
    "seen": "looked up at Roark: visible",
    "unseen": "looked up at Roark: not visible within 10 minutes",
    "absent": "looked up at Roark: not visible even after a day",
    "backfilled": "no report came: rebuilt from Vapi's list of calls",
}


@dataclass(frozen=True, slots=True)
class StoryStep:
    """One thing that happened to a report. `at_ms` is Unix time; what does not apply is 0 or empty."""

    at_ms: int
    event: str
    what: str
    attempt: int = 0
    status: int = 0
    duration_ms: int | None = None
    reason: str = ""
    message: str = ""
    parameter: str = ""
    over: str = ""
    by: str = ""
    code: str = ""
    excerpt: str = ""


@dataclass(frozen=True, slots=True)
class Next:
    """What happens next; `at_ms` is when, 0 where no time is set."""

    what: str
    at_ms: int = 0
    command: str = ""


@dataclass(frozen=True, slots=True)
class Story:
    """Everything about one call. `state` is erased for one whose data is gone; times are Unix ms, 0 for none.

    `receipt` is what the last look at Roark found, seen, unseen or absent; `looked_up_ms` when the next one is due.
    `route` is by which of Roark's ways in it was sent, "" where it was not yet, or that does not matter.

    `confirmed` says of a delivered one whether that is known, by Roark's id or a person's word. `edited` names the
    places in which the report differs from the one that was sent.
    """

    call_id: str
    now_ms: int
    state: State
    next: Next
    accepted_ms: int = 0
    since_ms: int = 0
    attempts: int = 0
    reason: str = ""
    roark_call_id: str = ""
    expires_ms: int = 0
    confirmed: bool | None = None
    is_revision: bool = False
    newer_waits: bool = False
    revision_kept: bool = False
    receipt: str = ""
    looked_up_ms: int = 0
    route: str = ""
    edited: tuple[str, ...] = ()
    steps: tuple[StoryStep, ...] = field(default=())
    explanation: Explanation | None = None


def tell(entry: Entry, lane: Lane, setup: Setup | None = None) -> Story:
    """Return the story of a call that the ledger knows."""
    record = entry.record
    if record is None:
        return Story(entry.call_id, entry.asked_ms, State.ERASED, _after_erasing())
    steps = tuple(map(_step, entry.history))
    delivered = record.state is State.DELIVERED
    return Story(
        call_id=entry.call_id,
        now_ms=entry.asked_ms,
        state=record.state,
        next=_next(entry, record, steps, explain_way(lane, setup), lane),
        accepted_ms=record.accepted_ms,
        since_ms=record.since_ms,
        attempts=record.attempts,
        reason="" if delivered else record.note,
        roark_call_id=record.note if delivered else "",
        confirmed=_is_confirmed(record, steps) if delivered else None,
        expires_ms=record.expires_ms,
        is_revision=record.revision,
        newer_waits=entry.has_newer,
        revision_kept=entry.has_revision,
        receipt=next((step.event for step in reversed(steps) if step.event in _RECEIPTS), "") if delivered else "",
        looked_up_ms=entry.looked_up_ms,
        route="call" if entry.by_call_route else "",
        edited=_edited(entry),
        steps=steps,
        explanation=_explained(entry, record, steps),
    )


def _explained(entry: Entry, record: Record, steps: tuple[StoryStep, ...]) -> Explanation | None:
    if record.state is State.DELIVERED:
        return explain(UNCONFIRMED, call_id=entry.call_id) if entry.unconfirmed_ms else None
    return _explanation(entry, record, steps) if record.note else None


def _is_confirmed(record: Record, steps: tuple[StoryStep, ...]) -> bool:
    return bool(record.note) or _settled_by(steps) == "confirmed"


def _settled_by(steps: tuple[StoryStep, ...]) -> str:
    # What ended it that the last delivery was unconfirmed.
    return next((step.event for step in reversed(steps) if step.event in {"delivered", "confirmed", "dropped"}), "")


def _edited(entry: Entry) -> tuple[str, ...]:
    if not entry.original:
        return ()
    try:
        changes = changes_between(entry.call_id, entry.original, entry.packed)
    except CannotEdit:
        return ("(the stored report cannot be read)",)
    return tuple(pointer(change.place) for change in changes)


def _step(event: Event) -> StoryStep:
    detail = event.detail
    duration = detail.get("ms")
    return StoryStep(
        at_ms=event.at_ms,
        event=event.name,
        what=_EVENTS.get(event.name, event.name),
        attempt=_number(detail, "sends") or _number(detail, "attempt"),
        status=_number(detail, "status"),
        duration_ms=duration if isinstance(duration, int) else None,
        reason=str(detail.get("reason", "")),
        message=str(detail.get("message", "")),
        parameter=str(detail.get("parameter", "")),
        over=str(detail.get("over", "")),
        by=str(detail.get("by", "")),
        code=str(detail.get("code", "")),
        excerpt=str(detail.get("excerpt", "")),
    )


def _number(detail: dict[str, Any], name: str) -> int:
    value = detail.get(name)
    return value if isinstance(value, int) else 0


def _explanation(entry: Entry, record: Record, steps: tuple[StoryStep, ...]) -> Explanation:
    last = next((step for step in reversed(steps) if step.event in _ATTEMPTS), None)
    if last is None or record.note == "set_aside":
        return explain(record.note, call_id=entry.call_id)
    return explain(
        record.note,
        call_id=entry.call_id,
        status=last.status,
        last=last.reason,
        parameter=last.parameter,
        value=value_of(entry, last.parameter),
        over=last.over,
    )


def _next(  # noqa: PLR0911 one for each state
    entry: Entry, record: Record, steps: tuple[StoryStep, ...], why: Explanation | None, lane: Lane
) -> Next:
    match record.state:
        case State.READY:
            return _when_ready(why, lane)
        case State.UPLOADING:
            newer = " A newer report of the call follows." if entry.has_newer else ""
            what = f"It is being uploaded.{newer} If its worker dies, it is queued again when the lease ends."
            return Next(what, entry.score_ms)
        case State.WAITING:
            if entry.score_ms <= entry.asked_ms:
                return Next(f"Attempt {record.attempts + 1} is due; it starts within a second or so.")
            if steps and steps[-1].event == "refused":
                what = "It is sent again; this does not count as an attempt. If Roark refuses it three times while "
                return Next(f"{what}accepting others, it becomes a dead letter.", entry.score_ms)
            return Next(f"Attempt {record.attempts + 1}.", entry.score_ms)
        case State.DELIVERED:
            return _after_delivery(entry, record, steps)
        case State.DEAD:
            found = _explanation(entry, record, steps)
            todo = f"Nothing happens until someone acts. {found.todo}{_way_of(entry, record)}"
            return Next(todo, command=_to_type(found, entry.call_id))
        case State.DISCARDED:
            return Next("Nothing: it is discarded.", command=f"roark-ingest dlq restore {as_argument(entry.call_id)}")
        case State.EXPIRED:
            return Next("Nothing: retention removed it because of its age.")
        case State.ERASED:
            return _after_erasing()


def _way_of(entry: Entry, record: Record) -> str:
    """Say which way in a letter is bound to, where that is what it died of."""
    if entry.free_route or record.note not in reason_of("http_404").codes:
        return ""
    path = path_of("call" if entry.by_call_route else "vapi")
    free = f"roark-ingest route --free {as_argument(entry.call_id)}"
    return (
        f" An earlier upload to {path} may have reached Roark, so this report is only sent there. "
        f"If Roark does not have the call, `{free}` lets it go by the other way in, then replay it."
    )


def _after_delivery(entry: Entry, record: Record, steps: tuple[StoryStep, ...]) -> Next:
    kept = " A newer report of the call is kept, not uploaded." if entry.has_revision else ""
    if entry.unconfirmed_ms:
        found = explain(UNCONFIRMED, call_id=entry.call_id)
        return Next(
            f"Nothing happens until someone acts: it is unconfirmed, and its report is kept. {found.todo}{kept}",
            0,
            found.command,
        )
    if record.note:
        return Next(f"Nothing: Roark has it.{kept}")
    match _settled_by(steps):
        case "confirmed":
            return Next(f"Nothing: Roark's answer did not name the call, but a person confirmed it.{kept}")
        case "dropped":
            return Next(f"Nothing: Roark's answer did not name the call, and its report was dropped unconfirmed.{kept}")
        case _:
            return Next(f"Nothing: Roark accepted it without naming the call.{kept}")


def _to_type(found: Explanation, call_id: str) -> str:
    # The story is all that there is to look at, so what comes next is to act.
    if not found.command.startswith("roark-ingest dlq show"):
        return found.command
    useless = "edit" if found.side is Side.REPORT else "discard"
    return f"roark-ingest dlq {useless if found.replay is Replay.USELESS else 'replay'} {as_argument(call_id)}"


def _when_ready(why: Explanation | None, lane: Lane) -> Next:
    if why is None:
        return Next("A worker uploads it when its turn comes.")
    return Next(f"It waits. {uploads_are(lane.state)}. {why.what} {why.todo}", lane.next_ms, why.command)


def _after_erasing() -> Next:
    return Next("Nothing: its data was erased, and later reports of this call are refused.")
