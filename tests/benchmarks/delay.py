"""How long a report waits at light load: from being handed in, and from being accepted, to its first byte upstream."""

import json
import statistics
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.contenders import Contender
from benchmarks.measuring import start
from benchmarks.processes import wait_until
from benchmarks.servers import stub, valkey


def delay(contender: Contender, how: str, pool: Path, *, seconds: float, rate: float = 50) -> dict[str, Any]:
    """Return percentiles in ms; `how` enqueues one report."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name, ExitStack() as stack:
        folder = Path(name)
        server = stack.enter_context(valkey(folder))
        upstream = stack.enter_context(stub(folder, 100, record=True))
        start(contender, server, upstream, folder, stack)
        handed_in = _dripped(contender, how, pool, server.url, rate, seconds=1)
        wait_until(lambda: upstream.taken() > len(handed_in), "the worker works", 60)
        handed_in = _dripped(contender, how, pool, server.url, rate, seconds=seconds)
        wait_until(lambda: handed_in.keys() <= upstream.arrivals().keys(), "all reports are uploaded", 60, every=0.5)
        arrived = upstream.arrivals()
    from_call = [arrived[call_id] - began for call_id, (began, _) in handed_in.items()]
    from_accept = [max(0.0, arrived[call_id] - accepted) for call_id, (_, accepted) in handed_in.items()]
    return {
        "name": contender.name,
        "reports": len(handed_in),
        "from_call_ms": percentiles(from_call),
        "from_accept_ms": percentiles(from_accept),
    }


def percentiles(seconds: list[float]) -> dict[str, float]:
    """Return p50, p99 and the largest in ms."""
    cuts = statistics.quantiles(seconds, n=100)
    return {"p50": cuts[49] * 1000, "p99": cuts[98] * 1000, "max": max(seconds) * 1000}


def _dripped(
    contender: Contender, how: str, pool: Path, url: str, rate: float, *, seconds: float
) -> dict[str, tuple[float, float]]:
    command = [contender.python, "-m", "benchmarks.drip", how, "--rate", str(rate), "--seconds", str(seconds)]
    done = subprocess.run(
        [*command, "--pool", str(pool)],
        env=contender.environment(url, "http://127.0.0.1:1"),
        capture_output=True,
        check=True,
    )
    found: dict[str, tuple[float, float]] = json.loads(done.stdout)
    return found
