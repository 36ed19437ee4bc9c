"""A ledger of sixteen partitions on a cluster of three primaries: a million reports, handed in while they go out.

1. two programs hand in reports of 3 kB, two worker processes upload them meanwhile, until the last is delivered;
2. CPU time is counted from the start to the end, of each kind of process by itself: so it has starts in it;
3. the ledger and the upstream are asked what became of them: all delivered, each taken once.

All run on one machine, so what counts is CPU per report; reports per second are those of its cores, not of a cluster.
"""

import json
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from clusters import Nodes, cluster

from benchmarks.contenders import Contender, ours
from benchmarks.measuring import start
from benchmarks.processes import Group, cpu_seconds_of, wait_until
from benchmarks.reports import write_pool_of
from benchmarks.servers import stub, valkey
from roark_ledger.lifecycle import State
from roark_ledger.moves import watch
from roark_ledger.partitions.ledger import PartedLedger
from roark_ledger.partitions.opening import open_ledger

PARTITIONS, PROGRAMS, WORKERS = 16, 2, 2
_SIZE = 3_000
_MOST_SECONDS = 3_600


def through(count: int) -> dict[str, Any]:
    """Hand in and deliver so many; CPU in ms per report."""
    with tempfile.TemporaryDirectory(prefix="bench-") as place, ExitStack() as stack:
        folder = Path(place)
        write_pool_of(folder / "pool.tsv", _SIZE)
        nodes = stack.enter_context(cluster())
        broker = stack.enter_context(valkey(folder))
        upstream = stack.enter_context(stub(folder, 100))
        settings = {"redis_url": nodes.url, "broker_url": broker.url, "metrics_port": "0"}
        us = replace(ours(f"{count:,} reports", processes=WORKERS, **settings), fill="benchmarks.ours:enqueue")
        ledger = open_ledger(nodes.url, "roark")
        ledger.home.run(watch.keep_partitions(PARTITIONS))

        begun = time.monotonic()
        workers = start(us, broker, upstream, folder, stack)
        programs = [
            stack.enter_context(_program(us, nodes, count // PROGRAMS, folder, each)) for each in range(PROGRAMS)
        ]
        most_waiting = _watch_until_all_are_delivered(ledger, count, [*workers, *programs])
        seconds = time.monotonic() - begun

        found = ledger.run(watch.snapshot())
        if not (found.balanced and found.states[State.DELIVERED] == count == upstream.taken()):
            raise RuntimeError(f"{count} were handed in, {upstream.taken()} arrived: {found.states}")
        shares = [part.run(watch.snapshot()).states[State.DELIVERED] / count for part in ledger.parts[:-1]]
        spent = {
            "program_ms": sum(json.loads(each.log.read_text())["cpu_ms"] for each in programs) / PROGRAMS,
            "worker_ms": _ms(sum(each.cpu_seconds() for each in workers), count),
            "redis_ms": _ms(sum(map(cpu_seconds_of, nodes.pids)), count),
            "broker_ms": _ms(broker.group.cpu_seconds(), count),
        }
        return {
            "name": us.name,
            "reports": count,
            "seconds": seconds,
            "per_second": count / seconds,
            **spent,
            "most_waiting": most_waiting,
            "least_share": min(shares),
            "largest_share": max(shares),
        }


def _program(us: Contender, nodes: Nodes, count: int, folder: Path, number: int) -> Group:
    command = [us.python, "-m", "benchmarks.fill", us.fill, "--count", str(count), "--pool", str(folder / "pool.tsv")]
    env = us.environment(nodes.url, "http://127.0.0.1:1") | {"ROARK_INGEST_DATA_DIR": str(folder)}
    return Group(command, env=env, log=folder / f"program-{number}.log")


def _watch_until_all_are_delivered(ledger: PartedLedger, count: int, groups: list[Group]) -> int:
    """Return how many reports waited at most, as seen once a second."""
    most = 0

    def are_delivered() -> bool:
        nonlocal most
        states = ledger.run(watch.snapshot()).states
        most = max(most, states[State.READY])
        for group in groups:
            if "Traceback" in (said := group.log.read_text(errors="replace")[-4000:]):
                raise RuntimeError(said)
        return states[State.DELIVERED] >= count

    wait_until(are_delivered, "all reports are delivered", _MOST_SECONDS, every=1)
    return most


def _ms(seconds: float, count: int) -> float:
    return seconds / count * 1000
