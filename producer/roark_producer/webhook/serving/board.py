"""What the processes of one webhook know of each other: numbers in memory that forked processes share.

    a row for each process     what it counts (`metrics.py`), is it ready, how far is its spool (`spool_news.py`)
    one for all                what the process that hands in the spool asks of the others

A process that is killed loses nothing of it, and the one in its place goes on counting there. To write a number is one
store of eight bytes, and each number has one writer.
"""

import mmap
from array import array
from enum import IntEnum

from roark_producer.disk.shelves import SHELVES

_BYTES = 8


class Cell(IntEnum):
    """A process's own numbers, before what it counts."""

    READY = 0


class SpoolCell(IntEnum):
    """A process's own numbers of each shelf of the spool (`disk/shelves.py`)."""

    KEPT = 0
    """How many requests it began to keep there."""
    SEALED = 1
    """How many of those lie in segments that it does not write any more, or failed."""
    HANDED_IN = 2
    """How many of those are in the ledger: written by the process that hands in."""


class SharedCell(IntEnum):
    """The numbers that there are once for each shelf."""

    ASKED = 0
    """How often the others were asked to seal what they have."""
    LAST_FEW = 1
    """1 while the last few of the spool are handed in, which what comes meanwhile waits for."""


class Board:
    """The numbers of so many processes; made before they are forked."""

    def __init__(self, processes: int, counted: int) -> None:
        self.processes = processes
        self._width = len(Cell) + counted
        self._spool_width = SHELVES * len(SpoolCell)
        shared = SHELVES * len(SharedCell)
        size = shared + processes * (self._width + self._spool_width)
        memory = memoryview(mmap.mmap(-1, size * _BYTES)).cast("d")
        self._shared = memory[:shared]
        self._rows = memory[shared:][: processes * self._width]
        self._spools = memory[shared + processes * self._width :]

    def shared(self, shelf: int = 0) -> "memoryview[float]":
        """Return the numbers that there are once for a shelf."""
        return self._shared[shelf * len(SharedCell) :][: len(SharedCell)]

    def spool_row(self, number: int, shelf: int = 0) -> "memoryview[float]":
        """Return a process's own numbers of a shelf."""
        return self._spools[(number - 1) * self._spool_width + shelf * len(SpoolCell) :][: len(SpoolCell)]

    def spool_column(self, cell: SpoolCell, shelf: int = 0) -> list[float]:
        """Return one number of a shelf, of each process."""
        return list(self._spools[shelf * len(SpoolCell) + cell :: self._spool_width])

    def row(self, number: int) -> "memoryview[float]":
        """Return a process's own numbers; they are numbered from 1."""
        return self._rows[(number - 1) * self._width :][: len(Cell)]

    def counts(self, number: int) -> "memoryview[float]":
        """Return what a process counts."""
        return self._rows[(number - 1) * self._width + len(Cell) :][: self._width - len(Cell)]

    def column(self, cell: Cell) -> list[float]:
        """Return one number of each process."""
        return list(self._rows[cell :: self._width])

    def total(self) -> "array[float]":
        """Return what all processes have counted together."""
        sums = array("d", bytes(_BYTES * (self._width - len(Cell))))
        for number in range(1, self.processes + 1):
            for place, value in enumerate(self.counts(number)):
                sums[place] += value
        return sums
