"""What a worker process counts, and how the sums over all processes become Prometheus' metrics.

Every label is a closed set, so every number has its fixed place in an array (see `cells.py`): to count is to add to
a float, for some 1 µs per report in all. No call id, and nothing that Roark wrote, can become a label.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Self

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from roark_ledger.lane_states import LASTING, LaneState
from roark_ledger.moves.delivery import Claim, Deliver
from roark_producer.process.families import Catalogue, Family, observe, one_label
from roark_worker.answers.reasons import FAULT_OF, label_of
from roark_worker.answers.verdict import Delivered, OurFault, Passing, Refused, Verdict
from roark_worker.metrics import cells

RESULTS: dict[type, str] = {Delivered: "delivered", Passing: "passing", Refused: "refused", OurFault: "our-fault"}
OUTCOMES = ("delivered", "deferred", "buried", "refused", "released", "lost")
TOLD = ("sent", "sampled", "dropped")
ENDS = ("idle", "budget", "stopping", "redis", *(state.value for state in LASTING if state is not LaneState.OPEN))

FAULTS = ("roark", "connection", "us", "report")

_UPLOADS = Family(
    "upload_seconds",
    "How long an attempt to upload a report took, by what Roark's answer, or none, meant",
    HistogramMetricFamily,
    ("result",),
    one_label(RESULTS.values()),
)
_CLAIMS = Family(
    "claim_seconds",
    "For how long a report had been due (accepted, or due again) when a worker claimed it",
    HistogramMetricFamily,
)
_DELIVERIES = Family(
    "delivery_seconds", "From accepted until Roark had the report, whatever lay between", HistogramMetricFamily
)
_CLAIM_CALLS = Family("claim_call_seconds", "How long one claim's round trip to Redis took", HistogramMetricFamily)
_SETTLE_CALLS = Family(
    "settle_call_seconds", "How long it took to record one batch of outcomes in Redis", HistogramMetricFamily
)
_FAILED = Family(
    "failed_attempts",
    "Attempts that failed, by reason, and by whose fault that is: roark, the connection to it, us (token, credits, "
    "URL), or the report",
    CounterMetricFamily,
    ("reason", "fault"),
    tuple(FAULT_OF.items()),
)
_SETTLED = Family(
    "settled",
    "Outcomes recorded in the ledger: delivered, deferred (tried again later), buried (a dead letter), refused (waits, "
    "for that may be true for all), released (given back untried); lost are those that came when the lease had run out",
    CounterMetricFamily,
    ("outcome",),
    one_label(OUTCOMES),
)
_DRAINS = Family(
    "drains",
    "Drains that ended, by reason; names of upload states mean that uploads were paused",
    CounterMetricFamily,
    ("ended",),
    one_label(ENDS),
)
_FLOWER = Family(
    "flower_outcomes",
    "Outcomes of which Flower was to be told: sent, sampled (successes above the rate, left out), dropped (the broker "
    "did not take them); the ledger has them all",
    CounterMetricFamily,
    ("result",),
    one_label(TOLD),
)
_IN_FLIGHT = Family("in_flight_reports", "Reports that are being uploaded by these processes", GaugeMetricFamily)
_SLOTS = Family(
    "in_flight_limit_reports", "The most that these processes would upload at once, all together", GaugeMetricFamily
)
_PROCESSES = Family("processes", "Worker processes that live", GaugeMetricFamily)

_FAMILIES = (
    *(_UPLOADS, _CLAIMS, _DELIVERIES, _CLAIM_CALLS, _SETTLE_CALLS, _FAILED, _SETTLED, _DRAINS, _FLOWER),
    *(_IN_FLIGHT, _SLOTS, _PROCESSES),
)


_CATALOGUE = Catalogue("roark_ingest_worker_", _FAMILIES)
_LAYOUT = cells.Layout(name=_CATALOGUE.digest, size=_CATALOGUE.size, gauges=_CATALOGUE.gauges)
_UPLOADS_AT = {kind: _CATALOGUE.places(_UPLOADS)[result] for kind, result in RESULTS.items()}
_CLAIMS_AT = _CATALOGUE.place(_CLAIMS)
_DELIVERIES_AT = _CATALOGUE.place(_DELIVERIES)
_CLAIM_CALLS_AT = _CATALOGUE.place(_CLAIM_CALLS)
_SETTLE_CALLS_AT = _CATALOGUE.place(_SETTLE_CALLS)
_FAILED_AT = _CATALOGUE.places(_FAILED)
_SETTLED_AT = _CATALOGUE.places(_SETTLED)
_DRAINS_AT = _CATALOGUE.places(_DRAINS)
_FLOWER_AT = _CATALOGUE.places(_FLOWER)
_IN_FLIGHT_AT = _CATALOGUE.place(_IN_FLIGHT)
_SLOTS_AT = _CATALOGUE.place(_SLOTS)
_PROCESSES_AT = _CATALOGUE.place(_PROCESSES)


def known_reason(reason: str) -> str:
    """Return the label's value for a verdict's reason: see the table of reasons."""
    # A code that no attempt fails by is a surprise as well.
    label = label_of(reason)
    return label if label in FAULT_OF else "other"


class Counts:
    """What one process counts. Its methods are for the event loop's thread, but where they say otherwise."""

    def __init__(self, numbers: "array[float] | memoryview[float]") -> None:
        self._cells = numbers
        self._told: Counter[str] = Counter()

    @property
    def is_shared(self) -> bool:
        """Whether anybody else can see it."""
        return isinstance(self._cells, memoryview)

    @classmethod
    def shared(cls, folder: Path, *, slots: int = 0) -> Self:
        """Count in a folder together with other processes; `slots` is how many reports this one uploads at once."""
        counts = cls(cells.take(folder, _LAYOUT))
        counts._cells[_PROCESSES_AT] = 1
        counts._cells[_SLOTS_AT] = slots
        return counts

    @classmethod
    def unshared(cls) -> Self:
        """Count for nobody but this process."""
        return cls(array("d", bytes(8 * _LAYOUT.size)))

    def attempted(self, verdict: Verdict, seconds: float) -> None:
        """Count an upload and what it meant."""
        self._observe(_UPLOADS_AT[type(verdict)], seconds)
        if not isinstance(verdict, Delivered):
            self._cells[_FAILED_AT[known_reason(verdict.reason)]] += 1

    def claimed(self, claim: Claim, seconds: float) -> None:
        """Count a claim, which took so long, and how late its reports were."""
        self._observe(_CLAIM_CALLS_AT, seconds)
        for report in claim.reports:
            self._observe(_CLAIMS_AT, report.late_ms / 1000)

    def settled(self, outcome: str, number: int) -> None:
        """Count outcomes that the ledger has recorded, or refused (`lost`)."""
        self._cells[_SETTLED_AT[outcome]] += number

    def delivered(self, outcomes: Iterable[Deliver]) -> None:
        """Count how old reports were when they were delivered."""
        for outcome in outcomes:
            self._observe(_DELIVERIES_AT, outcome.age_ms / 1000)

    def recorded(self, seconds: float) -> None:
        """Count how long it took to record a batch."""
        self._observe(_SETTLE_CALLS_AT, seconds)

    def drained(self, ended: str) -> None:
        """Count a drain."""
        self._cells[_DRAINS_AT[ended]] += 1

    def told_flower(self, totals: Mapping[str, int]) -> None:
        """Take over what the events' own thread has counted so far; for that thread alone."""
        for result, place in _FLOWER_AT.items():
            # What a dead process had counted in this place stays: a sum must not fall.
            self._cells[place] += totals.get(result, 0) - self._told[result]
            self._told[result] = totals.get(result, 0)

    def in_flight(self, number: int) -> None:
        """Tell how many uploads are under way."""
        self._cells[_IN_FLIGHT_AT] = number

    def families(self) -> Iterator[Metric]:
        """Yield what this process has counted as metrics."""
        return _CATALOGUE.shown(self._cells)

    def _observe(self, place: int, seconds: float) -> None:
        observe(self._cells, place, seconds)


def worker_families(folder: Path) -> Iterator[Metric]:
    """Yield what all processes that count in `folder` have counted together."""
    return _CATALOGUE.shown(cells.total(folder, _LAYOUT))
