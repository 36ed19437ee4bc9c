"""Reports of one size, from 1 kB to 25 MB, taken in by the webhook and then delivered by the worker, both as they come.

1. wrk posts to the webhook, over as many connections as such reports come: its answers are durable;
2. what was accepted is the backlog that the worker uploads over TLS; its start and the first reports are left out.

Memory is the peak (RSS) of all processes of each. A script is timed by the clock: on a machine that others use,
what they took is in there.
"""

import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.contenders import AS_IT_COMES, Contender, everybody
from benchmarks.ingest import COMMAND, Endpoint, post, running
from benchmarks.measuring import ALMOST_DONE, WARM_UP, Moment, start
from benchmarks.processes import Group, wait_until
from benchmarks.reports import write_pool_of
from benchmarks.servers import Stub, Valkey, stub, valkey
from roark_ledger.ledger import Ledger

SIZES = {
    "1 kB": 1_000,
    "11 kB": 11_000,
    "62 kB": 62_000,
    "250 kB": 250_000,
    "1 MB": 1_000_000,
    "5 MB": 5_000_000,
    "25 MB": 24_000_000,
}
QUICK = ("1 kB", "62 kB", "5 MB", "25 MB")
WEBHOOK = Endpoint("webhook", ("-c", COMMAND, "webhook", "--port", "$PORT"))
_BYTES_UNDER_WAY = 40_000_000
_LARGE, _LARGE_SECONDS = 2_000_000, 10


def through(name: str, peers: Path, *, seconds: float) -> dict[str, Any]:
    """Take reports of that size through webhook and worker; CPU in ms per report."""
    with tempfile.TemporaryDirectory(prefix="bench-") as place, ExitStack() as stack:
        folder = Path(place)
        pool = folder / "pool.tsv"
        sizes = write_pool_of(pool, SIZES[name])
        size = sum(sizes) / len(sizes)
        server = stack.enter_context(valkey(folder))
        server.watch_scripts()
        taken_in = _taken_in(server, pool, folder, size, seconds)
        slowest_accept = server.slowest_script()
        server.rewrite()
        server.watch_scripts()
        upstream = stack.enter_context(stub(folder, 100, tls=True))
        worker = next(each for each in everybody(peers) if each.name == AS_IT_COMES)
        delivered = _delivered(replace(worker, name=name), server, upstream, folder, _in_ledger(server), size)
        slowest_ms, slowest = max(slowest_accept, server.slowest_script())
    return {"name": name, "bytes": size, **taken_in, **delivered, "slowest_ms": slowest_ms, "slowest": slowest}


def _taken_in(server: Valkey, pool: Path, folder: Path, size: float, seconds: float) -> dict[str, Any]:
    connections = max(2, min(32, round(_BYTES_UNDER_WAY / size)))
    with running(WEBHOOK, server, folder) as (web, url):
        post(url, pool, 1, connections)
        before = web.cpu_seconds(), server.group.cpu_seconds()
        # Of large ones fewer come: what is under way when the time is up should not weigh much.
        found = post(url, pool, max(seconds, _LARGE_SECONDS if size > _LARGE else 0), connections)
        spent = [
            after - ahead for ahead, after in zip(before, (web.cpu_seconds(), server.group.cpu_seconds()), strict=True)
        ]
        peak = web.peak_bytes()
        accepted = found["requests"] - found["failed"]
        if not accepted:
            raise RuntimeError(f"the webhook took none: {web.log.read_text(errors='replace')[-2000:]}")
        # What it had to spool, because Redis was slow, it hands in.
        wait_until(lambda: _in_ledger(server) >= accepted, "all that was accepted is in the ledger", 60)
    return {
        "accepted": accepted,
        "failed": found["failed"],
        "accepted_per_second": accepted / found["seconds"],
        "web_ms": spent[0] / accepted * 1000,
        "accept_redis_ms": spent[1] / accepted * 1000,
        "web_peak_mb": peak / 1e6,
    }


def _in_ledger(server: Valkey) -> int:
    ledger = Ledger(server.client)
    return ledger.hash_size(ledger.calls.keys.records)


def _delivered(
    worker: Contender, server: Valkey, upstream: Stub, folder: Path, count: int, size: float
) -> dict[str, Any]:
    with ExitStack() as stack:
        workers = start(worker, server, upstream, folder, stack)
        first = _at(count * WARM_UP, upstream, server, workers)
        last = _at(count * ALMOST_DONE, upstream, server, workers)
        peak = sum(each.peak_bytes() for each in workers)
    reports = last.taken - first.taken
    per_second = reports / (last.at - first.at)
    return {
        "delivered": reports,
        "delivered_per_second": per_second,
        "mb_per_second": per_second * size / 1e6,
        "worker_ms": (last.worker - first.worker) / reports * 1000,
        "redis_ms": (last.redis - first.redis) / reports * 1000,
        "stub_ms": (last.stub - first.stub) / reports * 1000,
        "worker_peak_mb": peak / 1e6,
    }


def _at(taken: float, upstream: Stub, server: Valkey, workers: list[Group]) -> Moment:
    wait_until(lambda: upstream.taken() >= taken, f"{taken:.0f} reports are uploaded", 300, every=0.02)
    return Moment.now(upstream, server, workers)
