"""How the product's own reports are enqueued for the benchmarks."""

import os
from collections.abc import Sequence
from functools import cache

from roark_producer.producer import Producer
from roark_producer.settings import IngestSettings


@cache
def producer() -> Producer:
    return Producer.from_settings(IngestSettings(_env_file=None, redis_url=os.environ["BENCH_REDIS_URL"]))


def enqueue(reports: Sequence[tuple[str, bytes]]) -> None:
    """As a program does that has many."""
    producer().submit_many(report for _, report in reports)


def enqueue_singly(reports: Sequence[tuple[str, bytes]]) -> None:
    """As a program does that gets them one at a time."""
    for _, report in reports:
        producer().submit(report)
