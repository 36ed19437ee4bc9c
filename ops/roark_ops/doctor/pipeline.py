"""Judges the pipeline: do workers answer, is the lane open, do the accounts balance? Pure."""

from collections.abc import Sequence

from roark_ops.cli.words import shown
from roark_ops.doctor.check import Check, fail, ok, warn
from roark_producer.lifecycle import State
from roark_producer.records import Snapshot
from roark_worker.explain import Side
from roark_worker.lane_words import explain_way

_WAITED_SECONDS = 30


def judge_workers(names: Sequence[str], snapshot: Snapshot) -> Check:
    """Say whether workers are alive. `names` are those that answered."""
    if names:
        return ok("workers", f"{len(names)} answer: {', '.join(sorted(names)[:8])}{' …' if len(names) > 8 else ''}")
    waited = (snapshot.now_ms - snapshot.oldest_ready_ms) / 1000 if snapshot.oldest_ready_ms else 0
    if waited > _WAITED_SECONDS:
        ready = snapshot.states[State.READY]
        return fail("workers", f"none answers, and {ready} reports wait", "Start one: roark-ingest worker")
    return warn("workers", "none answers", "Start one: roark-ingest worker")


def judge_lane(snapshot: Snapshot) -> Check:
    """Say whether reports can go to Roark."""
    lane = snapshot.lane
    why = explain_way(lane, snapshot.setup)
    match lane.state:
        case "held" if why:
            judge = fail if lane.by == "roark" else warn
            # Who reads this has asked the doctor already.
            command = "roark-ingest status --watch" if why.command == "roark-ingest doctor" else why.command
            return judge("lane", f"on hold. {shown(why.what)}", f"{why.todo} {command}")
        case "open":
            return ok("lane", "open")
        case state if why and why.side is not Side.ROARK:
            return fail("lane", f"{state}. {shown(why.what)}", why.todo)
        case state:
            reason = f" ({shown(lane.reason)})" if lane.reason else ""
            return warn("lane", f"{state}{reason}", "Wait: it opens by itself. roark-ingest status --watch")


def judge_accounts(snapshot: Snapshot) -> Check:
    """Say whether every accepted report is in a state."""
    accepted, present = snapshot.total("accepted"), sum(snapshot.states.values())
    if snapshot.balanced:
        return ok("accounts", f"{accepted} accepted, {present} in all states: balanced")
    return fail("accounts", f"{accepted} accepted, but {present} in all states", "Find which: roark-ingest audit")
