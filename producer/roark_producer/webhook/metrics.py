"""The webhook's metrics: what its processes count together. Labels are closed sets; no call id is ever among them."""

from array import array
from collections.abc import Callable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from roark_ledger.records.snapshot import Snapshot
from roark_producer.disk.segments import Pending
from roark_producer.ledger_metrics import ledger_families
from roark_producer.metrics import CONTENT_TYPE, build_info, text_of
from roark_producer.process.families import Catalogue, Family, observe, one_label
from roark_producer.webhook.answers import Label

_BYTES = (1_000.0, 4_000.0, 16_000.0, 64_000.0, 256_000.0, 1_000_000.0, 4_000_000.0, 16_000_000.0)

# Redis's own words for why it takes nothing now: a closed set, for a label.
_REFUSALS = frozenset(
    {"BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF", "NOPERM", "NOREPLICAS", "OOM", "READONLY", "promise"}
)

_REQUESTS = Family(
    "requests",
    "Requests to the webhook's path, by how they ended",
    CounterMetricFamily,
    ("result",),
    one_label(label.value for label in Label),
)
_SECONDS = Family(
    "accept_seconds",
    "From a report that is read until it is durable and may be answered with yes",
    HistogramMetricFamily,
)
_BODIES = Family("body_bytes", "Size of the bodies that were read", HistogramMetricFamily, bounds=_BYTES)

_CATALOGUE = Catalogue("roark_ingest_webhook_", (_REQUESTS, _SECONDS, _BODIES))
_REQUESTS_AT = {Label(name): place for name, place in _CATALOGUE.places(_REQUESTS).items()}
_SECONDS_AT = _CATALOGUE.place(_SECONDS)
_BODIES_AT = _CATALOGUE.place(_BODIES)

COUNTED = _CATALOGUE.size
"""How many numbers a process counts."""


class WebhookMetrics:
    """Counts what one process answers. Every label exists from the start, so that a rate can be taken of each."""

    def __init__(self, numbers: "array[float] | memoryview[float] | None" = None) -> None:
        self._numbers = array("d", bytes(8 * COUNTED)) if numbers is None else numbers

    def ended(self, label: Label) -> None:
        """Count a request."""
        self._numbers[_REQUESTS_AT[label]] += 1

    def read(self, body_bytes: int) -> None:
        """Count a body."""
        observe(self._numbers, _BODIES_AT, body_bytes, _BYTES)

    def stored(self, seconds: float) -> None:
        """Count how long it took to store a report."""
        observe(self._numbers, _SECONDS_AT, seconds)


class WebhookPage:
    """What all processes of a webhook have counted, its spool and the ledger, as one text for Prometheus.

    `counted` returns the sums over all processes, `processes` how many live and how many there should be.
    """

    content_type = CONTENT_TYPE

    def __init__(
        self,
        counted: "Callable[[], array[float]]" = lambda: array("d", bytes(8 * COUNTED)),
        spool: Callable[[], Pending] | None = None,
        *,
        spool_max_bytes: int = 0,
        processes: Callable[[], tuple[int, int]] = lambda: (1, 1),
    ) -> None:
        self._counted = counted
        self._spool = spool
        self._spool_max_bytes = spool_max_bytes
        self._processes = processes

    def text(self, snapshot: Snapshot | None, *, refusal: str = "") -> bytes:
        """Return all metrics, and the ledger's, in Prometheus' text format. A snapshot of None is no answer.

        `refusal` is Redis's own word for why it takes no report, "" while it does or does not answer.
        """
        return text_of(
            [
                build_info(),
                *_CATALOGUE.shown(self._counted()),
                *self._gauges(),
                _refuses(refusal),
                *ledger_families(snapshot),
            ]
        )

    def _gauges(self) -> list[Metric]:
        waiting = self._spool() if self._spool else Pending(0, 0)
        living, wanted = self._processes()
        return [
            _gauge("spool_reports", "Reports on this webhook's disk that are not in the ledger yet", waiting.reports),
            _gauge(
                "spool_bytes",
                "Bytes of the reports on this webhook's disk that are not in the ledger yet",
                waiting.bytes,
            ),
            _gauge(
                "spool_limit_bytes",
                "Spooled bytes above which this webhook refuses reports (503); 0: it does not spool",
                self._spool_max_bytes,
            ),
            _gauge("processes", "Processes of this webhook that take requests", living),
            _gauge("processes_wanted", "Processes of this webhook that there should be", wanted),
        ]


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(f"roark_ingest_webhook_{name}", meaning, value=value)


def _refuses(refusal: str) -> Metric:
    named = refusal if refusal in _REFUSALS else "other" if refusal else ""
    family = GaugeMetricFamily(
        "roark_ingest_webhook_redis_refuses",
        "1 while Redis answers this webhook and takes no report, by its own word for why (promise: durability)",
        labels=["reason"],
    )
    for reason in sorted(_REFUSALS | {"other"}):
        family.add_metric([reason], float(reason == named))
    return family
