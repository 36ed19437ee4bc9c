"""Who takes part: how a backlog is made for it, how its worker is started, how fast it is expected to be.

`guess` (reports/s) only sizes the backlog, so that none runs dry within the time that is measured.
"""

import os
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from constants import with_constants

from benchmarks.servers import TESTS

OUR_PYTHON = sys.executable
AS_IT_COMES = "roark-ingest worker, as it comes"
"""With no setting changed: a process for each core."""
Family = Literal["ours", "celery", "queue", "bare"]


@dataclass(frozen=True)
class Contender:
    """One way to get the job done, at one setting."""

    name: str
    family: Family
    fill: str
    command: tuple[str, ...]
    guess: int
    processes: int = 1
    python: str = OUR_PYTHON
    settings: dict[str, str] = field(default_factory=dict)
    quick: bool = True

    def environment(self, redis_url: str, upstream: str) -> dict[str, str]:
        """The environment of its processes."""
        inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return {
            **inherited,
            "PYTHONPATH": with_constants(str(TESTS)),
            "BENCH_REDIS_URL": redis_url,
            "BENCH_UPSTREAM": upstream,
            "ROARK_INGEST_REDIS_URL": redis_url,
            "ROARK_BASE_URL": upstream,
            "ROARK_API_BEARER_TOKEN": "bench-token",
            **self.settings,
        }


SUPERVISOR = ("-m", "roark_ops.cli", "worker")
OUR_WORKER = ("-m", "celery", "--quiet", "-A", "roark_worker.app", "worker", "--without-gossip", "--without-mingle")


def ours(name: str, *, processes: int = 1, quick: bool = True, guess: int = 3000, **settings: str) -> Contender:
    """The product with some of its settings."""
    variables = {f"ROARK_INGEST_{key.upper()}": value for key, value in settings.items()}
    return Contender(
        name, "ours", "benchmarks.ours:enqueue", OUR_WORKER, guess, processes, OUR_PYTHON, variables, quick
    )


def everybody(peers: Path) -> list[Contender]:
    """All contenders; `peers` is the folder in which the peers' virtual environments lie."""
    main, arq = str(peers / "main/bin/python"), str(peers / "arq/bin/python")
    return [
        replace(ours(AS_IT_COMES, metrics_port="0"), command=SUPERVISOR),
        ours("roark-ingest, 1 process"),
        ours("roark-ingest, 1 process, 512 in flight", max_in_flight="512"),
        Contender("bare loop, 512 in flight", "bare", "benchmarks.bare:enqueue", ("-m", "benchmarks.bare"), 3500),
        *_plain_celery(main),
        *_other_queues(main, arq),
    ]


def _plain_celery(python: str) -> list[Contender]:
    def plain(name: str, how: str, pool: str, guess: int, *, quick: bool = False) -> Contender:
        command = ("-m", "celery", "--quiet", "-A", "benchmarks.peers.celery_tasks", "worker", *pool.split())
        fill = f"benchmarks.peers.celery_tasks:enqueue_{how}"
        words = "report as argument" if how == "argument" else "by id"
        return Contender(f"plain Celery, {words}, {name}", "celery", fill, command, guess, 1, python, {}, quick)

    found = []
    for how, quick in (("argument", False), ("by_id", True)):
        found += [
            plain("prefork 2", how, "-P prefork -c 2", 25),
            plain("prefork 8", how, "-P prefork -c 8", 90),
            plain("prefork 32", how, "-P prefork -c 32", 400, quick=quick),
            plain("threads 64", how, "-P threads -c 64", 350, quick=quick),
            plain("gevent 200", how, "-P gevent -c 200", 350),
        ]
    return found


def _other_queues(main: str, arq: str) -> list[Contender]:
    def queue(name: str, module: str, fill: str, command: str, guess: int, python: str = main) -> Contender:
        return Contender(name, "queue", f"benchmarks.peers.{module}:{fill}", tuple(command.split()), guess, 1, python)

    return [
        queue(
            "taskiq, Redis streams, 128 in flight",
            "taskiq_tasks",
            "enqueue",
            "-m taskiq worker --workers 1 --max-async-tasks 128 --max-prefetch 64 --ack-type when_executed "
            "--log-level WARNING benchmarks.peers.taskiq_tasks:broker",
            900,
        ),
        queue(
            "dramatiq, 2 processes of 32 threads",
            "dramatiq_tasks",
            "enqueue",
            "-m dramatiq -p 2 -t 32 --skip-logging benchmarks.peers.dramatiq_tasks",
            600,
        ),
        queue(
            "dramatiq, asyncio, 64 in flight",
            "dramatiq_tasks",
            "enqueue_async",
            "-m dramatiq -p 1 -t 64 --skip-logging benchmarks.peers.dramatiq_tasks",
            600,
        ),
        queue(
            "arq, 512 in flight",
            "arq_tasks",
            "enqueue",
            "-m arq benchmarks.peers.arq_tasks.Worker",
            700,
            arq,
        ),
        queue(
            "rq, 24 simple workers",
            "rq_tasks",
            "enqueue",
            "-m rq.cli worker-pool -q -n 24 -w rq.worker.SimpleWorker -u $BENCH_REDIS_URL",
            300,
        ),
    ]
