"""Numbers that the worker processes of one machine count together: each in a file of its own, which it maps.

    FOLDER/LAYOUT-NUMBER.cells     one process's numbers (float64); locked (flock) while the process lives

1. A process takes the first file that nobody holds, and goes on counting where a dead one stopped. So the sum over all
   files never falls, and `kill -9` costs nothing that was counted.
2. Whoever shows the numbers adds up all files. What stands for a state, not for a count (the gauges, at the end), is
   taken from living processes only.
3. LAYOUT is a digest of what the cells mean: a process of another version counts in files of its own.

To count is to add to a float in memory, some 50 ns; the kernel keeps the files up to date.
"""

import fcntl
import mmap
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from roark_ledger.private_files import own_folder, private

_BYTES = 8
_MOST_PROCESSES = 4096


@dataclass(frozen=True, slots=True)
class Layout:
    """How many numbers there are, how many of them at the end are gauges, and a word for what they mean."""

    name: str
    size: int
    gauges: int


def take(folder: Path, layout: Layout) -> "memoryview[float]":
    """Return this process's numbers; they are its own until it ends. Gauges begin at 0.

    Raises OSError when the folder cannot be written.
    """
    own_folder(folder)
    for number in range(_MOST_PROCESSES):
        file = private(str(folder / f"{layout.name}-{number}.cells"), os.O_RDWR | os.O_CREAT)
        try:
            # The lock is the open file's, which stays open as long as this process lives.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            continue
        os.ftruncate(file, layout.size * _BYTES)
        cells = memoryview(mmap.mmap(file, layout.size * _BYTES)).cast("d")
        for gauge in range(layout.size - layout.gauges, layout.size):
            cells[gauge] = 0.0
        return cells
    raise OSError(f"more than {_MOST_PROCESSES} processes count in {folder}")


def total(folder: Path, layout: Layout) -> list[float]:
    """Return the sums over all processes."""
    sums = [0.0] * layout.size
    counted = layout.size - layout.gauges
    for path in sorted(folder.glob(f"{layout.name}-*.cells")):
        for cells, is_alive in _read(path, layout):
            for place in range(layout.size if is_alive else counted):
                sums[place] += cells[place]
    return sums


def _read(path: Path, layout: Layout) -> "Iterator[tuple[memoryview[float], bool]]":
    # A file that goes away, or is only being made, has nothing to tell.
    with suppress(OSError), path.open("rb") as file:
        data = file.read(layout.size * _BYTES)
        if len(data) == layout.size * _BYTES:
            yield memoryview(data).cast("d"), _is_held(file.fileno())


def _is_held(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
