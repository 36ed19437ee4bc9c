"""Makes a contender's backlog by its own means, and prints what that cost in this process: JSON.

The first reports are left out, where there are more: with them it reads its settings, connects, loads its scripts.

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
    """Enqueue so many reports; return the CPU seconds that enqueueing one took, making the reports left out."""
    module_name, _, name = where.partition(":")
    module = import_module(module_name)
    enqueue = getattr(module, name)
    prepare = getattr(module, name.replace("enqueue", "prepare"), None)
    source = endless(pool)
    left_out = CHUNK if count > CHUNK else 0
    spent, done = 0.0, 0
    while done < count:
        chunk: list[Any] = list(islice(source, min(CHUNK, count - done)))
        if prepare:
            chunk = [prepare(*each) for each in chunk]
        before = time.process_time()
        enqueue(chunk)
        if done >= left_out:
            spent += time.process_time() - before
        done += len(chunk)
    return spent / (count - left_out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("where")
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--pool", type=Path, required=True)
    told = parser.parse_args()
    seconds = fill(told.where, told.count, told.pool)
    json.dump({"cpu_ms": seconds * 1000}, sys.stdout)
