"""One run of one contender: a new Valkey and stub, a backlog, the workers, then a window of time that counts.

1. the backlog is made while no worker runs; Valkey rewrites its file then, and not while reports are counted;
2. the workers start; their start and the first reports are left out (`WARM_UP`);
3. from there until the window's end, or until little is left, reports and CPU time are counted: workers, Valkey and
   stub each for itself. Reports come from the stub's count, CPU time from the operating system.

CPU time per report hardly depends on who else uses the machine; reports per second do.
"""

import json
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.contenders import Contender
from benchmarks.processes import Group, wait_until
from benchmarks.servers import Stub, Valkey, stub, valkey

WARM_UP = 0.08
ALMOST_DONE = 0.92


@dataclass(frozen=True)
class Moment:
    """How far everybody is: reports that the stub has taken, CPU seconds of each group."""

    at: float
    taken: int
    worker: float
    redis: float
    stub: float

    @classmethod
    def now(cls, upstream: Stub, server: Valkey, workers: list[Group]) -> "Moment":
        return cls(
            time.monotonic(),
            upstream.taken(),
            sum(worker.cpu_seconds() for worker in workers),
            server.group.cpu_seconds(),
            upstream.group.cpu_seconds(),
        )


@dataclass(frozen=True)
class Upload:
    """What one run of one contender came to. CPU in ms per report."""

    name: str
    family: str
    latency_ms: int
    tls: bool
    backlog: int
    reports: int
    per_second: float
    worker_ms: float
    redis_ms: float
    stub_ms: float
    memory_mb: float
    most_in_flight: int
    redis_bytes_waiting: float
    redis_bytes_delivered: float | None

    @classmethod
    def counted(cls, contender: Contender, spent: Sequence[tuple[Moment, Moment]], **more: Any) -> "Upload":
        """What was counted between pairs of moments, added up."""
        reports = sum(last.taken - first.taken for first, last in spent)

        def each(group: str) -> float:
            seconds: float = sum(getattr(last, group) - getattr(first, group) for first, last in spent)
            return seconds / reports * 1000

        return cls(
            name=contender.name,
            family=contender.family,
            reports=reports,
            per_second=1000 / each("at"),
            worker_ms=each("worker"),
            redis_ms=each("redis"),
            stub_ms=each("stub"),
            **more,
        )

    @property
    def cpu_ms(self) -> float:
        return self.worker_ms + self.redis_ms

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "cpu_ms": self.cpu_ms}


def fill(contender: Contender, server: Valkey, pool: Path, count: int) -> float:
    """Make a backlog; return CPU ms per report of the program that enqueues."""
    done = subprocess.run(
        [contender.python, "-m", "benchmarks.fill", contender.fill, "--count", str(count), "--pool", str(pool)],
        env=contender.environment(server.url, "http://127.0.0.1:1"),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{contender.name} cannot enqueue: {done.stderr[-2000:]}")
    own: float = json.loads(done.stdout)["cpu_ms"]
    return own


def upload(
    contender: Contender,
    pool: Path,
    *,
    latency_ms: int,
    seconds: float,
    backlog: int | None = None,
    to_the_end: bool = False,
    fsync: str = "always",
    tls: bool = False,
) -> Upload:
    """Run one contender once. `to_the_end` waits for the last report and measures Valkey's memory then."""
    count = backlog or max(300, int(contender.guess * seconds * 1.3))
    with tempfile.TemporaryDirectory(prefix="bench-") as name, ExitStack() as stack:
        folder = Path(name)
        server = stack.enter_context(valkey(folder, fsync=fsync))
        upstream = stack.enter_context(stub(folder, latency_ms, tls=tls))
        empty = server.used_memory()
        fill(contender, server, pool, count)
        server.rewrite()
        waiting = server.used_memory() - empty
        workers = start(contender, server, upstream, folder, stack)
        first = _when(upstream, min(count * WARM_UP, 2000), server, workers)
        memory = _until(upstream, count * ALMOST_DONE, seconds, workers)
        last = Moment.now(upstream, server, workers)
        delivered = None
        if to_the_end:
            wait_until(lambda: upstream.taken() >= count, "all reports are delivered", 600, every=0.2)
            time.sleep(1)  # noqa: TID251 the last outcomes are recorded, the history is let go
            delivered = (server.used_memory() - empty) / count
        return Upload.counted(
            contender,
            [(first, last)],
            redis_bytes_delivered=delivered,
            latency_ms=latency_ms,
            tls=tls,
            backlog=count,
            memory_mb=memory / 1e6,
            most_in_flight=upstream.most_in_flight(),
            redis_bytes_waiting=waiting / count,
        )


def start(contender: Contender, server: Valkey, upstream: Stub, folder: Path, stack: ExitStack) -> list[Group]:
    """Start a contender's worker processes."""
    env = contender.environment(server.url, upstream.url) | upstream.environment
    command = [contender.python, *(part.replace("$BENCH_REDIS_URL", server.url) for part in contender.command)]
    return [
        stack.enter_context(
            Group(
                [*command, "-n", f"worker-{number}@bench"] if contender.processes > 1 else command,
                env=env,
                log=folder / f"worker-{number}.log",
                cwd=folder,
            )
        )
        for number in range(contender.processes)
    ]


def _when(upstream: Stub, taken: float, server: Valkey, workers: list[Group]) -> Moment:
    def is_warm() -> bool:
        _must_run(workers)
        return upstream.taken() >= taken

    wait_until(is_warm, "the first reports are uploaded", 60, every=0.05)
    return Moment.now(upstream, server, workers)


def _until(upstream: Stub, taken: float, seconds: float, workers: list[Group]) -> int:
    """Wait for the window's end; return the memory that the workers took meanwhile."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and upstream.taken() < taken:
        time.sleep(0.05)  # noqa: TID251 a deadline is what this waits for
        _must_run(workers)
    return sum(worker.pss_bytes() for worker in workers)


def _must_run(workers: list[Group]) -> None:
    for worker in workers:
        if not worker.is_running():
            raise RuntimeError(f"a worker ended: {worker.log.read_text(errors='replace')[-2000:]}")
