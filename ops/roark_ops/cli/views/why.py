"""How the story of one call is shown: as one JSON document, or as lines for a person."""

from typing import Any

from roark_ledger.ids import as_argument
from roark_ledger.routes import BY_EXTERNAL_ID, path_of
from roark_ops.cli.terminal.output import print_facts, print_json, print_line, print_table
from roark_ops.cli.terminal.running import say
from roark_ops.cli.terminal.words import ago, iso, moment, shown
from roark_ops.desk.story import Story, StoryStep
from roark_worker.answers.explain import Explanation
from roark_worker.settings import WorkerSettings

_PLACES_SHOWN = 5


def show_unknown(call_id: str, *, as_json: bool) -> None:
    """Say plainly that the ledger knows nothing of a call."""
    if as_json:
        print_json({"call_id": call_id, "state": "unknown"})
    days = f"{WorkerSettings().remember_days:g}"
    say(
        f"roark-ingest: call {shown(call_id)} is unknown: no report of it came in, or it was delivered more than "
        f"{days} days ago. Get the call from Vapi and queue it with `roark-ingest enqueue`."
    )


def show_story(story: Story, *, as_json: bool, asked_by: str = "roark-ingest why") -> None:
    """Print a story. `asked_by` is the command that shows it, which needs no pointing to."""
    if as_json:
        print_json(document(story))
    else:
        _print(story, asked_by)


def document(story: Story) -> dict[str, Any]:
    """Return a story as `--json` prints it. Times in ISO 8601, null where there is none."""
    return {
        "call_id": story.call_id,
        "state": story.state.value,
        "since": iso(story.since_ms),
        "accepted": iso(story.accepted_ms),
        "attempts": story.attempts,
        "reason": story.reason or None,
        "roark_call_id": story.roark_call_id or None,
        "confirmed": story.confirmed,
        "audio_links_end": iso(story.expires_ms),
        "receipt": story.receipt or None,
        "receipt_due": iso(story.looked_up_ms),
        "route": story.route or None,
        "is_revision": story.is_revision,
        "newer_report_waits": story.newer_waits,
        "revision_kept": story.revision_kept,
        "edited": [shown(place) for place in story.edited] or None,
        "history": [_step_document(step) for step in story.steps],
        "next": {"what": story.next.what, "at": iso(story.next.at_ms), "command": story.next.command or None},
        "explanation": explanation_document(story.explanation) if story.explanation else None,
    }


def explanation_document(found: Explanation) -> dict[str, str | None]:
    """Return an explanation as `--json` prints it."""
    return {
        "what": shown(found.what),
        "side": found.side.value,
        "field": shown(found.field) or None,
        "value": shown(found.value) or None,
        "replay": found.replay.value,
        "condition": found.condition or None,
        "todo": found.todo,
        "command": found.command,
    }


def _step_document(step: StoryStep) -> dict[str, Any]:
    facts = {
        "attempt": step.attempt,
        "status": step.status,
        "reason": step.reason,
        "message": shown(step.message),
        "code": shown(step.code),
        "parameter": shown(step.parameter),
        "excerpt": shown(step.excerpt),
        "by": shown(step.by),
    }
    timed = {"duration_ms": step.duration_ms} if step.duration_ms is not None else {}
    return {"at": iso(step.at_ms), "event": step.event} | {k: v for k, v in facts.items() if v} | timed


def _print(story: Story, asked_by: str) -> None:
    now = story.now_ms
    state = f"{story.state.value}, unconfirmed" if story.confirmed is False else story.state.value
    facts = [("call", story.call_id), ("state", state)]
    if story.since_ms:
        facts[1] = ("state", f"{state}, since {moment(story.since_ms)} ({ago(story.since_ms, now)})")
        facts.append(("accepted", f"{moment(story.accepted_ms)} ({ago(story.accepted_ms, now)})"))
        facts.append(("attempts", str(story.attempts)))
    if story.roark_call_id:
        facts.append(("at Roark", known_as(story)))
    if told := receipt_told(story):
        facts.append(("receipt", told))
    if story.route:
        facts.append(("route", path_of(story.route)))
    if story.reason:
        facts.append(("reason", story.reason))
    if story.expires_ms:
        end = "expire" if story.expires_ms > now else "expired"
        facts.append(("audio", f"links {end} {moment(story.expires_ms)} ({ago(story.expires_ms, now)})"))
    if story.newer_waits:
        facts.append(("newer", "a newer report of this call is waiting for this upload to finish"))
    if story.revision_kept:
        facts.append(("revision", "a newer report of this call is kept, not uploaded"))
    if story.edited:
        places = ", ".join(map(shown, story.edited[:_PLACES_SHOWN]))
        more = f" and {len(story.edited) - _PLACES_SHOWN} more" if len(story.edited) > _PLACES_SHOWN else ""
        undo = f"roark-ingest dlq edit --undo {as_argument(story.call_id)}"
        facts.append(("edited", f"{places}{more}; the original is kept. To undo: {undo}"))
    print_facts(facts)
    if story.steps:
        print_line()
        print_steps(story.steps)
        print_excerpt(story.steps)
    if story.explanation:
        print_line()
        print_explanation(story.explanation)
    print_line()
    when = f" ({moment(story.next.at_ms)}, {ago(story.next.at_ms, now)})" if story.next.at_ms else ""
    print_line(f"Next: {story.next.what}{when}")
    if story.next.command and not story.next.command.startswith(asked_by):
        print_line(f"      {story.next.command}")


_RECEIPT_WORDS = {
    "": "not looked up yet",
    "seen": "visible at Roark",
    "unseen": "not visible at Roark within 10 minutes",
    "absent": "not visible at Roark even after a day",
}


def known_as(story: Story) -> str:
    """Return by which id Roark knows the call, "" where it named none."""
    return "known by its externalId, the call ID" if story.roark_call_id == BY_EXTERNAL_ID else story.roark_call_id


def receipt_told(story: Story) -> str:
    """Return what looking the call up at Roark found, and when the next look is; "" where there is none."""
    if not (story.receipt or story.looked_up_ms):
        return ""
    due = story.looked_up_ms
    following = f"; next look {ago(due, story.now_ms)}" if due > story.now_ms else "; next look due now" if due else ""
    return f"{_RECEIPT_WORDS[story.receipt]}{following}"


def print_steps(steps: tuple[StoryStep, ...]) -> None:
    """Print a history as a table."""
    rows = [
        (
            moment(step.at_ms),
            step.event,
            str(step.attempt or ""),
            str(step.status or ""),
            f"{step.duration_ms} ms" if step.duration_ms is not None else "",
            shown(step.message or step.reason) or (f"by {shown(step.by)}" if step.by else step.what),
        )
        for step in steps
    ]
    print_table(("at", "event", "attempt", "status", "took", "what"), rows, right=frozenset({2, 3, 4}))


def print_excerpt(steps: tuple[StoryStep, ...]) -> None:
    """Print what the last answer said beside its message, where something of it is kept."""
    last = next((step for step in reversed(steps) if step.status), None)
    if last and last.excerpt and last.excerpt != last.message:
        print_line(f"Roark's answer: {shown(last.excerpt)}")


def print_explanation(found: Explanation) -> None:
    """Print what a reason means."""
    print_line(shown(found.what), style="bold")
    print_line(found.cause_in_words)
