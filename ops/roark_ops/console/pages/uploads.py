"""*Uploads*: is the way to Roark open, how fast is it, which URL and token do the workers use; stop it, and open it."""

from starlette.responses import Response

from roark_ledger.lane_states import LaneState
from roark_ledger.records.snapshot import Snapshot
from roark_ledger.routes import path_of
from roark_ops.cli.act.route import what_changes
from roark_ops.cli.views.status import uploads_told
from roark_ops.console.ask import Ask, NotThere
from roark_ops.desk.lane import WAYS, hold_uploads, resume_uploads, switch_way
from roark_worker.answers.lane_words import explain_way

_IN_WORDS = {
    "vapi": "POST /v1/vapi/call for all",
    "call": "POST /v1/call for all",
    "setting": "each worker's own setting",
}


def page(ask: Ask) -> Response:
    """Answer with the lane, its evidence, and who uploads where."""
    moment = ask.stage.live.now()
    snapshot = moment.snapshot
    return ask.page(
        "uploads_part.html" if ask.is_part else "uploads.html",
        lane=snapshot.lane,
        snapshot=snapshot,
        is_held=snapshot.lane.state == LaneState.HELD,
        found=explain_way(snapshot.lane, snapshot.setup),
        told=uploads_told(snapshot),
        chosen=chosen_way(snapshot),
        ways=[(way, words, what_changes(way)) for way, words in _IN_WORDS.items()],
        way=path_of(lane_route) if (lane_route := snapshot.lane.route) else "",
        path_of=path_of,
        crew=sorted(moment.crew.items()),
        now_ms=snapshot.now_ms,
        command="roark-ingest resume" if snapshot.lane.state == LaneState.HELD else "roark-ingest hold --reason TEXT",
    )


def chosen_way(snapshot: Snapshot) -> str:
    """Return which way in was chosen for all workers, `setting` where none was."""
    return snapshot.lane.route or "setting"


def hold(ask: Ask) -> Response:
    """Stop uploads."""
    reason = ask.text("reason")
    if not reason:
        raise NotThere("Say why uploads are paused, for whoever looks later.")
    hold_uploads(ask.stage.access, by=ask.visitor.name, reason=reason)
    ask.stage.live.now(fresh=True)
    return ask.go("/uploads")


def resume(ask: Ask) -> Response:
    """Open the way again."""
    resume_uploads(ask.stage.access, by=ask.visitor.name, reason=ask.text("reason"))
    ask.stage.live.now(fresh=True)
    return ask.go("/uploads")


def switch(ask: Ask) -> Response:
    """Send reports by the other way in."""
    way, was, reason = ask.text("way", 20), ask.text("was", 20), ask.text("reason")
    if way not in WAYS:
        raise NotThere("Choose a way in.")
    if not reason:
        raise NotThere("Say why the way in is switched, for whoever looks later.")
    now = chosen_way(ask.stage.live.now(fresh=True).snapshot)
    if now == way:
        return ask.go("/uploads")
    if now != was:
        raise NotThere("Another operator has switched the way in. Look at Uploads again, and decide anew.")
    switch_way(ask.stage.access, WAYS[way], by=ask.visitor.name, reason=reason)
    ask.stage.live.now(fresh=True)
    return ask.go("/uploads")
