"""The webhook's metrics, in a registry of their own. Labels are closed sets; no call id is ever among them."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

from roark_ledger.records.snapshot import Snapshot
from roark_producer.disk.segments import Pending
from roark_producer.ledger_metrics import ledger_families
from roark_producer.metrics import CONTENT_TYPE, SECONDS, Families, build_info, text_of
from roark_producer.webhook.answers import Label

_BYTES = (1_000, 4_000, 16_000, 64_000, 256_000, 1_000_000, 4_000_000, 16_000_000)

# Redis's own words for why it takes nothing now: a closed set, for a label.
_REFUSALS = frozenset(
    {"BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF", "NOPERM", "NOREPLICAS", "OOM", "READONLY", "promise"}
)

# A second series for each counter, which says when this process first counted: nobody reads it.
disable_created_metrics()  # type: ignore[no-untyped-call] # prometheus_client's own


class WebhookMetrics:
    """Counts what the webhook answers. Every label exists from the start, so that a rate can be taken of each."""

    content_type = CONTENT_TYPE

    def __init__(self, spool: Callable[[], Pending] | None = None, *, spool_max_bytes: int = 0) -> None:
        self._spool = spool
        self._registry = CollectorRegistry()
        self._registry.register(Families([build_info()]))
        requests = Counter(
            "roark_ingest_webhook_requests_total",
            "Requests to the webhook's path, by how they ended",
            ["result"],
            registry=self._registry,
        )
        self._requests = {label: requests.labels(label.value) for label in Label}
        self._seconds = Histogram(
            "roark_ingest_webhook_accept_seconds",
            "From a report that is read until it is durable and may be answered with yes",
            buckets=SECONDS,
            registry=self._registry,
        )
        self._bytes = Histogram(
            "roark_ingest_webhook_body_bytes",
            "Size of the bodies that were read",
            buckets=_BYTES,
            registry=self._registry,
        )
        self._spool_reports = Gauge(
            "roark_ingest_webhook_spool_reports",
            "Reports on this webhook's disk that are not in the ledger yet",
            registry=self._registry,
        )
        self._spool_bytes = Gauge(
            "roark_ingest_webhook_spool_bytes",
            "Bytes of the reports on this webhook's disk that are not in the ledger yet",
            registry=self._registry,
        )
        refuses = Gauge(
            "roark_ingest_webhook_redis_refuses",
            "1 while Redis answers this webhook and takes no report, by its own word for why (promise: durability)",
            ["reason"],
            registry=self._registry,
        )
        self._refuses = {reason: refuses.labels(reason) for reason in sorted(_REFUSALS | {"other"})}
        Gauge(
            "roark_ingest_webhook_spool_limit_bytes",
            "Spooled bytes above which this webhook refuses reports (503); 0: it does not spool",
            registry=self._registry,
        ).set(spool_max_bytes)

    def ended(self, label: Label) -> None:
        """Count a request."""
        self._requests[label].inc()

    def read(self, body_bytes: int) -> None:
        """Count a body."""
        self._bytes.observe(body_bytes)

    def stored(self, seconds: float) -> None:
        """Count how long it took to store a report."""
        self._seconds.observe(seconds)

    def text(self, snapshot: Snapshot | None, *, refusal: str = "") -> bytes:
        """Return all metrics, and the ledger's, in Prometheus' text format. A snapshot of None is no answer.

        `refusal` is Redis's own word for why it takes no report, "" while it does or does not answer.
        """
        named = refusal if refusal in _REFUSALS else "other" if refusal else ""
        for reason, gauge in self._refuses.items():
            gauge.set(reason == named)
        if self._spool:
            waiting = self._spool()
            self._spool_reports.set(waiting.reports)
            self._spool_bytes.set(waiting.bytes)
        return generate_latest(self._registry) + text_of(ledger_families(snapshot))
