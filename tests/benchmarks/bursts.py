"""One backlog after the other for the same workers: what a report of a small one costs, from its claim to its record.

A window of time that begins and ends while uploads are in flight leaves out the first ones' claims and the last ones'
records. Of a large backlog that is next to nothing; of a thousand reports with 256 in flight it is a quarter.

1. the workers deliver a first backlog, which is left out: with it they start and make their connections;
2. they are stopped (SIGSTOP) while the next backlog is made, and go on (SIGCONT);
3. CPU time is counted from there until the last outcome is recorded, and added up over all backlogs but the first.
"""

import signal
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks.contenders import Contender
from benchmarks.measuring import Moment, Upload, fill, start
from benchmarks.processes import Group, wait_until
from benchmarks.servers import Stub, Valkey, stub, valkey
from roark_ledger.keys import DEFAULT_PREFIX, Keys

_UPLOADING = Keys.under(DEFAULT_PREFIX).uploading


def bursts(contender: Contender, pool: Path, *, latency_ms: int, backlog: int, times: int) -> Upload:
    """Run the product on so many backlogs of `backlog` reports each, and on one more before them."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name, ExitStack() as stack:
        folder = Path(name)
        server = stack.enter_context(valkey(folder))
        upstream = stack.enter_context(stub(folder, latency_ms))
        empty = server.used_memory()
        fill(contender, server, pool, backlog)
        waiting = server.used_memory() - empty
        workers = start(contender, server, upstream, folder, stack)
        _delivered(backlog, server, upstream)
        delivered = server.used_memory() - empty
        spent = [
            _one(contender, server, upstream, workers, pool, done=backlog * turn, backlog=backlog)
            for turn in range(1, times + 1)
        ]
        return Upload.counted(
            contender,
            spent,
            latency_ms=latency_ms,
            tls=False,
            backlog=backlog,
            memory_mb=sum(worker.pss_bytes() for worker in workers) / 1e6,
            most_in_flight=upstream.most_in_flight(),
            redis_bytes_waiting=waiting / backlog,
            redis_bytes_delivered=delivered / backlog,
        )


def _one(
    contender: Contender,
    server: Valkey,
    upstream: Stub,
    workers: list[Group],
    pool: Path,
    *,
    done: int,
    backlog: int,
) -> tuple[Moment, Moment]:
    for worker in workers:
        worker.send(signal.SIGSTOP)
    fill(contender, server, pool, backlog)
    server.rewrite()
    first = Moment.now(upstream, server, workers)
    for worker in workers:
        worker.send(signal.SIGCONT)
    _delivered(done + backlog, server, upstream)
    return first, Moment.now(upstream, server, workers)


def _delivered(count: int, server: Valkey, upstream: Stub) -> None:
    wait_until(lambda: upstream.taken() >= count, "all reports are uploaded", 60)
    wait_until(lambda: server.client.zcard(_UPLOADING) == 0, "all outcomes are recorded", 10)
