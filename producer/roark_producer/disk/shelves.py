"""The shelves of a spool: reports that may have to wait for each other lie on one, and for no other's.

    0        all reports, where the ledger has one partition, or it is not known yet how many it has
    1        what goes to the home of a ledger of several partitions: what cannot be used as a report
    2 …      the reports of each partition: as long as its node is away they wait, and others pass

A segment says on which shelf it lies by the end of its name, `…-SHELF.spool`; without one it is 0. Nothing depends on
that but who waits for whom: what is handed in finds its partition by its call.
"""

from pathlib import Path

from roark_ledger.partitions.placing import MOST_PARTITIONS

ANY = 0
OF_THE_HOME = 1
_FIRST = 2
SHELVES = _FIRST + MOST_PARTITIONS
_PARTS_WITH_A_SHELF = 4


def shelf_of_partition(number: int) -> int:
    """Return the shelf of a partition."""
    return _FIRST + number


def shelf_of(path: Path) -> int:
    """Return the shelf that a segment lies on."""
    parts = path.stem.split("-")
    if len(parts) != _PARTS_WITH_A_SHELF or not parts[-1].isdecimal():
        return ANY
    return min(int(parts[-1]), SHELVES - 1)


def ending_of(shelf: int) -> str:
    """Return how the names of its segments end, before the suffix."""
    return f"-{shelf}" if shelf else ""
