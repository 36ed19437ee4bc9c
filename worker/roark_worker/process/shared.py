"""What the parts of one worker process share, each made once: settings, the way to the servers, counts, traces."""

import logging
import os
import tempfile
from functools import cache
from pathlib import Path

from roark_ledger.logs import event
from roark_producer.servers import Servers
from roark_producer.settings import IngestSettings
from roark_producer.tracing import Traces
from roark_producer.wake_ups import WakeUps
from roark_worker.calls.vapi_settings import VapiSettings
from roark_worker.metrics.counting import Counts
from roark_worker.settings import WorkerSettings

logger = logging.getLogger(__name__)


@cache
def ingest_settings() -> IngestSettings:
    """Return the ledger's settings, read once per process."""
    return IngestSettings()


@cache
def worker_settings() -> WorkerSettings:
    """Return the worker's settings, read once per process."""
    return WorkerSettings()


@cache
def vapi_settings() -> VapiSettings:
    """Return the settings for Vapi's API, read once per process."""
    return VapiSettings()


@cache
def servers() -> Servers:
    """Return where the ledger and the broker are."""
    return Servers(ingest_settings())


@cache
def wake_ups() -> WakeUps:
    """Return this process's publisher of wake-ups."""
    return servers().wake_ups()


@cache
def metrics_folder() -> Path:
    """Return where this worker counts: the supervisor's folder, or one of its own, which `TickStep` removes."""
    return worker_settings().metrics_folder or Path(tempfile.mkdtemp(prefix="roark-metrics-"))


def counts() -> Counts:
    """Return what this process counts."""
    return _counts_of(os.getpid())


@cache
def _counts_of(_pid: int) -> Counts:
    # One for each process: prefork's children must not go on in their parent's numbers.
    try:
        return Counts.shared(metrics_folder(), slots=worker_settings().max_in_flight)
    except OSError as error:
        # No place to count in: reports are delivered all the same.
        event(logger, "metrics_unshared", level=logging.ERROR, error=str(error))
        return Counts.unshared()


@cache
def traces() -> Traces | None:
    """Return what makes spans; None where nobody wants them."""
    return Traces.wanted(ingest_settings())
