"""What it costs to hand reports in from Python: the program that does it, and Valkey.

Everybody hands in as many reports, to a new server each; Valkey's share is read when it has rewritten what its file has
grown by. The first 256 reports are left out of the program's share: with them it starts. One contender of each way is
enough: enqueueing does not know who will work.
"""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.contenders import Contender
from benchmarks.measuring import fill
from benchmarks.servers import valkey


def ways(contenders: Iterable[Contender]) -> list[Contender]:
    """The first contender of each way to enqueue."""
    return list({_way(each.name): each for each in reversed(list(contenders))}.values())[::-1]


def enqueue(contender: Contender, pool: Path, *, count: int) -> dict[str, Any]:
    """Hand in so many reports; CPU in ms per report."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, valkey(Path(folder)) as server:
        empty, before = server.used_memory(), server.group.cpu_seconds()
        program_ms = fill(contender, server, pool, count)
        server.wait_for_rewrite()
        return {
            "name": _way(contender.name),
            "family": contender.family,
            "by_argument": "argument" in contender.fill,
            "program_ms": program_ms,
            "redis_ms": (server.group.cpu_seconds() - before) / count * 1000,
            "redis_bytes": (server.used_memory() - empty) / count,
        }


def _way(name: str) -> str:
    if name.startswith("roark"):
        return "Producer.submit_many"
    return ", ".join(name.split(", ")[:2]) if name.startswith("plain") else name.split(",", maxsplit=1)[0]
