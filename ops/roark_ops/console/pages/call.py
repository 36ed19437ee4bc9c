"""*Call*: what happened to this call, what did Roark say literally, and what happens next?"""

from starlette.responses import Response

from roark_ledger.ids import as_argument
from roark_ledger.lifecycle import State
from roark_ledger.moves import desk, watch
from roark_ledger.packing import DamagedPayload, unpack
from roark_ledger.records.logbook import Action, doer
from roark_ledger.records.record import Entry
from roark_ledger.routes import path_of
from roark_ops.cli.views.why import known_as, receipt_told
from roark_ops.console.ask import Ask
from roark_ops.console.deeds import VERBS, Verb
from roark_ops.desk.story import Story, tell
from roark_ops.mending.editing import CannotEdit, changes_between, for_editor
from roark_ops.mending.json_text import pointer
from roark_ops.mending.masking import masked_report
from roark_worker.answers.explain import Replay, Side
from roark_worker.settings import WorkerSettings

_LONGEST_ID = 512


def page(ask: Ask) -> Response:
    """Answer with the story of one call; of an unknown one say what may be."""
    call_id = ask.query.get("id", "").strip()[:_LONGEST_ID]
    if not call_id:
        return ask.page("call_search.html", call_id="", command="roark-ingest why CALL_ID", days="")
    entry = ask.stage.ledger.run(watch.look(call_id))
    if entry is None:
        days = f"{WorkerSettings.model_fields['remember_days'].default:g}"
        command = f"roark-ingest why {as_argument(call_id)}"
        return ask.page("call_search.html", status=404, call_id=call_id, command=command, days=days)
    return _show(ask, entry)


def reveal(ask: Ask) -> Response:
    """Show the report as it is stored, and write down who looked."""
    call_id = ask.text("id", _LONGEST_ID)
    entry = ask.stage.ledger.run(watch.look(call_id))
    if entry is None or entry.record is None or not entry.packed:
        return ask.go("/call", id=call_id)
    # Before it is shown: what was seen and is not written down would be seen by nobody.
    who = doer(ask.actor(), ask.text("reason"))
    ask.stage.ledger.run(desk.log_deed(Action.REVEAL, who=who, count=1, calls=[call_id]))
    return _show(ask, entry, revealed=True)


def _show(ask: Ask, entry: Entry, *, revealed: bool = False) -> Response:
    snapshot = ask.stage.live.now().snapshot
    story = tell(entry, snapshot.lane, snapshot.setup)
    return ask.page(
        "call.html",
        story=story,
        entry=entry,
        now_ms=story.now_ms,
        at_roark=known_as(story),
        receipt=receipt_told(story),
        way=path_of(story.route) if story.route else "",
        payload=_payload(entry, revealed=revealed),
        revealed=revealed,
        edits=_edits(entry),
        verbs=_verbs(story, entry),
        first=_first(story, entry),
        command=f"roark-ingest why {as_argument(story.call_id)}",
    )


def _payload(entry: Entry, *, revealed: bool) -> str:
    if not entry.packed:
        return ""
    try:
        if revealed:
            return for_editor(entry.call_id, entry.packed).decode("utf-8", "replace")
        return masked_report(unpack(entry.packed).payload)
    except (DamagedPayload, CannotEdit):
        return ""


def _edits(entry: Entry) -> list[str]:
    if not entry.original:
        return []
    try:
        return [pointer(change.place) for change in changes_between(entry.call_id, entry.original, entry.packed)]
    except CannotEdit:
        return []


def _first(story: Story, entry: Entry) -> str:
    found = story.explanation
    if story.state is not State.DEAD or found is None or entry.original or found.replay is not Replay.USELESS:
        return {State.DEAD: "replay", State.DISCARDED: "restore", State.DELIVERED: "resend"}.get(story.state, "")
    return "edit" if found.side is Side.REPORT else "discard"


def _verbs(story: Story, entry: Entry) -> list[Verb]:
    if story.state is State.DELIVERED:
        return [VERBS[name] for name in ("resend", "confirm", "drop")] if entry.unconfirmed_ms else []
    found = [verb for verb in VERBS.values() if story.state.value in verb.states]
    return [verb for verb in found if verb.name != "undo-edit" or entry.original]
