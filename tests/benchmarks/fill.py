"""Makes a contender's backlog by its own means, and prints what that cost in this process: JSON.

python -m benchmarks.fill benchmarks.peers.celery_tasks:enqueue_by_id --count 1000 --pool FILE
"""

import argparse
import json
import sys
import time
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.reports import endless

CHUNK = 256


def fill(where: str, count: int, pool: Path) -> float:
    """Enqueue so many reports; return the CPU seconds that enqueueing took, making the reports left out."""
    module_name, _, name = where.partition(":")
    module = import_module(module_name)
    enqueue = getattr(module, name)
    prepare = getattr(module, name.replace("enqueue", "prepare"), None)
    source = endless(pool)
    spent = 0.0
    left = count
    while left > 0:
        chunk: list[Any] = list(islice(source, min(CHUNK, left)))
        if prepare:
            chunk = [prepare(*each) for each in chunk]
        left -= len(chunk)
        before = time.process_time()
        enqueue(chunk)
        spent += time.process_time() - before
    return spent


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("where")
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--pool", type=Path, required=True)
    told = parser.parse_args()
    seconds = fill(told.where, told.count, told.pool)
    json.dump({"cpu_ms": seconds / told.count * 1000}, sys.stdout)
