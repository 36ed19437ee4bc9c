"""One snapshot of a ledger of several partitions, from those of the partitions and of their home.

What is counted is added up, of times the most pressing one counts. The lane, alerts, set-ups, comparison and audit are
the home's; what stands in the home's `uploading` are leave to upload, not reports.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from roark_ledger.lifecycle import State
from roark_ledger.records.forecast import Inflow, Speed
from roark_ledger.records.lane import Lane
from roark_ledger.records.receipts import Receipts
from roark_ledger.records.reconciled import Reconciled
from roark_ledger.records.snapshot import Memory, ReplayCounts, Retention, Snapshot


def summed(snapshots: Sequence[Snapshot]) -> Snapshot:
    """Return the whole ledger's snapshot; the home's is the last one."""
    *parts, home = snapshots
    counters = _added(each.counters for each in snapshots)
    # The home's own reports are those that are still to be moved.
    places = [*parts, *([home] if home.moving else [])]
    return replace(
        home,
        queues=_added(each.queues for each in places),
        states={state: sum(each.states[state] for each in _counting(state, snapshots)) for state in home.states},
        counters=counters,
        lane=_lane(home.lane, parts),
        memory=_tightest([each.memory for each in snapshots]),
        oldest_ready_ms=_first(each.oldest_ready_ms for each in places),
        earliest_due_ms=_first(each.earliest_due_ms for each in places),
        oldest_dead_ms=_first(each.oldest_dead_ms for each in places),
        besides=sum(each.besides for each in places),
        revisions_kept=sum(each.revisions_kept for each in places),
        logbook_lines=sum(each.logbook_lines for each in snapshots),
        retention=_retention(parts),
        earliest_lease_end_ms=_first(each.earliest_lease_end_ms for each in places),
        last_tick_ms=max(part.last_tick_ms for part in parts),
        audio_ending=sum(each.audio_ending for each in places),
        replays=_replays([part.replays for part in parts]),
        receipts=_receipts([each.receipts for each in snapshots]),
        reconciled=_reconciled(home.reconciled, parts),
        losses=tuple(loss for each in snapshots for loss in each.losses),
        unnamed_share=max(part.unnamed_share for part in parts),
        partitions=len(parts),
    )


def without(there: Snapshot, away: Sequence[int]) -> Snapshot:
    """Return the snapshot of the partitions that are there as that of a ledger of which some are away."""
    return replace(there, partitions=there.partitions + len(away), away=tuple(away))


def _counting(state: State, snapshots: Sequence[Snapshot]) -> Sequence[Snapshot]:
    """Return where reports of a state are counted; what is counted of those that are gone stays in the home."""
    *parts, home = snapshots
    return parts if state is State.UPLOADING and not home.moving else snapshots


def _added(all_counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for counts in all_counts:
        total.update(counts)
    return dict(total)


def _first(times_ms: Iterable[int]) -> int:
    return min(filter(None, times_ms), default=0)


def _lane(lane: Lane, parts: Sequence[Snapshot]) -> Lane:
    lane = replace(lane, last_claim_ms=max(lane.last_claim_ms, *(part.lane.last_claim_ms for part in parts)))
    speeds = [part.lane.speed for part in parts if part.lane.speed]
    if not speeds:
        return replace(lane, speed=None)
    speed = Speed(
        accepted_per_second=sum(speed.accepted_per_second for speed in speeds),
        delivered_per_second=sum(speed.delivered_per_second for speed in speeds),
        measured_ms=max(speed.measured_ms for speed in speeds),
    )
    return replace(lane, speed=speed)


def _tightest(memories: Sequence[Memory]) -> Memory:
    """Return that of the node that has the least room; partitions on one node all tell the same."""
    tightest = max(memories, key=lambda memory: (memory.used / memory.most if memory.most else 0.0, memory.used))
    short = any(memory.short for memory in memories)
    return replace(tightest, short=short, intake=added(memory.intake for memory in memories))


def added(all_inflows: Iterable[Inflow | None]) -> Inflow | None:
    """Return all that comes in by what comes in at each; None where nothing does."""
    inflows = [each for each in all_inflows if each]
    if not inflows:
        return None
    rate = sum(each.per_second for each in inflows)
    weights = [each.per_second / rate if rate else 1 / len(inflows) for each in inflows]
    mean = sum(weight * each.packed_bytes for weight, each in zip(weights, inflows, strict=True))
    return Inflow(rate, mean)


def _retention(parts: Sequence[Snapshot]) -> tuple[Retention, ...]:
    found: dict[str, Retention] = {}
    for each in (retention for part in parts for retention in part.retention):
        known = found.get(each.state)
        found[each.state] = (
            each
            if known is None
            else replace(known, expiring=known.expiring + each.expiring, next_ms=_first((known.next_ms, each.next_ms)))
        )
    return tuple(found.values())


def _replays(counts: Sequence[ReplayCounts]) -> ReplayCounts:
    """Add up the letters; a job has a part in each partition, or in some."""
    jobs = ("collecting", "running", "paused", "cancelled", "ended")
    return ReplayCounts(
        **{state: max(getattr(each, state) for each in counts) for state in jobs},
        selected=sum(each.selected for each in counts),
        sent=sum(each.sent for each in counts),
    )


def _receipts(all_receipts: Sequence[Receipts]) -> Receipts:
    *parts, home = all_receipts
    counted = ("open", "in_time", "late", "absent", "calls_due", "calls_in_time")
    return replace(
        home,
        due_ms=_first(each.due_ms for each in parts),
        unseen_share=max(each.unseen_share for each in parts),
        **{name: sum(getattr(each, name) for each in parts) for name in counted},
    )


def _reconciled(home: Reconciled | None, parts: Sequence[Snapshot]) -> Reconciled | None:
    missing = [part.reconciled.missing for part in parts if part.reconciled]
    known = home or next((part.reconciled for part in parts if part.reconciled), None)
    return replace(known, missing=sum(missing)) if known else None
