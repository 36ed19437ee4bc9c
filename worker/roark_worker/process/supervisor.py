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
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from roark_ledger.ledger import Ledger
from roark_ledger.logs import event
from roark_producer.gone_settings import gone_settings, tell_gone_settings
from roark_producer.wake_ups import ignored_variables, tell_ignored_variables
from roark_worker.metrics.page import MetricsPage, WorkerCollector
from roark_worker.process.orphans import bound_to_this_process
from roark_worker.settings import WorkerSettings

logger = logging.getLogger(__name__)

EX_CONFIG = 78
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 15.0
_HEALTHY_SECONDS = 60.0
GRACE_SECONDS = 20.0
_LOOK_SECONDS = 0.1


@dataclass(slots=True)
class _Child:
    number: int
    process: "subprocess.Popen[bytes] | None" = None
    started: float = 0.0
    pause: float = _FIRST_PAUSE_SECONDS
    start_at: float = field(default_factory=time.monotonic)


class Supervisor:
    """Runs the worker processes of one machine until told to stop."""

    def __init__(self, settings: WorkerSettings, ledger: Ledger, *, celery_arguments: tuple[str, ...] = ()) -> None:
        self._settings = settings
        self._ledger = ledger
        self._arguments = celery_arguments
        self._children = [_Child(number) for number in range(1, settings.process_count + 1)]
        self._stop = threading.Event()
        self._exit_code = 0
        self._restarts = 0
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
            while not self._stop.wait(_LOOK_SECONDS):
                for child in self._children:
                    self._look_after(child)
            self._end_all()
        return self._exit_code

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
                Path(folder), self._ledger, self._settings, wanted=len(self._children), restarts=lambda: self._restarts
            )
            page = MetricsPage(collector, self._settings.metrics_host, self._settings.metrics_port)
            page.start()
            yield
            page.stop()

    def _look_after(self, child: _Child) -> None:
        if child.process is None:
            if time.monotonic() >= child.start_at:
                self._start(child)
            return
        code = child.process.poll()
        if code is None:
            return
        if code == EX_CONFIG:
            self._exit_code = EX_CONFIG
            self._stop.set()
            return
        lived = time.monotonic() - child.started
        pause = _FIRST_PAUSE_SECONDS if lived > _HEALTHY_SECONDS else child.pause
        self._restarts += 1
        child.process = None
        child.start_at = time.monotonic() + pause
        child.pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
        event(
            logger,
            "worker_ended",
            level=logging.ERROR,
            worker=child.number,
            exit_code=code,
            lived_seconds=round(lived),
            again_in_seconds=pause,
        )

    def _start(self, child: _Child) -> None:
        name = f"roark-{child.number}-{os.getpid()}@{socket.gethostname()}"
        # -P: a file that lies where the worker is started, http.py say, is none of its modules.
        command = [sys.executable, "-P", "-m", "celery", "--quiet", "-A", "roark_worker.app", "worker", "-n", name]
        command += ["--without-gossip", "--without-mingle", *self._arguments]
        # A session of its own: Ctrl-C in the terminal must reach the children once, from here.
        command = bound_to_this_process(command)
        child.process = subprocess.Popen(command, env=self._environment, start_new_session=True)  # noqa: S603 our own
        child.started = time.monotonic()
        event(logger, "worker_starting", worker=child.number, pid=child.process.pid)

    def _end_all(self) -> None:
        running = [child.process for child in self._children if child.process and child.process.poll() is None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + self._settings.shutdown_seconds + GRACE_SECONDS
        for process in running:
            try:
                process.wait(timeout=max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                event(logger, "worker_killed", level=logging.ERROR, pid=process.pid)
                process.kill()
                process.wait()
