"""Metrics whose numbers lie in an array that several processes share: each label's value has its fixed place.

Every label is a closed set, so to count is to add to a float: 50 ns, and 0.3 µs for a histogram.
"""

import hashlib
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from roark_producer.metrics import SECONDS


@dataclass(frozen=True, slots=True)
class Family:
    """A metric: its name, what it means, its kind, its labels' names and all combinations of their values."""

    name: str
    meaning: str
    kind: type[Metric]
    labels: tuple[str, ...] = ()
    values: tuple[tuple[str, ...], ...] = ((),)
    bounds: tuple[float, ...] = SECONDS

    @property
    def width(self) -> int:
        """How many numbers there are for each combination of labels: of a histogram the buckets and the sum."""
        return len(self.bounds) + 2 if self.kind is HistogramMetricFamily else 1

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return self.width * len(self.values)


def one_label(values: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Return the combinations of one label."""
    return tuple((value,) for value in values)


class Catalogue:
    """The families of a page in their order, and where each one's numbers lie. Gauges stand at the end."""

    def __init__(self, prefix: str, families: tuple[Family, ...]) -> None:
        self._prefix = prefix
        self._families = families
        self._place: dict[str, int] = {}
        self.size = 0
        for family in families:
            self._place[family.name] = self.size
            self.size += family.size
        self.gauges = sum(family.size for family in families if family.kind is GaugeMetricFamily)
        self.digest = hashlib.sha256(repr(families).encode()).hexdigest()[:12]
        """Changes with what the numbers mean."""

    def place(self, family: Family) -> int:
        """Return where a family's first number lies."""
        return self._place[family.name]

    def places(self, family: Family) -> dict[str, int]:
        """Return where the numbers of each value of the first label begin."""
        start = self._place[family.name]
        return {values[0]: start + family.width * number for number, values in enumerate(family.values)}

    def shown(self, numbers: "Sequence[float] | memoryview[float]") -> Iterator[Metric]:
        """Yield the families with these numbers."""
        for family in self._families:
            made = family.kind(f"{self._prefix}{family.name}", family.meaning, labels=family.labels)  # type: ignore[call-arg] # each kind takes them
            for number, values in enumerate(family.values):
                place = self._place[family.name] + family.width * number
                _add(made, family, values, numbers[place : place + family.width])
            yield made


def observe(
    numbers: "array[float] | memoryview[float]", place: int, value: float, bounds: Sequence[float] = SECONDS
) -> None:
    """Count a value in a histogram whose numbers begin at `place`."""
    numbers[place + bisect_left(bounds, value)] += 1
    numbers[place + len(bounds) + 1] += value


def _add(made: Metric, family: Family, labels: Sequence[str], numbers: "Sequence[float] | memoryview[float]") -> None:
    match made:
        case HistogramMetricFamily():
            made.add_metric(labels, _buckets(family.bounds, numbers), sum_value=numbers[len(family.bounds) + 1])
        case CounterMetricFamily() | GaugeMetricFamily():
            made.add_metric(labels, numbers[0])


def _buckets(bounds: Sequence[float], numbers: "Sequence[float] | memoryview[float]") -> list[tuple[str, float]]:
    found, so_far = [], 0.0
    for bound, number in zip((*map(str, bounds), "+Inf"), numbers, strict=False):
        so_far += number
        found.append((bound, so_far))
    return found
