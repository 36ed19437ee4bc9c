"""What the ledger tells to Prometheus: one snapshot as gauges and counters. Labels are closed sets.

Every webhook, every worker and `roark-ingest metrics` export the same figures, because they are the ledger's. So take
`max(…)` over instances, never `sum(…)`. What a process counts by itself has `webhook` or `worker` in its name, and is
to be summed.
"""

from collections.abc import Iterator
from functools import cache

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from roark_ledger.lane_states import LASTING, LaneState
from roark_ledger.lifecycle import State
from roark_ledger.places import QUEUES
from roark_ledger.records.alerts import gauges
from roark_ledger.records.snapshot import Snapshot
from roark_ledger.scripts import counter_names

_NAMED_IN_PARTS = ("ignored", "rejected_discarded", "rejected_retried", "expired_dead", "expired_discarded")
HOLDERS = ("roark", "person")
_NEVER = float("inf")


@cache
def events() -> tuple[str, ...]:
    """Return the names of everything that the scripts count, states left out: the closed set of the label `event`."""
    return tuple(sorted({*counter_names(), *_NAMED_IN_PARTS} - {state.value for state in State}))


def ledger_families(snapshot: Snapshot | None) -> Iterator[Metric]:
    """Yield the metrics of a snapshot; of None, only that the ledger did not answer."""
    yield _gauge("ledger_up", "Whether the ledger answered this scrape (1) or not (0)", int(snapshot is not None))
    if snapshot:
        away = "Partitions of the ledger that do not answer: their reports are in none of these figures"
        yield _gauge("partitions_away", away, len(snapshot.away))
        yield from _reports(snapshot)
        yield from _ages(snapshot)
        yield from _lane(snapshot)
        yield from _memory(snapshot)
        yield from _audit(snapshot)
        yield from _replays(snapshot)
        yield from _reconciled(snapshot)
        yield from _receipts(snapshot)
        alerts = {kind.value: active for kind, active in gauges(snapshot.alerts).items()}
        yield _by_label("alerts", "1 for each kind of alert that is active (see `roark-ingest alerts`)", "kind", alerts)


def _replays(snapshot: Snapshot) -> Iterator[Metric]:
    found = snapshot.replays
    open_jobs = {"collecting": found.collecting, "running": found.running}
    open_jobs |= {"paused": found.paused, "cancelled": found.cancelled}
    yield _by_label("replay_jobs", "Replay jobs that have not ended, by state", "state", open_jobs)
    yield _gauge("replay_unsent", "Dead letters that replay jobs are still to send", found.selected)
    yield _gauge("replay_outstanding", "Reports that replay jobs have sent and that have no outcome yet", found.sent)


def _reports(snapshot: Snapshot) -> Iterator[Metric]:
    states = {state.value: number for state, number in snapshot.states.items()}
    yield _by_label("reports", "Reports in the ledger by the state they are in", "state", states)
    queues = {name: snapshot.queues[name] for name in QUEUES.values()}
    yield _by_label("ready_reports", "Ready reports by queue", "queue", queues)
    yield _gauge(
        "unconfirmed_reports",
        "Delivered reports in whose answer Roark did not name the call; their payloads are kept",
        snapshot.unconfirmed,
    )
    yield _gauge(
        "unconfirmed_share",
        "Share of the latest two hundred or so deliveries in whose answer Roark did not name the call",
        snapshot.unnamed_share,
    )
    happened = CounterMetricFamily(
        "roark_ingest_events",
        "What happened to reports and uploads, counted by the ledger since its creation",
        labels=["event"],
    )
    for name in events():
        happened.add_metric([name], snapshot.total(name))
    yield happened
    yield _gauge("newer_reports_kept", "Newer reports of calls that are being uploaded right now", snapshot.besides)
    yield _gauge("revisions_kept", "Reports kept beside a delivered one and not uploaded", snapshot.revisions_kept)
    yield _gauge("rejected_kept", "Entries in the rejected bin: what came in and was unusable", snapshot.rejected_kept)
    yield _gauge("rejected_bytes", "What the rejected bin takes of Redis, packed", snapshot.bin.bytes)
    yield _gauge(
        "rejected_fill_ratio",
        "Share of the rejected bin, 0 to 1, filled by entries that exist nowhere else; at 1 the oldest are dropped",
        snapshot.bin.fill,
    )
    yield _gauge(
        "audio_ending_reports",
        "Ready reports whose audio links expire within five minutes: Roark may get them without audio",
        snapshot.audio_ending,
    )
    yield _gauge(
        "audio_ended_reports",
        "Undelivered reports whose audio links have expired: Roark will get no audio",
        snapshot.audio_ended,
    )


def _ages(snapshot: Snapshot) -> Iterator[Metric]:
    yield _gauge(
        "past_due_seconds",
        "For how long the most overdue report could have been on its way to Roark and was not; 0: none is overdue. "
        "A report that waits for its next try is not overdue before that time",
        snapshot.past_due_seconds,
    )
    yield _gauge(
        "oldest_ready_seconds",
        "How long the oldest ready report has been ready; 0: none is",
        _age(snapshot, snapshot.oldest_ready_ms, never=0.0),
    )
    yield _gauge(
        "oldest_dead_seconds",
        "How long the oldest dead letter has been one; 0: there is none",
        _age(snapshot, snapshot.oldest_dead_ms, never=0.0),
    )
    yield _gauge(
        "tick_age_seconds",
        "Time since a worker last ticked, up to ten seconds too much; +Inf: no worker ever did",
        _age(snapshot, snapshot.last_tick_ms),
    )
    yield _gauge(
        "claim_age_seconds",
        "Time since reports were last claimed by any worker; +Inf: never",
        _age(snapshot, snapshot.lane.last_claim_ms),
    )


def _lane(snapshot: Snapshot) -> Iterator[Metric]:
    lane = snapshot.lane
    yield _by_label(
        "lane",
        "1 for the current state of uploads (open, held: paused, …), 0 for the others",
        "state",
        {name: int(lane.state == name) for name in LASTING},
    )
    holder = None if lane.state != LaneState.HELD else "roark" if lane.by == "roark" else "person"
    yield _by_label(
        "lane_held",
        "1 for who paused uploads: Roark's answers (token, credits, URL) or a person; 0 for both while not paused",
        "by",
        {name: int(holder == name) for name in HOLDERS},
    )
    yield _gauge(
        "lane_refused_reports",
        "Different reports whose refusals paused uploads; 0 while uploads are not paused by Roark's answers",
        lane.evidence.reports,
    )
    yield _gauge(
        "concurrency_limit",
        "Uploads in flight that adaptive concurrency allows over all workers; 0: not found yet, or a fixed number",
        lane.limit,
    )
    yield _gauge(
        "pace_per_second",
        "Uploads per second that Roark let through when it last said that we are too fast; 0: not lately",
        lane.pace,
    )


def _memory(snapshot: Snapshot) -> Iterator[Metric]:
    memory = snapshot.memory
    yield _gauge("redis_memory_bytes", "Memory that the ledger's server uses", memory.used)
    yield _gauge("redis_memory_limit_bytes", "The server's maxmemory; 0: it has none", memory.most)
    yield _gauge("redis_memory_short", "1 while reports are refused because memory runs short", int(memory.short))
    short = memory.seconds_to_short
    yield _gauge(
        "redis_memory_short_in_seconds",
        "In how long reports will be refused if memory goes on growing as it does; +Inf: it does not grow, or no limit",
        _NEVER if short is None else short,
    )


def _audit(snapshot: Snapshot) -> Iterator[Metric]:
    accounts = snapshot.accounts
    yield _gauge("audit_holds", "1 while every report is accounted for, in exactly one place", int(accounts.holds))
    yield _gauge("unaccounted_reports", "Reports accepted that are in no state, at this moment", accounts.difference)
    yield _gauge(
        "lost_reports",
        "Accepted reports that are missing since Redis was emptied, replaced or rolled back (at most)",
        sum(loss.most for loss in snapshot.losses),
    )
    yield _gauge(
        "unreadable_spooled_reports",
        "Reports in webhooks' spools that cannot be read (at least)",
        sum(each.reports for each in snapshot.unread),
    )
    audited = snapshot.audited
    yield _gauge(
        "audit_age_seconds",
        "Time since the last audit of the ledger ended; +Inf: there was none yet",
        _age(snapshot, audited.at_ms if audited else 0),
    )
    yield _gauge(
        "audit_broken_calls",
        "Calls that the last audit found not to be in exactly one place",
        audited.broken if audited else 0,
    )
    yield _gauge(
        "audit_difference_reports",
        "Reports that were in no state, by the last audit",
        audited.difference if audited else 0,
    )


def _reconciled(snapshot: Snapshot) -> Iterator[Metric]:
    found = snapshot.reconciled
    yield _gauge(
        "vapi_calls_missing",
        "Calls that ended at Vapi and whose report never came, by the last comparison; 0 also where none is made",
        found.missing if found else 0,
    )
    yield _gauge(
        "reconcile_age_seconds",
        "Time since Vapi's list of calls was last read whole by a worker; +Inf: never",
        _age(snapshot, found.at_ms if found else 0),
    )
    yield _gauge(
        "reconcile_watermark_age_seconds",
        "Until how long ago Vapi's calls, by their creation, have been compared without a gap; +Inf: never",
        _age(snapshot, found.watermark_ms if found else 0),
    )
    yield _gauge(
        "reconcile_late_seconds",
        "For how long workers with Vapi's key have not read its list whole, once it is two hours; 0: in time, or off",
        found.late_ms(snapshot.now_ms) / 1000 if found else 0,
    )


def _receipts(snapshot: Snapshot) -> Iterator[Metric]:
    found = snapshot.receipts
    yield _gauge("receipts_open", "Deliveries that are still to be looked up at Roark", found.open)
    yield _gauge(
        "receipts_visible_share",
        "Share of the deliveries looked up in time that were visible at Roark within 10 minutes; 1 where none was yet",
        1.0 if found.share_in_time is None else found.share_in_time,
    )
    yield _gauge(
        "receipts_unseen_share",
        "Share of the latest fifty or so deliveries looked up that were not visible at Roark within 10 minutes",
        found.unseen_share,
    )
    yield _gauge(
        "receipts_stale_seconds",
        "For how long deliveries could not be looked up at Roark, once it is an hour; 0: they are, or none is due",
        found.late_ms(snapshot.now_ms) / 1000,
    )


def _age(snapshot: Snapshot, since_ms: int, *, never: float = _NEVER) -> float:
    return max(0, snapshot.now_ms - since_ms) / 1000 if since_ms else never


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(f"roark_ingest_{name}", meaning, value=value)


def _by_label(name: str, meaning: str, label: str, values: dict[str, int]) -> Metric:
    family = GaugeMetricFamily(f"roark_ingest_{name}", meaning, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family
