"""Judges the pipeline: do workers answer, is the lane open, do the accounts balance? Pure."""

from collections.abc import Sequence

from roark_ledger.lane_states import FLOWING, LaneState
from roark_ledger.lifecycle import State
from roark_ledger.records.moving import Moving
from roark_ledger.records.screen import uploads
from roark_ledger.records.snapshot import Snapshot
from roark_ops.cli.terminal.words import counted, shown
from roark_ops.doctor.check import Check, fail, ok, warn
from roark_ops.outage import FullestNode, lasts_in_words
from roark_worker.answers.lane_words import explain_way


def judge_workers(names: Sequence[str], snapshot: Snapshot) -> Check:
    """Say whether workers are alive. `names` are those that answered."""
    if names:
        return ok("workers", f"{len(names)} answer: {', '.join(sorted(names)[:8])}{' …' if len(names) > 8 else ''}")
    if ready := snapshot.states[State.READY] + snapshot.states[State.WAITING]:
        return fail("workers", f"no worker answers, reports to deliver: {ready}", "Start one: roark-ingest worker")
    return warn("workers", "no worker answers", "Start one: roark-ingest worker")


def judge_lane(snapshot: Snapshot) -> Check:
    """Say whether reports can go to Roark."""
    lane = snapshot.lane
    why = explain_way(lane, snapshot.setup)
    match lane.state:
        case LaneState.OPEN:
            return ok("lane", uploads(LaneState.OPEN))
        case LaneState.HELD | LaneState.BREAKER_OPEN | LaneState.HALF_OPEN as state if why:
            # Who reads this has asked the doctor already.
            command = "roark-ingest status --watch" if why.command == "roark-ingest doctor" else why.command
            return fail("lane", f"{uploads(state)}. {shown(why.what)}", f"{why.todo} {command}")
        case state if state not in FLOWING:
            return fail("lane", uploads(state), "See what stands against it: roark-ingest status --watch")
        case state:
            reason = f" ({shown(lane.reason)})" if lane.reason else ""
            return warn("lane", f"{uploads(state)}{reason}", "Wait: this ends by itself. roark-ingest status --watch")


def judge_accounts(snapshot: Snapshot) -> Check:
    """Say whether every accepted report is in exactly one place: by number at this moment, else by the last audit."""
    accepted, present = snapshot.total("accepted"), sum(snapshot.states.values())
    if snapshot.accounts.holds and snapshot.away:
        return warn("accounts", f"cannot be told while {snapshot.away_in_words}", "See the partitions")
    if snapshot.accounts.holds:
        return ok("accounts", f"{accepted} accepted, {present} in all states: balanced")
    return fail("accounts", snapshot.accounts.in_words, f"To see which: {snapshot.accounts.command}")


def judge_partitions(snapshot: Snapshot) -> Check:
    """Say whether all partitions of the ledger answer."""
    if not snapshot.away:
        return ok("partitions", f"all {snapshot.partitions} answer")
    what = f"{snapshot.away_in_words}: reports for them wait in the webhooks' spools, all others go on"
    return fail("partitions", what, "Start the node of the cluster that has them, or its replica")


def judge_split(moving: Moving, now_ms: int) -> Check:
    """Say how far the split into partitions is, and whether somebody goes on with it."""
    told = f"{counted(moving.left, 'call')} still to be moved into {moving.partitions} partitions"
    if not moving.is_stalled(now_ms):
        return ok("split", f"under way: {told}")
    return warn("split", f"left half-way: {told}; none of them is uploaded", f"Go on with it: {moving.command}")


def judge_outage(fullest: FullestNode) -> Check:
    """Say how long reports fit into memory while none is delivered. It is no fault that this is not for ever."""
    lasts = lasts_in_words(fullest)
    return ok("outage", lasts or "no estimate: too few reports have come in to know today's rate")


def judge_bin(snapshot: Snapshot) -> Check:
    """Say whether the rejected bin has room for what exists nowhere else."""
    found = snapshot.bin
    lost = snapshot.total("rejected_overflow")
    told = f"{snapshot.rejected_kept} entries, {found.bytes / 1e6:.1f} MB, {found.fill:.0%} full"
    told += f"; {lost} were dropped when it was full" if lost else ""
    if found.filling:
        return warn(
            "rejected bin",
            told,
            "Retry or discard entries (roark-ingest rejected list), or raise ROARK_INGEST_REJECTED_MAX_BYTES.",
        )
    return ok("rejected bin", told)


def judge_doubt(doubt: str) -> Check:
    """Say what is odd about what this machine remembers of ledgers."""
    mend = (
        "If the URL or ROARK_INGEST_PREFIX was changed, a worker with the old ones delivers those reports; "
        "what is settled can be removed."
    )
    return warn("remembered", shown(doubt), mend)
