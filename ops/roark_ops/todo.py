"""What a person should act on, judged from the ledger at a glance. Pure."""

from dataclasses import dataclass

from roark_ledger.lane_states import LaneState
from roark_ledger.lifecycle import State
from roark_ledger.places import UNCONFIRMED
from roark_ledger.records.snapshot import Retention, Snapshot
from roark_ops.cli.terminal.words import counted, shown
from roark_worker.answers.lane_words import explain_way

_LISTS = {State.DISCARDED: "roark-ingest dlq list --discarded", UNCONFIRMED: "roark-ingest list --state unconfirmed"}


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
    if snapshot.away:
        what = f"These figures lack some reports: {snapshot.away_in_words}."
        found.append(Todo(what, "roark-ingest doctor"))
    if (moving := snapshot.moving) and moving.is_stalled(snapshot.now_ms):
        what = (
            f"The split of the ledger stopped half-way. {counted(moving.left, 'call')} still to be moved into "
            f"{moving.partitions} partitions; none of them is uploaded until then."
        )
        found.append(Todo(what, moving.command))
    if not snapshot.accounts.holds:
        what = f"Not all reports are accounted for. {snapshot.accounts.in_words}"
        found.append(Todo(what, snapshot.accounts.command))
    if snapshot.memory.short:
        found.append(Todo("Redis is almost out of memory, so no new reports are accepted.", "roark-ingest doctor"))
    if snapshot.lane.state == LaneState.HELD and (why := explain_way(snapshot.lane, snapshot.setup)):
        found.append(Todo(f"Uploads are paused. {shown(why.what)} {why.todo}", why.command))
    if paused := snapshot.replays.paused:
        jobs = "1 replay job is paused" if paused == 1 else f"{paused} replay jobs are paused"
        found.append(Todo(f"{jobs} until someone resumes or cancels.", "roark-ingest replay list"))
    if dead := snapshot.states[State.DEAD]:
        letters = "1 report is a dead letter." if dead == 1 else f"{dead} reports are dead letters."
        found.append(Todo(letters, "roark-ingest dlq groups"))
    if snapshot.unconfirmed:
        what = f"{counted(snapshot.unconfirmed, 'delivered report')} unconfirmed: Roark's answer did not name the call."
        found.append(Todo(what, "roark-ingest list --state unconfirmed"))
    if snapshot.bin.filling:
        what = (
            f"The rejected bin is {snapshot.bin.fill:.0%} full. When full, it drops the oldest entries, which exist "
            "nowhere else. Retry or discard entries, or raise ROARK_INGEST_REJECTED_MAX_BYTES."
        )
        found.append(Todo(what, "roark-ingest rejected list"))
    if snapshot.reconciled and (missing := snapshot.reconciled.missing):
        calls = "1 call" if missing == 1 else f"{missing} calls"
        found.append(Todo(f"{calls} ended at Vapi, but no report came.", "roark-ingest reconcile --since 14d"))
    if snapshot.receipts.are_missing:
        share = f"{snapshot.receipts.unseen_share:.0%}"
        what = f"Roark does not show {share} of the latest deliveries that were looked up there."
        found.append(Todo(what, "roark-ingest reconcile --since 24h --at-roark"))
    found += [
        Todo(notice, _LISTS.get(kept.state, "roark-ingest dlq list"))
        for kept in snapshot.retention
        if (notice := expiring(kept, snapshot.now_ms))
    ]
    return found


def expiring(kept: Retention, now_ms: int) -> str:
    """Return what retention is about to remove, in words; "" where that is nothing."""
    if not kept.expiring:
        return ""
    if kept.state == UNCONFIRMED:
        return (
            f"{counted(kept.expiring, 'unconfirmed report')} will be dropped within {kept.notice_ms / 3_600_000:g} h. "
            "Confirm them, or replay what you need."
        )
    what = counted(kept.expiring, "dead letter" if kept.state is State.DEAD else "discarded report")
    hours = kept.notice_ms / 3_600_000
    when = f"first in {max(0, kept.next_ms - now_ms) / 3_600_000:.1f} h"
    rescue = "replay, discard or export" if kept.state is State.DEAD else "restore or export"
    return f"{what} will be permanently removed within {hours:g} h ({when}). {rescue.capitalize()} what you need."
