"""The workers' `/metrics`: what the processes of this machine have counted together, and what the ledger says.

One process serves it: the supervisor for its children, a plain `celery worker` for itself, or, of several plain ones
that count in one folder (ROARK_INGEST_METRICS_FOLDER), the one that has the port. Where the port is taken, nothing is
held up for it: it is tried again every few seconds, so that a new worker takes over from the one that it replaces.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from roark_ledger.errors import LedgerError
from roark_ledger.ledger import Ledger
from roark_ledger.logs import event
from roark_ledger.moves import watch
from roark_ledger.records.snapshot import Snapshot
from roark_producer.ledger_metrics import ledger_families
from roark_producer.metrics import build_info
from roark_worker.metrics.counting import worker_families
from roark_worker.settings import WorkerSettings

logger = logging.getLogger(__name__)

_TRY_AGAIN_SECONDS = 3.0


class WorkerCollector(Collector):
    """All that a worker's page shows. `wanted` is how many processes there should be."""

    def __init__(
        self,
        folder: Path,
        ledger: Ledger,
        settings: WorkerSettings,
        *,
        wanted: int,
        restarts: Callable[[], int] = lambda: 0,
    ) -> None:
        self._folder = folder
        self._ledger = ledger
        self._settings = settings
        self._wanted = wanted
        self._restarts = restarts

    def describe(self) -> list[Metric]:
        """Name nothing in advance: to register it must not ask Redis."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics."""
        yield build_info()
        yield from worker_families(self._folder)
        yield from self._machine()
        yield from ledger_families(_snapshot(self._ledger))

    def _machine(self) -> Iterator[Metric]:
        wanted = "Worker processes that there should be"
        yield GaugeMetricFamily("roark_ingest_worker_processes_wanted", wanted, value=self._wanted)
        restarts = "Worker processes that ended by themselves and were started again"
        yield CounterMetricFamily("roark_ingest_worker_restarts", restarts, value=self._restarts())
        rate = "ROARK_INGEST_RATE: the most uploads per second over all workers; 0: no limit. The same for all: max()"
        yield GaugeMetricFamily(
            "roark_ingest_worker_rate_limit_per_second", rate, value=self._settings.flow_rules().per_second
        )


def _snapshot(ledger: Ledger) -> Snapshot | None:
    try:
        return ledger.run(watch.snapshot())
    except LedgerError:
        return None


class MetricsPage:
    """Serves a collector's metrics over HTTP, on threads of its own, until stopped."""

    def __init__(self, collector: Collector, host: str, port: int) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(collector)
        self._host = host
        self._port = port
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)

    def start(self) -> None:
        """Begin to serve, now or as soon as the port is free; port 0 is for no page at all."""
        if self._port:
            self._thread.start()

    def stop(self) -> None:
        """Stop serving, and give the port back."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def _run(self) -> None:
        listening = self._listen()
        if listening is None:
            return
        server, thread = listening
        self._stop.wait()
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)

    def _listen(self) -> tuple[WSGIServer, threading.Thread] | None:
        told = False
        while not self._stop.is_set():
            try:
                server = start_http_server(self._port, self._host, self._registry)
            except OSError as error:
                if not told:
                    why = f"{error.strerror}; it is tried again every few seconds"
                    event(logger, "metrics_wait", level=logging.WARNING, host=self._host, port=self._port, why=why)
                told = True
                self._stop.wait(_TRY_AGAIN_SECONDS)
                continue
            event(logger, "metrics_served", url=f"http://{self._host}:{self._port}/metrics")
            return server
        return None
