"""`roark-ingest worker`: one Celery worker process per core, kept alive.

A child that ends by itself is started again, after a pause that grows while it keeps dying and without a limit
on how often. SIGTERM, SIGINT and SIGHUP reach every child; who has not ended after the drain's bound is killed, and
its reports come back by their leases. What the children count they count in one folder, and the supervisor serves
the sums as Prometheus' metrics. A child that refuses its settings is not started again. If the supervisor
itself is killed, its children die with it: unsupervised workers beside a new supervisor's would be too many.
"""

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from roark_ledger.ledger import Ledger
from roark_ledger.logs import event
from roark_producer.gone_settings import gone_settings, tell_gone_settings
from roark_producer.process.children import EX_CONFIG, Children
from roark_producer.process.orphans import bound_to_this_process
from roark_producer.wake_ups import ignored_variables, tell_ignored_variables
from roark_worker.metrics.page import MetricsPage, WorkerCollector
from roark_worker.settings import WorkerSettings

logger = logging.getLogger(__name__)

GRACE_SECONDS = 20.0
_LOOK_SECONDS = 0.1


class Supervisor:
    """Runs the worker processes of one machine until told to stop."""

    def __init__(self, settings: WorkerSettings, ledger: Ledger, *, celery_arguments: tuple[str, ...] = ()) -> None:
        self._settings = settings
        self._ledger = ledger
        self._arguments = celery_arguments
        self._children = Children("worker", settings.process_count, self._start)
        self._stop = threading.Event()
        # Celery's own variables would be command-line options of its worker, and are another application's. What is no
        # longer a setting is told here, and not by each child again.
        unused = {*ignored_variables(), *gone_settings()}
        self._environment = {name: value for name, value in os.environ.items() if name not in unused}

    def run(self) -> int:
        """Keep the children alive until SIGTERM, SIGINT or SIGHUP; return the exit code."""
        for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            # nohup's way to say that the terminal's end is none of ours.
            if name is not signal.SIGHUP or signal.getsignal(name) is not signal.SIG_IGN:
                signal.signal(name, lambda *_: self._stop.set())
        tell_ignored_variables()
        tell_gone_settings()
        with self._metrics():
            exit_code = 0
            while not self._stop.wait(_LOOK_SECONDS):
                if not self._children.keep():
                    exit_code = EX_CONFIG
                    break
            self._children.end(self._settings.shutdown_seconds + GRACE_SECONDS)
        return exit_code

    @contextlib.contextmanager
    def _metrics(self) -> Iterator[None]:
        self._environment["ROARK_INGEST_METRICS_PORT"] = "0"
        try:
            made = tempfile.TemporaryDirectory(prefix="roark-metrics-", ignore_cleanup_errors=True)
        except OSError as error:
            # No place to count in: reports are delivered all the same.
            event(logger, "metrics_off", level=logging.ERROR, error=str(error))
            yield
            return
        with made as folder:
            self._environment["ROARK_INGEST_METRICS_FOLDER"] = folder
            collector = WorkerCollector(
                Path(folder),
                self._ledger,
                self._settings,
                wanted=len(self._children),
                restarts=lambda: self._children.restarts,
            )
            page = MetricsPage(collector, self._settings.metrics_host, self._settings.metrics_port)
            page.start()
            yield
            page.stop()

    def _start(self, number: int) -> "subprocess.Popen[bytes]":
        name = f"roark-{number}-{os.getpid()}@{socket.gethostname()}"
        # -P: a file that lies where the worker is started, http.py say, is none of its modules.
        command = [sys.executable, "-P", "-m", "celery", "--quiet", "-A", "roark_worker.app", "worker", "-n", name]
        command += ["--without-gossip", "--without-mingle", *self._arguments]
        # A session of its own: Ctrl-C in the terminal must reach the children once, from here.
        command = bound_to_this_process(command)
        return subprocess.Popen(command, env=self._environment, start_new_session=True)  # noqa: S603 our own
