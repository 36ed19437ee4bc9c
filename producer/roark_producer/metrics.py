"""What the metrics of all parts share: the buckets of their histograms, the build, the text that Prometheus reads."""

import platform
from collections.abc import Iterable, Iterator
from importlib.metadata import version

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

CONTENT_TYPE = CONTENT_TYPE_LATEST
SECONDS = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 1800.0, 3600.0),
)
"""Upper bounds of every latency's buckets: the same from a millisecond to an hour, so that latencies compare."""


class Families(Collector):
    """Metric families that are made already, as a collector."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = tuple(families)

    def collect(self) -> Iterator[Metric]:
        """Yield them."""
        yield from self._families


def text_of(families: Iterable[Metric]) -> bytes:
    """Return metric families in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(Families(families))
    return generate_latest(registry)


def build_info() -> Metric:
    """Return which version runs here."""
    info = GaugeMetricFamily(
        "roark_ingest_build_info",
        "Always 1; the labels say which version of roark-ingest runs in this process, on which Python",
        labels=["version", "python"],
    )
    info.add_metric([version("roark-ingest"), platform.python_version()], 1)
    return info
