"""What `roark-ingest status` shows of a snapshot: one JSON document, or lines for a person."""

from dataclasses import asdict
from typing import Any

from roark_ledger.lane_states import LaneState
from roark_ledger.ledger import Ledger
from roark_ledger.lifecycle import State
from roark_ledger.moves import watch
from roark_ledger.places import UNCONFIRMED
from roark_ledger.records.screen import uploads, uploads_are
from roark_ledger.records.snapshot import Retention, Snapshot
from roark_ledger.routes import path_of
from roark_ledger.server.cluster import node_of
from roark_ops.cli.terminal.output import print_facts, print_json, print_line, print_table
from roark_ops.cli.terminal.words import ago, counted, iso, seconds_since, shown, span
from roark_ops.cli.views.promises import promises_document
from roark_ops.cli.views.receipts_status import receipts_document, receipts_told
from roark_ops.cli.views.reconcile_status import reconcile_document, reconcile_told
from roark_ops.nodes import fullest_node
from roark_ops.outage import FullestNode, lasts_in_words
from roark_ops.todo import todos
from roark_producer.disk.segments import Pending
from roark_worker.answers.explain import Side
from roark_worker.answers.lane_words import explain_way

_TOTALS = ("accepted", "duplicates", "rejected", "revisions", "replaced", "ignored", "refused_erased", "replayed")
_FORECAST_SECONDS = 86_400


def show_status(ledger: Ledger, spool: Pending, *, as_json: bool) -> bool:
    """Print the status; return whether there is something to act on."""
    snapshot = ledger.run(watch.snapshot())
    node, fullest = node_of(ledger.client), fullest_node(ledger, snapshot)
    if as_json:
        print_json(document(snapshot, spool, fullest) | {"cluster_node": node or None})
    else:
        print_status(snapshot, spool, fullest, node)
    return bool(todos(snapshot))


def document(snapshot: Snapshot, spool: Pending, fullest: FullestNode) -> dict[str, Any]:
    """Return the status as `--json` prints it. Ages in seconds, times in ISO 8601, null where there is none."""
    now, lane = snapshot.now_ms, snapshot.lane
    due = snapshot.earliest_due_ms
    return {
        "at": iso(now),
        "states": {state.value: number for state, number in snapshot.states.items()},
        "totals": {name: snapshot.total(name) for name in _TOTALS},
        "receipts": receipts_document(snapshot),
        "in_time": {"calls": snapshot.receipts.calls_due, "within_5_min": snapshot.receipts.calls_in_time},
        "balanced": None if snapshot.away else snapshot.balanced,
        "partitions": snapshot.partitions,
        "partitions_away": list(snapshot.away),
        "split": _split_document(snapshot),
        "lane": {
            "state": lane.state,
            "reason": shown(lane.reason) or None,
            "by": shown(lane.by) or None,
            "route": lane.route or None,
            "since": iso(lane.since_ms),
            "next": iso(lane.next_ms),
            "in_flight_limit": round(lane.limit, 1) or None,
            "pace_per_second": round(lane.pace, 1) or None,
            "evidence": _evidence(snapshot),
        },
        "backlog_gone_seconds": snapshot.forecast.seconds,
        "oldest_ready_seconds": seconds_since(snapshot.oldest_ready_ms, now),
        "next_due_seconds": round((due - now) / 1000, 3) if due else None,
        "oldest_dead_seconds": seconds_since(snapshot.oldest_dead_ms, now),
        "last_claim_seconds": seconds_since(lane.last_claim_ms, now),
        "memory": {
            "used_bytes": snapshot.memory.used,
            "most_bytes": snapshot.memory.most or None,
            "short": snapshot.memory.short,
            "seconds_to_short": snapshot.memory.seconds_to_short,
            "outage_seconds": fullest.memory.outage_seconds(),
            "outage_seconds_with_twice_the_memory": fullest.memory.outage_seconds(2),
            "outage_seconds_with_one_more_node": fullest.seconds_with(1),
            "reports_per_second": snapshot.memory.intake.per_second if snapshot.memory.intake else None,
            "bytes_per_report": round(snapshot.memory.intake.packed_bytes) if snapshot.memory.intake else None,
        },
        "queues": snapshot.queues,
        "kept": {
            "newer_reports": snapshot.besides,
            "revisions": snapshot.revisions_kept,
            "rejected": snapshot.rejected_kept,
            "rejected_bytes": snapshot.bin.bytes,
            "rejected_full": round(snapshot.bin.fill, 3),
            "log_lines": snapshot.logbook_lines,
        },
        "audio": {
            "ending": snapshot.audio_ending,
            "ended": snapshot.audio_ended,
            "delivered_without": snapshot.total("delivered_without_audio"),
        },
        "replays": asdict(snapshot.replays),
        "spool": {"reports": spool.reports, "bytes": spool.bytes},
        "retention": [
            {
                "state": str(kept.state),
                "kept_seconds": round(kept.window_ms / 1000),
                "notice_seconds": round(kept.notice_ms / 1000),
                "expiring": kept.expiring,
                "first": iso(kept.next_ms),
            }
            for kept in snapshot.retention
        ],
        "alerts": [alert.kind.value for alert in snapshot.alerts if alert.active],
        "audit": _audit_document(snapshot),
        "reconcile": reconcile_document(snapshot),
        **promises_document(snapshot),
        "todo": [{"what": todo.what, "command": todo.command} for todo in todos(snapshot)],
    }


def print_status(snapshot: Snapshot, spool: Pending, fullest: FullestNode, node: str = "") -> None:
    """Print the status for a person. `node` is the one of a cluster that has the ledger, or its home."""
    rows = [(state.value, str(number), _beside(snapshot, state)) for state, number in snapshot.states.items()]
    print_table(("state", "reports", ""), rows, right=frozenset({1}))
    present, accepted = sum(snapshot.states.values()), snapshot.total("accepted")
    total = snapshot.total
    print_line()
    print_facts(
        (
            ("accepted", f"{accepted}, {present} in all states: {_balance(snapshot)}"),
            (
                "seen again",
                f"{counted(total('duplicates'), 'duplicate')}, {total('replaced')} replaced by a newer report",
            ),
            ("revisions", f"{total('revisions')}, {snapshot.revisions_kept} kept, not uploaded"),
            ("rejected", f"{total('rejected')}, {snapshot.rejected_kept} kept in the bin{_how_full(snapshot)}"),
            (
                "ignored",
                f"{total('ignored')} messages of other types, {total('refused_erased')} reports of erased calls",
            ),
            ("uploads", uploads_told(snapshot)),
            *_audio(snapshot),
            *_replays(snapshot),
            ("spool", f"{counted(spool.reports, 'report')} on this machine's disk, not yet in Redis"),
            ("audit", audit_told(snapshot)),
            ("vapi", reconcile_told(snapshot)),
            *receipts_told(snapshot),
            ("alerts", " ".join(alert.kind.value for alert in snapshot.alerts if alert.active) or "none"),
            ("retention", _retention(snapshot)),
            *split_told(snapshot),
            ("log", f"{counted(snapshot.logbook_lines, 'line')} (who did what)"),
            *_forecast(snapshot, fullest),
            *(
                [("redis", f"the {'home' if snapshot.partitions > 1 else 'ledger'} is on {node} of the cluster now")]
                if node
                else []
            ),
        )
    )
    lane = snapshot.lane
    if lane.state != LaneState.HELD and (shut := explain_way(lane, snapshot.setup)):
        print_line()
        what = f"{uploads_are(lane.state)}. Cause: {shut.side.value}. {shown(shut.what)} {shut.todo}"
        print_line(what)
        to_do = "roark-ingest status --watch (nothing to do but wait)" if shut.side is Side.ROARK else shut.command
        print_line(f"Next: {to_do}")
    for todo in todos(snapshot):
        print_line()
        print_line(todo.what, style="bold yellow")
        print_line(f"Next: {todo.command}")


def _how_full(snapshot: Snapshot) -> str:
    return f" ({snapshot.bin.fill:.0%} full)" if snapshot.bin.bytes else ""


def _beside(snapshot: Snapshot, state: State) -> str:
    now = snapshot.now_ms
    match state:
        case State.READY if snapshot.oldest_ready_ms:
            return f"oldest for {span((now - snapshot.oldest_ready_ms) / 1000)}"
        case State.WAITING if snapshot.earliest_due_ms:
            due = snapshot.earliest_due_ms
            return f"next retry {ago(due, now)}" if due > now else "next retry due now"
        case State.DELIVERED if snapshot.unconfirmed:
            return f"{snapshot.unconfirmed} unconfirmed: Roark's answer did not name the call"
        case State.DEAD if snapshot.oldest_dead_ms:
            return f"oldest for {span((now - snapshot.oldest_dead_ms) / 1000)}"
        case _:
            return ""


def _forecast(snapshot: Snapshot, fullest: FullestNode) -> list[tuple[str, str]]:
    told = []
    backlog = snapshot.forecast
    if backlog.seconds:
        told.append(("backlog", f"delivered in {span(backlog.seconds)} at the current rate"))
    elif backlog.reason:
        told.append(("backlog", f"no estimate: {backlog.reason}"))
    seconds = snapshot.memory.seconds_to_short
    if seconds is not None and seconds <= _FORECAST_SECONDS:
        told.append(("memory", f"full in {span(seconds)} at the current rate; then reports are refused"))
    if lasts := lasts_in_words(fullest):
        told.append(("outage", lasts))
    return told


def _retention(snapshot: Snapshot) -> str:
    if not snapshot.retention:
        return "keeps everything"
    return "; ".join(retention_told(kept, snapshot.now_ms) for kept in snapshot.retention)


def retention_told(kept: Retention, now_ms: int) -> str:
    """Return what retention does to reports of one state, and what it is about to do."""
    what = "reports of unconfirmed deliveries are dropped" if kept.state == UNCONFIRMED else f"{kept.state} are removed"
    rule = f"{what} after {span(kept.window_ms / 1000)}"
    if not kept.expiring:
        return rule
    return f"{rule}: {kept.expiring} within {span(kept.notice_ms / 1000)}, the first {ago(kept.next_ms, now_ms)}"


def _audio(snapshot: Snapshot) -> list[tuple[str, str]]:
    ended, without = snapshot.audio_ended, snapshot.total("delivered_without_audio")
    if not ended + without:
        return []
    told = f"links expired for {counted(ended, 'undelivered report')}; {without} delivered after expiry"
    return [("audio", told)]


def _replays(snapshot: Snapshot) -> list[tuple[str, str]]:
    found = snapshot.replays
    states = {"running": found.running, "paused": found.paused, "cancelling": found.cancelled}
    if not (jobs := [f"{number} {state}" for state, number in states.items() if number]):
        return []
    letters = f"{found.selected} reports to send, {found.sent} in progress"
    return [("replay jobs", f"{', '.join(jobs)}; {letters}")]


def split_told(snapshot: Snapshot) -> list[tuple[str, str]]:
    """Return how far the split into partitions is; nothing where none is under way."""
    if (moving := snapshot.moving) is None:
        return []
    told = f"into {moving.partitions} partitions: {counted(moving.left, 'call')} still to be moved"
    if snapshot.taken_over:
        told += f", {snapshot.taken_over} of them counted twice until they are"
    if moving.last_ms:
        told += f"; last moved {ago(moving.last_ms, snapshot.now_ms)}"
    return [("split", told)]


def _split_document(snapshot: Snapshot) -> dict[str, Any] | None:
    if (moving := snapshot.moving) is None:
        return None
    return {
        "partitions": moving.partitions,
        "calls_left": moving.left,
        "counted_twice": snapshot.taken_over,
        "idle_seconds": seconds_since(moving.last_ms, snapshot.now_ms),
        "command": moving.command,
    }


def _balance(snapshot: Snapshot) -> str:
    if snapshot.away:
        return f"not checked while {snapshot.away_in_words}"
    return "balanced" if snapshot.balanced else "NOT BALANCED"


def _evidence(snapshot: Snapshot) -> dict[str, Any] | None:
    found, setup = snapshot.lane.evidence, snapshot.setup
    if not found.reasons:
        return None
    return {
        "reasons": {shown(reason): number for reason, number in found.reasons.items()},
        "calls": [shown(call) for call in found.calls],
        "reports": found.reports or None,
        "last_good_upload": iso(found.passed_ms),
        "url": shown(setup.url) or None if setup else None,
        "token_ends": shown(setup.token_ends) or None if setup else None,
    }


def _audit_document(snapshot: Snapshot) -> dict[str, Any] | None:
    if (last := snapshot.audited) is None:
        return None
    found = snapshot.accounts
    return {
        "at": iso(last.at_ms),
        "holds": found.holds,
        "difference": found.difference,
        "broken": found.broken,
        "miscounted": list(found.miscounted),
        "seconds": round(last.took_ms / 1000, 3),
    }


def audit_told(snapshot: Snapshot) -> str:
    """Return whether every report is accounted for, and since when that is known."""
    found, last = snapshot.accounts, snapshot.audited
    when = (
        f"(last audit {ago(last.at_ms, snapshot.now_ms)})"
        if last
        else "(no audit yet; the workers run it automatically)"
    )
    if snapshot.away and found.holds:
        return f"Cannot be told while {snapshot.away_in_words}. {when}"
    return f"{found.in_words or 'Every report is accounted for.'} {when}"


def uploads_told(snapshot: Snapshot) -> str:
    """Return what uploads do, since when, by whom and why, in one line."""
    lane = snapshot.lane
    parts = [uploads(lane.state)]
    if lane.since_ms:
        parts.append(f"for {span((snapshot.now_ms - lane.since_ms) / 1000)}")
    if lane.state == LaneState.HELD:
        parts.append(f"by {shown(lane.by)}")
    if lane.reason:
        parts.append(f"({shown(lane.reason)})")
    if lane.route:
        parts.append(f"by {path_of(lane.route)}, as someone chose")
    if lane.next_ms:
        later = lane.next_ms > snapshot.now_ms
        parts.append(f"next upload {ago(lane.next_ms, snapshot.now_ms)}" if later else "next probe due now")
    return " ".join(parts)
