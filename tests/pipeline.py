"""A pipeline of real processes, for the tests that end some of them: Valkey, the sandbox, Celery workers.

    with Pipeline() as line:
        roark = line.start_sandbox("--fail", "503:0.3")
        worker = line.start_worker()
        line.submit(bodies)
        line.wait_until_settled()

Each part is a process of its own with its own log. At the end of the block all are ended by force. What went
wrong in a test is told by the logs, which `wait_until` and `Pipeline` print when a deadline passes.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from constants import with_constants
from servers import Server

from roark_ledger.ledger import Ledger
from roark_ledger.lifecycle import State
from roark_ledger.moves import watch
from roark_ledger.records.record import Entry
from roark_ledger.records.snapshot import Snapshot
from roark_ledger.server.connection import connect
from roark_producer.producer import Producer
from roark_producer.settings import IngestSettings
from roark_producer.taking import Receipt

DEADLINE_SECONDS = 60.0
TOKEN = "test-token-0123456789"

CELERY_WORKER = ("-m", "celery", "--quiet", "-A", "roark_worker.app", "worker", "--without-gossip", "--without-mingle")
SUPERVISOR = ("-m", "roark_ops.cli", "worker")

# What production leaves to minutes takes tenths of a second here.
QUICK = {
    "ROARK_INGEST_FIRST_DELAY_SECONDS": "0.2",
    "ROARK_INGEST_MAX_DELAY_SECONDS": "1",
    "ROARK_INGEST_TICK_SECONDS": "0.2",
    "ROARK_INGEST_LEASE_SECONDS": "3",
    "ROARK_INGEST_PROBE_MAX_SECONDS": "1",
    "ROARK_INGEST_BREAKER_SECONDS": "0.5",
    "ROARK_INGEST_BREAKER_MAX_SECONDS": "1",
    "ROARK_INGEST_SHUTDOWN_SECONDS": "10",
    "ROARK_INGEST_METRICS_PORT": "0",
    "ROARK_INGEST_WEBHOOK_METRICS_PORT": "0",
}


class NeverCame(AssertionError):
    """What was waited for did not come before the deadline."""


def wait_until(condition: Callable[[], object], what: str, seconds: float = DEADLINE_SECONDS) -> float:
    """Wait until `condition` is true; return how many seconds that took.

    Raises NeverCame, which says `what` was waited for.
    """
    started = time.monotonic()
    pause = threading.Event()
    while not condition():
        waited = time.monotonic() - started
        if waited > seconds:
            raise NeverCame(f"after {waited:.1f} s still not: {what}")
        pause.wait(0.02)
    return time.monotonic() - started


class Process:
    """A process under test. Whatever it says goes to its log."""

    def __init__(self, name: str, arguments: Iterable[str], environment: dict[str, str], folder: Path) -> None:
        self.name = name
        self.log_path = folder / f"{name}.log"
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *arguments],
                env=environment,
                cwd=folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    def wait_for_line(self, text: str, seconds: float = DEADLINE_SECONDS) -> None:
        """Return when the log has `text` in it; fail at once when the process ends without it."""

        def said() -> bool:
            return text in self.log or not self.runs

        wait_until(said, f"{self.name} says {text!r}; it says:\n{self.log}", seconds)
        assert text in self.log, f"{self.name} ended with {self._process.returncode}; it says:\n{self.log}"

    def terminate(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a crash does."""
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def exit_code(self, seconds: float = DEADLINE_SECONDS) -> int:
        """Wait for the end and return the exit code."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise NeverCame(f"{self.name} runs still after {seconds} s; it says:\n{self.log}") from None

    def end(self) -> None:
        """End it and whatever it has started."""
        children = children_of(self.pid)
        if self.runs:
            self._process.kill()
        for child in children:
            kill(child)
        self._process.wait()


class Sandbox:
    """The sandbox process's own routes."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = httpx.Client(base_url=url, timeout=30, trust_env=False)

    def calls(self) -> dict[str, dict[str, Any]]:
        """What was received, by call id."""
        calls: dict[str, dict[str, Any]] = self._client.get("/_sandbox/calls").json()["calls"]
        return calls

    def stats(self) -> dict[str, Any]:
        stats: dict[str, Any] = self._client.get("/_sandbox/stats").json()
        return stats

    def behave(self, **change: object) -> None:
        """Change faults, scenario or latency from the next request on."""
        self._client.put("/_sandbox/faults", json=change).raise_for_status()

    def forget(self) -> None:
        """Count calls and requests anew."""
        self._client.post("/_sandbox/reset").raise_for_status()

    def close(self) -> None:
        self._client.close()


class Pipeline:
    """A ledger on a server of its own, and the processes around it."""

    def __init__(self, **environment: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="roark-")
        self.folder = Path(self._folder.name)
        self.valkey = Server(self.folder)
        self.valkey.start()
        self.environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": with_constants(),
            "PYTHONWARNINGS": "error",
            "ROARK_INGEST_REDIS_URL": self.valkey.url,
            "ROARK_API_BEARER_TOKEN": TOKEN,
            **QUICK,
            **environment,
        }
        self.ledger = Ledger(connect(self.valkey.url))
        settings = IngestSettings(_env_file=None, redis_url=self.valkey.url)
        self.producer = Producer.from_settings(settings)
        self.processes: list[Process] = []
        self._sandboxes: list[Sandbox] = []

    def start(self, name: str, *arguments: str, **environment: str) -> Process:
        """Start a Python process; a keyword is a variable of its environment, an empty one takes it away."""
        merged = {name: value for name, value in {**self.environment, **environment}.items() if value}
        process = Process(f"{name}-{len(self.processes)}", arguments, merged, self.folder)
        self.processes.append(process)
        return process

    def start_sandbox(self, *options: str) -> Sandbox:
        """Start a sandbox, to which workers started from here on upload; return when it listens."""
        process = self.start("sandbox", "-m", "roark_sandbox", "--port", "0", *options)
        process.wait_for_line("listening on")
        sandbox = Sandbox(process.log.split("listening on ")[1].split()[0])
        self.environment["ROARK_BASE_URL"] = sandbox.url
        self._sandboxes.append(sandbox)
        return sandbox

    def start_worker(self, **environment: str) -> Process:
        """Start one worker process, as the supervisor does; return when it is ready."""
        worker = self.start("worker", *CELERY_WORKER, "-n", f"worker-{len(self.processes)}@test", **environment)
        worker.wait_for_line("worker_started")
        return worker

    def start_supervisor(self, processes: int, **environment: str) -> Process:
        """Start the supervisor with so many workers; return when all are ready."""
        supervisor = self.start("supervisor", *SUPERVISOR, "--processes", str(processes), **environment)

        def all_started() -> bool:
            return supervisor.log.count("worker_started") >= processes or not supervisor.runs

        wait_until(all_started, f"{processes} workers started; the log:\n{supervisor.log}")
        return supervisor

    def submit(self, bodies: Iterable[bytes]) -> list[Receipt]:
        """Hand reports in."""
        return self.producer.submit_many(bodies)

    def snapshot(self) -> Snapshot:
        return self.ledger.run(watch.snapshot())

    def look(self, call_id: str) -> Entry:
        entry = self.ledger.run(watch.look(call_id))
        assert entry, f"the ledger does not know {call_id}"
        return entry

    def count(self, state: State) -> int:
        return self.snapshot().states[state]

    def wait_for(self, state: State, number: int, seconds: float = DEADLINE_SECONDS) -> float:
        """Wait until so many reports, or more, are in this state; return how many seconds that took."""
        return self._wait_until(lambda: self.count(state) >= number, f"{number} {state}", seconds)

    def wait_until_settled(self, seconds: float = DEADLINE_SECONDS) -> float:
        """Wait until nothing is ready, uploading or waiting; return how many seconds that took."""

        def settled() -> bool:
            states = self.snapshot().states
            return not any(states[state] for state in (State.READY, State.UPLOADING, State.WAITING))

        return self._wait_until(settled, "everything is settled", seconds)

    def _wait_until(self, condition: Callable[[], object], what: str, seconds: float) -> float:
        try:
            return wait_until(condition, what, seconds)
        except NeverCame as error:
            raise NeverCame(f"{error}\n{self.snapshot()}\n{self._last_words()}") from None

    def _last_words(self) -> str:
        return "\n".join(f"--- {process.name}\n{process.log[-3000:]}" for process in self.processes)

    def close(self) -> None:
        """End all processes by force."""
        for process in self.processes:
            process.end()
        for sandbox in self._sandboxes:
            sandbox.close()
        self.producer.close()
        self.ledger.close()
        self.valkey.stop()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def free_port() -> int:
    """Return a TCP port that nobody listened on just now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def children_of(pid: int) -> list[int]:
    """Return the processes that `pid` has started and that still run."""
    found = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in found.read_text().split()] if found.exists() else []


def kill(pid: int) -> None:
    """End a process as a crash does; nothing happens where it has ended already."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
