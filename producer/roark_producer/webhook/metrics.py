"""The webhook's metrics, in a registry of their own. Labels are closed sets; no call id is ever among them."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from roark_producer.spool import Pending
from roark_producer.webhook.answers import Label

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_BYTES = (1_000, 4_000, 16_000, 64_000, 256_000, 1_000_000, 4_000_000, 16_000_000)


class WebhookMetrics:
    """Counts what the webhook answers. Every label exists from the start, so that a rate can be taken of each."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, spool: Callable[[], Pending] | None = None) -> None:
        self._spool = spool
        self._registry = CollectorRegistry()
        requests = Counter(
            "roark_ingest_webhook_requests_total",
            "Requests to the webhook's path, by how they ended",
            ["result"],
            registry=self._registry,
        )
        self._requests = {label: requests.labels(label.value) for label in Label}
        self._seconds = Histogram(
            "roark_ingest_webhook_accept_seconds",
            "From a report that is read until it is durable",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._bytes = Histogram(
            "roark_ingest_webhook_body_bytes",
            "Size of the bodies that were read",
            buckets=_BYTES,
            registry=self._registry,
        )

        self._spool_reports = Gauge(
            "roark_ingest_spool_reports", "Reports that wait in this machine's spool", registry=self._registry
        )
        self._spool_bytes = Gauge(
            "roark_ingest_spool_bytes", "Bytes that wait in this machine's spool", registry=self._registry
        )

    def ended(self, label: Label) -> None:
        """Count a request."""
        self._requests[label].inc()

    def read(self, body_bytes: int) -> None:
        """Count a body."""
        self._bytes.observe(body_bytes)

    def stored(self, seconds: float) -> None:
        """Count how long it took to store a report."""
        self._seconds.observe(seconds)

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        if self._spool:
            waiting = self._spool()
            self._spool_reports.set(waiting.reports)
            self._spool_bytes.set(waiting.bytes)
        return generate_latest(self._registry)
