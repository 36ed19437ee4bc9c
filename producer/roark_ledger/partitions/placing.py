"""Which partition a call is in, and under which prefix a partition's keys lie. Pure; neither may ever change.

partition   xxh3_64 of the call's id, modulo how many there are
prefix      `{home:K}`, with a number behind K that puts the partition's slot into the K-th of P equal ranges, so that
            nodes that have equal ranges of slots have equally many partitions
"""

from functools import cache
from itertools import count

import xxhash

from roark_ledger.server.cluster import slot_of

SLOTS = 16384
MOST_PARTITIONS = 256
PARTITIONS = "partitions"
"""The field of the home's KEY.promises that says how many there are; without it the home is all there is."""
MOVING = "moving"
"""The field that says so while calls of a ledger of one partition are still being moved into them."""


def partition_of(call_id: str, partitions: int) -> int:
    """Return the number of a call's partition, from 0."""
    return xxhash.xxh3_64_intdigest(call_id.encode("utf-8", "surrogatepass")) % partitions


@cache
def prefixes(home: str, partitions: int) -> tuple[str, ...]:
    """Return the prefixes of the partitions of a ledger whose home has this prefix."""
    return tuple(_prefix(home, partition, partitions) for partition in range(partitions))


def _prefix(home: str, partition: int, partitions: int) -> str:
    first, last = partition * SLOTS // partitions, (partition + 1) * SLOTS // partitions
    names = (f"{home}:{partition}.{number}" for number in count())
    return next(name for name in names if first <= slot_of(name) < last)
