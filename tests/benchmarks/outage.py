"""A long outage on the embedded server: what a waiting report takes, accept beside a rewrite of the file, the restart.

    PYTHONPATH=tests .venv/bin/python -m benchmarks.outage --reports 200000

1. So many reports are accepted, as many with each script as --batch says, and wait.
2. One report is accepted every few ms, before a rewrite of the append-only file and during it: how long accept takes.
3. The server ends and starts again, once from a file of commands and once from a rewritten one: how long until it
   answers, and how much of that is CPU.

--set NAME=VALUE gives the server another setting than the embedded one has.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.disk import percentiles
from benchmarks.processes import wait_until
from benchmarks.reports import endless, write_pool
from roark_ledger.ids import CallId
from roark_ledger.ledger import Ledger
from roark_ledger.moves import intake
from roark_ledger.moves.intake import Acceptable
from roark_ledger.packing import pack
from roark_ledger.server.connection import connect
from roark_ops.roles import RedisRole
from roark_ops.up.server.embedded import EmbeddedServer

POOL = 512
QUIET_SECONDS = 20
PATIENCE_SECONDS = 1800


class Embedded:
    """The embedded server as `up` starts it, with its process at hand."""

    def __init__(self, data_dir: Path, changed: dict[str, str]) -> None:
        self._server = EmbeddedServer(data_dir, for_sandbox=False)
        self._changed = changed
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Return after how many seconds it answers."""
        command = asyncio.run(self._server.command())
        command += [part for name, value in self._changed.items() for part in (f"--{name}", value)]
        began = time.monotonic()
        self._process = subprocess.Popen(
            command, env=self._server.environment(os.environ), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until(self.answers, "the server answers", PATIENCE_SECONDS, every=0.02)
        return time.monotonic() - began

    def answers(self) -> bool:
        try:
            with connect(self.url) as client:
                return bool(client.ping())
        except Exception:  # noqa: BLE001 whatever it is, it does not answer yet
            return False

    @property
    def url(self) -> str:
        return self._server.url(RedisRole.OPERATOR)

    def cpu(self) -> tuple[float, float]:
        """The CPU seconds of the server, and of the children that it had: its rewrites."""
        assert self._process
        ticks = Path(f"/proc/{self._process.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:15]
        mine, mine_in_kernel, theirs, theirs_in_kernel = (int(each) / os.sysconf("SC_CLK_TCK") for each in ticks)
        return mine + mine_in_kernel, theirs + theirs_in_kernel

    def file_bytes(self) -> int:
        return sum(file.stat().st_size for file in (self._server.files / "appendonlydir").iterdir())

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait()


def made(packed: list[bytes]) -> Iterator[Acceptable]:
    """Yield reports without end, each of a call of its own."""
    ends_ms = int(time.time() * 1000) + 86_400_000
    number = 0
    while True:
        yield Acceptable(CallId(f"0193b2c4-6f1d-7c3e-9a55-{number:012d}"), "p" * 22, packed[number % POOL], ends_ms)
        number += 1


def accept(ledger: Ledger, reports: list[Acceptable]) -> None:
    ledger.run(intake.accept(reports, revisions="record", per_wakeup=64))


def latencies(ledger: Ledger, reports: Iterator[Acceptable], every: float, goes_on: Callable[[], bool]) -> list[float]:
    """Accept a report every so many seconds for as long as it goes on; return how long each took, in ms."""
    found, due, pause = [], time.monotonic(), threading.Event()
    while goes_on():
        due += every
        pause.wait(max(0.0, due - time.monotonic()))
        began = time.monotonic()
        accept(ledger, [next(reports)])
        found.append(1000 * (time.monotonic() - began))
    return found


def measure(
    folder: Path, *, count: int, batch: int, every: float, changed: dict[str, str], restart: bool = True
) -> dict[str, Any]:
    """Return the figures."""
    write_pool(folder / "pool", count=POOL)
    pool = endless(folder / "pool")
    reports = made([pack(next(pool)[1]) for _ in range(POOL)])
    server = Embedded(folder / "data", {**changed, "auto-aof-rewrite-percentage": "0"})
    server.start()
    try:
        client = connect(server.url)
        ledger = Ledger(client)
        empty = _memory(client)
        for _ in range(0, count, batch):
            accept(ledger, [next(reports) for _ in range(batch)])
        full, file_bytes = _memory(client), server.file_bytes()
        until = time.monotonic() + QUIET_SECONDS
        quiet = latencies(ledger, reports, every, lambda: time.monotonic() < until)
        before, began = server.cpu()[1], time.monotonic()
        client.bgrewriteaof()
        busy = latencies(ledger, reports, every, lambda: _rewrites(client))
        rewrite_seconds = time.monotonic() - began
        rewrite_cpu = server.cpu()[1] - before
        client.close()
        found = {
            "reports": count,
            "batch": batch,
            "packed_bytes": round(statistics.mean(len(next(reports).packed) for _ in range(POOL))),
            "memory_bytes_each": round((full[0] - empty[0]) / count),
            "resident_bytes_each": round((full[1] - empty[1]) / count),
            "file_bytes_each": round(file_bytes / count),
            "accept_ms": percentiles(quiet),
            "accept_ms_during_rewrite": percentiles(busy),
            "rewrite_seconds": round(rewrite_seconds, 1),
            "rewrite_cpu_seconds": round(rewrite_cpu, 2),
            "rewritten_bytes_each": round(server.file_bytes() / count),
        }
        if restart:
            found["restart_from_rewritten"] = _restart(server, count)
        return found
    finally:
        server.stop()


def measure_commands(folder: Path, *, count: int, batch: int, changed: dict[str, str]) -> dict[str, Any]:
    """Return how long a start takes from a file that was never rewritten."""
    pool = endless(folder / "pool")
    reports = made([pack(next(pool)[1]) for _ in range(POOL)])
    # Filling is not measured here, so that it need not wait for the disk.
    quick = {**changed, "auto-aof-rewrite-percentage": "0", "appendfsync": "no"}
    server = Embedded(folder / "commands", quick)
    server.start()
    try:
        with connect(server.url) as client:
            ledger = Ledger(client)
            for _ in range(0, count, batch):
                accept(ledger, [next(reports) for _ in range(batch)])
        return {"restart_from_commands": _restart(server, count)}
    finally:
        server.stop()


def _restart(server: Embedded, count: int) -> dict[str, float]:
    server.stop()
    seconds = server.start()
    cpu = server.cpu()[0]
    return {"seconds": round(seconds, 1), "cpu_seconds": round(cpu, 2), "cpu_us_each": round(1e6 * cpu / count, 1)}


def _memory(client: Any) -> tuple[int, int]:
    found = client.info("memory")
    return int(found["used_memory"]), int(found["used_memory_rss"])


def _rewrites(client: Any) -> bool:
    found = client.info("persistence")
    return bool(found["aof_rewrite_in_progress"] or found["aof_rewrite_scheduled"])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reports", type=int, default=200_000)
    parser.add_argument("--batch", type=int, default=8, help="reports in one script, as a busy webhook has them")
    parser.add_argument("--every", type=float, default=0.01, help="seconds between two accepts that are timed")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--no-commands", action="store_true", help="leave out the start from a file of commands")
    wanted = parser.parse_args()
    changed = dict(one.split("=", 1) for one in wanted.set)
    with tempfile.TemporaryDirectory(prefix="roark-") as name:
        folder = Path(name)
        found = measure(folder, count=wanted.reports, batch=wanted.batch, every=wanted.every, changed=changed)
        if not wanted.no_commands:
            found |= measure_commands(folder, count=wanted.reports, batch=wanted.batch, changed=changed)
    json.dump(found, sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
