"""What a worker process counts, and how the sums over all processes become Prometheus' metrics.

Every label is a closed set, so every number has its fixed place in an array (see `cells.py`): to count is to add to
a float, for some 1 µs per report in all. No call id, and nothing that Roark wrote, can become a label.
"""

import hashlib
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from roark_ledger.lane_states import LASTING, LaneState
from roark_ledger.moves.delivery import Claim, Deliver
from roark_producer.metrics import SECONDS
from roark_worker.answers.reasons import FAULT_OF, label_of
from roark_worker.answers.verdict import Delivered, OurFault, Passing, Refused, Verdict
from roark_worker.metrics import cells

RESULTS: dict[type, str] = {Delivered: "delivered", Passing: "passing", Refused: "refused", OurFault: "our-fault"}
OUTCOMES = ("delivered", "deferred", "buried", "refused", "released", "lost")
TOLD = ("sent", "sampled", "dropped")
ENDS = ("idle", "budget", "stopping", "redis", *(state.value for state in LASTING if state is not LaneState.OPEN))

FAULTS = ("roark", "connection", "us", "report")

_WIDTH = len(SECONDS) + 2
_SUM = _WIDTH - 1


@dataclass(frozen=True, slots=True)
class _Family:
    name: str
    meaning: str
    kind: type[Metric]
    labels: tuple[str, ...] = ()
    values: tuple[tuple[str, ...], ...] = ((),)

    @property
    def width(self) -> int:
        return _WIDTH if self.kind is HistogramMetricFamily else 1

    @property
    def size(self) -> int:
        return self.width * len(self.values)


def _one_label(values: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    return tuple((value,) for value in values)


_UPLOADS = _Family(
    "upload_seconds",
    "How long an attempt to upload a report took, by what Roark's answer, or none, meant",
    HistogramMetricFamily,
    ("result",),
    _one_label(RESULTS.values()),
)
_CLAIMS = _Family(
    "claim_seconds",
    "For how long a report had been due (accepted, or due again) when a worker claimed it",
    HistogramMetricFamily,
)
_DELIVERIES = _Family(
    "delivery_seconds", "From accepted until Roark had the report, whatever lay between", HistogramMetricFamily
)
_CLAIM_CALLS = _Family("claim_call_seconds", "How long one claim's round trip to Redis took", HistogramMetricFamily)
_SETTLE_CALLS = _Family(
    "settle_call_seconds", "How long it took to record one batch of outcomes in Redis", HistogramMetricFamily
)
_FAILED = _Family(
    "failed_attempts",
    "Attempts that failed, by reason, and by whose fault that is: roark, the connection to it, us (token, credits, "
    "URL), or the report",
    CounterMetricFamily,
    ("reason", "fault"),
    tuple(FAULT_OF.items()),
)
_SETTLED = _Family(
    "settled",
    "Outcomes recorded in the ledger: delivered, deferred (tried again later), buried (a dead letter), refused (waits, "
    "for that may be true for all), released (given back untried); lost are those that came when the lease had run out",
    CounterMetricFamily,
    ("outcome",),
    _one_label(OUTCOMES),
)
_DRAINS = _Family(
    "drains",
    "Drains that ended, by reason; names of upload states mean that uploads were paused",
    CounterMetricFamily,
    ("ended",),
    _one_label(ENDS),
)
_FLOWER = _Family(
    "flower_outcomes",
    "Outcomes of which Flower was to be told: sent, sampled (successes above the rate, left out), dropped (the broker "
    "did not take them); the ledger has them all",
    CounterMetricFamily,
    ("result",),
    _one_label(TOLD),
)
_IN_FLIGHT = _Family("in_flight_reports", "Reports that are being uploaded by these processes", GaugeMetricFamily)
_SLOTS = _Family(
    "in_flight_limit_reports", "The most that these processes would upload at once, all together", GaugeMetricFamily
)
_PROCESSES = _Family("processes", "Worker processes that live", GaugeMetricFamily)

_FAMILIES = (
    *(_UPLOADS, _CLAIMS, _DELIVERIES, _CLAIM_CALLS, _SETTLE_CALLS, _FAILED, _SETTLED, _DRAINS, _FLOWER),
    *(_IN_FLIGHT, _SLOTS, _PROCESSES),
)


def _places() -> dict[str, int]:
    found, place = {}, 0
    for family in _FAMILIES:
        found[family.name] = place
        place += family.size
    return found


_PLACE = _places()
_LAYOUT = cells.Layout(
    name=hashlib.sha256(repr((_FAMILIES, SECONDS)).encode()).hexdigest()[:12],
    size=sum(family.size for family in _FAMILIES),
    gauges=sum(family.size for family in _FAMILIES if family.kind is GaugeMetricFamily),
)


def _places_of(family: _Family) -> dict[str, int]:
    return {values[0]: _PLACE[family.name] + family.width * number for number, values in enumerate(family.values)}


_UPLOADS_AT = {kind: _places_of(_UPLOADS)[result] for kind, result in RESULTS.items()}
_CLAIMS_AT = _PLACE[_CLAIMS.name]
_DELIVERIES_AT = _PLACE[_DELIVERIES.name]
_CLAIM_CALLS_AT = _PLACE[_CLAIM_CALLS.name]
_SETTLE_CALLS_AT = _PLACE[_SETTLE_CALLS.name]
_FAILED_AT = _places_of(_FAILED)
_SETTLED_AT = _places_of(_SETTLED)
_DRAINS_AT = _places_of(_DRAINS)
_FLOWER_AT = _places_of(_FLOWER)
_IN_FLIGHT_AT = _PLACE[_IN_FLIGHT.name]
_SLOTS_AT = _PLACE[_SLOTS.name]
_PROCESSES_AT = _PLACE[_PROCESSES.name]


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
        return _families(self._cells)

    def _observe(self, place: int, seconds: float) -> None:
        self._cells[place + bisect_left(SECONDS, seconds)] += 1
        self._cells[place + _SUM] += seconds


def worker_families(folder: Path) -> Iterator[Metric]:
    """Yield what all processes that count in `folder` have counted together."""
    return _families(cells.total(folder, _LAYOUT))


def _families(numbers: "Sequence[float] | memoryview[float]") -> Iterator[Metric]:
    for family in _FAMILIES:
        made = family.kind(f"roark_ingest_worker_{family.name}", family.meaning, labels=family.labels)  # type: ignore[call-arg] # each kind takes them
        for number, values in enumerate(family.values):
            place = _PLACE[family.name] + family.width * number
            _add(made, values, numbers[place : place + family.width])
        yield made


def _add(family: Metric, labels: Sequence[str], numbers: "Sequence[float] | memoryview[float]") -> None:
    match family:
        case HistogramMetricFamily():
            family.add_metric(labels, _buckets(numbers), sum_value=numbers[_SUM])
        case CounterMetricFamily() | GaugeMetricFamily():
            family.add_metric(labels, numbers[0])


def _buckets(numbers: "Sequence[float] | memoryview[float]") -> list[tuple[str, float]]:
    found, so_far = [], 0.0
    for bound, number in zip((*map(str, SECONDS), "+Inf"), numbers, strict=False):
        so_far += number
        found.append((bound, so_far))
    return found
