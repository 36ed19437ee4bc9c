"""What a person should act on, judged from the ledger at a glance. Pure."""

from dataclasses import dataclass

from roark_ops.cli.words import counted, shown
from roark_producer.lifecycle import State
from roark_producer.records import Retention, Snapshot
from roark_worker.lane_words import explain_way


@dataclass(frozen=True, slots=True)
class Todo:
    """Something that will not mend itself: what it is, in one line, and what to type next."""

    what: str
    command: str


def todos(snapshot: Snapshot) -> list[Todo]:
    """Return what there is to act on, the most urgent first.

    An open breaker and a lane that is throttled are not among it: they end by themselves.
    """
    found = []
    if not snapshot.balanced:
        accepted, present = snapshot.total("accepted"), sum(snapshot.states.values())
        what = f"The accounts do not balance: {accepted} accepted, {present} in all states together."
        found.append(Todo(what, "roark-ingest audit"))
    elif snapshot.audited and not snapshot.audited.holds:
        what = f"The last audit found {snapshot.audited.broken} calls that are not in exactly one place."
        found.append(Todo(what, "roark-ingest audit"))
    if snapshot.memory.short:
        found.append(Todo("Redis's memory is almost full: no reports are taken in.", "roark-ingest doctor"))
    if snapshot.lane.state == "held" and (why := explain_way(snapshot.lane, snapshot.setup)):
        found.append(Todo(f"The lane is on hold: {shown(why.what)} {why.todo}", why.command))
    if paused := snapshot.replays.paused:
        jobs = "1 replay job is paused" if paused == 1 else f"{paused} replay jobs are paused"
        found.append(Todo(f"{jobs}: nothing of it is sent until somebody resumes it.", "roark-ingest replay list"))
    if dead := snapshot.states[State.DEAD]:
        letters = "1 report is a dead letter." if dead == 1 else f"{dead} reports are dead letters."
        found.append(Todo(letters, "roark-ingest dlq groups"))
    found += [
        Todo(notice, "roark-ingest dlq list" + (" --discarded" if kept.state is State.DISCARDED else ""))
        for kept in snapshot.retention
        if (notice := expiring(kept, snapshot.now_ms))
    ]
    return found


def expiring(kept: Retention, now_ms: int) -> str:
    """Return what retention is about to remove, in words; "" where that is nothing."""
    if not kept.expiring:
        return ""
    what = counted(kept.expiring, "dead letter" if kept.state is State.DEAD else "discarded report")
    hours = kept.notice_ms / 3_600_000
    when = f"the first in {max(0, kept.next_ms - now_ms) / 3_600_000:.1f} h"
    rescue = "replay, discard or export" if kept.state is State.DEAD else "restore or export"
    return f"{what} will be removed for good within {hours:g} h, {when}: {rescue} what is needed."
