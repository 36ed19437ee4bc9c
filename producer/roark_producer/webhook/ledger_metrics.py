"""What the ledger tells to Prometheus: one snapshot as gauges and counters. Labels are closed sets.

Every webhook exports the same figures, because they are the ledger's: take the maximum over instances, not the sum.
"""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from roark_producer.records import Snapshot

_COUNTED = (
    "accepted",
    "duplicates",
    "replaced",
    "revisions",
    "rejected",
    "rejected_overflow",
    "ignored",
    "refused_erased",
    "forgotten",
    "leases_expired",
    "poisoned",
    "replayed",
    "holds",
    "breaker_opened",
)
_LANE_STATES = ("open", "held", "breaker-open", "half-open", "throttled")


def ledger_text(snapshot: Snapshot | None) -> bytes:
    """Return the metrics of a snapshot in Prometheus' text format; of None, only that the ledger did not answer."""
    registry = CollectorRegistry()
    registry.register(_Families(snapshot))
    return generate_latest(registry)


class _Families(Collector):
    def __init__(self, snapshot: Snapshot | None) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        yield _gauge("roark_ingest_ledger_up", "Whether the ledger answered", int(self._snapshot is not None))
        if self._snapshot:
            yield from _reports(self._snapshot)
            yield from _memory(self._snapshot)
            yield from _audit(self._snapshot)


def _reports(snapshot: Snapshot) -> Iterator[Metric]:
    reports = GaugeMetricFamily("roark_ingest_reports", "Reports by state", labels=["state"])
    for state, number in snapshot.states.items():
        reports.add_metric([state.value], number)
    yield reports
    events = CounterMetricFamily("roark_ingest_events", "What happened, since the ledger was made", labels=["event"])
    for name in _COUNTED:
        events.add_metric([name], snapshot.total(name))
    yield events
    lane = GaugeMetricFamily("roark_ingest_lane", "1 for the state that the way to Roark is in", labels=["state"])
    for name in _LANE_STATES:
        lane.add_metric([name], int(snapshot.lane.state == name))
    yield lane
    waited = (snapshot.now_ms - snapshot.oldest_ready_ms) / 1000 if snapshot.oldest_ready_ms else 0
    yield _gauge("roark_ingest_oldest_ready_seconds", "How long the oldest ready report has been ready", waited)
    yield _gauge("roark_ingest_rejected_kept", "Entries in the rejected bin", snapshot.rejected_kept)


def _memory(snapshot: Snapshot) -> Iterator[Metric]:
    memory = snapshot.memory
    yield _gauge("roark_ingest_redis_memory_bytes", "Memory that the ledger's server uses", memory.used)
    yield _gauge("roark_ingest_redis_memory_limit_bytes", "Its maxmemory, 0 for no limit", memory.most)
    short = memory.seconds_to_short
    forecast = float("inf") if short is None else short
    yield _gauge("roark_ingest_redis_memory_short_seconds", "When reports will be refused, at this growth", forecast)


def _audit(snapshot: Snapshot) -> Iterator[Metric]:
    unaccounted = snapshot.total("accepted") - sum(snapshot.states.values())
    yield _gauge("roark_ingest_unaccounted_reports", "Reports accepted that are in no state, now", unaccounted)
    if audited := snapshot.audited:
        yield _gauge("roark_ingest_audit_timestamp_seconds", "When the last audit ended", audited.at_ms / 1000)
        yield _gauge("roark_ingest_audit_difference", "Reports in no state, by the last audit", audited.difference)
        yield _gauge("roark_ingest_audit_broken", "Calls not in exactly one place, by the last audit", audited.broken)


def _gauge(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, meaning, value=value)
