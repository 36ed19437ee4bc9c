"""Enqueues at a steady rate and prints when each report was handed in and when that was answered: JSON.

    python -m benchmarks.drip benchmarks.ours:enqueue_singly --rate 50 --seconds 10 --pool FILE

Times are CLOCK_MONOTONIC's, which the stub uses too.
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


def drip(where: str, rate: float, seconds: float, pool: Path) -> dict[str, tuple[float, float]]:
    """Return for each call id when it was handed in, and when that returned."""
    module_name, _, name = where.partition(":")
    enqueue: Any = getattr(import_module(module_name), name)
    source = endless(pool)
    enqueue(list(islice(source, 1)))
    found = {}
    began = time.monotonic()
    for number, (call_id, report) in enumerate(islice(source, round(rate * seconds))):
        time.sleep(max(0.0, began + number / rate - time.monotonic()))  # noqa: TID251 the rate is what this is about
        before = time.monotonic()
        enqueue([(call_id, report)])
        found[call_id] = (before, time.monotonic())
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("where")
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--pool", type=Path, required=True)
    told = parser.parse_args()
    json.dump(drip(told.where, told.rate, told.seconds, told.pool), sys.stdout)
