"""How the product's own reports are enqueued for the benchmarks."""

import os
from collections.abc import Sequence
from contextlib import closing
from functools import cache

from roark_ledger.ledger import Ledger
from roark_ledger.moves.watch import keep_partitions
from roark_ledger.server.connection import connect
from roark_producer.producer import Producer
from roark_producer.settings import IngestSettings


@cache
def producer() -> Producer:
    return Producer.from_settings(IngestSettings(_env_file=None, redis_url=os.environ["BENCH_REDIS_URL"]))


def enqueue(reports: Sequence[tuple[str, bytes]]) -> None:
    """As a program does that has many."""
    producer().submit_many(report for _, report in reports)


def enqueue_over_4(reports: Sequence[tuple[str, bytes]]) -> None:
    """Into a ledger of 4 partitions."""
    _split(4)
    enqueue(reports)


def enqueue_over_16(reports: Sequence[tuple[str, bytes]]) -> None:
    """Into a ledger of 16 partitions."""
    _split(16)
    enqueue(reports)


def _split(partitions: int) -> None:
    with closing(connect(os.environ["BENCH_REDIS_URL"])) as client:
        Ledger(client).run(keep_partitions(partitions))


def enqueue_singly(reports: Sequence[tuple[str, bytes]]) -> None:
    """As a program does that gets them one at a time."""
    for _, report in reports:
        producer().submit(report)
