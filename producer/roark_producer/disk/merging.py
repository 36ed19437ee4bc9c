"""The requests of a spool's segments in the order in which they came, also where several processes wrote them.

A process's own segments are in order, and so are the requests in each. Between processes this machine's clock decides.
One segment of each process is held in memory, and none before its turn.
"""

import heapq
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from roark_producer.disk.frames import Spooled
from roark_producer.disk.segments import Segment, number_of, read, segments

_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class MergedBatch:
    """Requests in their order, and the segments of which these are the last."""

    requests: tuple[Spooled, ...] = field(repr=False)
    ended: tuple[Segment, ...]


@dataclass(slots=True, eq=False)
class _Writer:
    paths: deque[Path]
    segment: Segment | None = None
    requests: Iterator[Spooled] = field(default_factory=lambda: iter(()))
    next: Spooled | None = None
    at_ms: int = 0

    def advance(self) -> Segment | None:
        """Go to the next request; return the segment that has ended by that."""
        self.next = next(self.requests, None)
        if self.next is not None:
            self.at_ms = max(self.at_ms, self.next.received_ms)
            return None
        ended, self.segment, self.requests = self.segment, None, iter(())
        return ended

    def open(self) -> None:
        """Open the next segment that can be read; at the end there is none."""
        while self.segment is None and self.paths:
            self.segment = read(self.paths.popleft())
        if self.segment is not None:
            self.requests = self.segment.requests()

    @property
    def has_more(self) -> bool:
        return self.segment is not None or bool(self.paths)


class Merged:
    """What waits in a folder, or on one shelf, when this is made: the segments that nobody writes.

    Each is locked from its turn on. For one thread at a time. `close` must follow, whatever happened to the last batch.
    """

    def __init__(self, folder: Path, shelf: int | None = None) -> None:
        writers: dict[str, _Writer] = {}
        for path in segments(folder, shelf):
            writers.setdefault(_writer_of(path), _Writer(deque())).paths.append(path)
        self._writers = list(writers.values())
        self._heap: list[tuple[int, int]] = []
        self._files: list[BinaryIO] = []
        for number, writer in enumerate(self._writers):
            self._push(number, writer)

    def batch(self, most: int) -> MergedBatch | None:
        """Return the next requests; None at the end."""
        requests: list[Spooled] = []
        ended: list[Segment] = []
        while self._heap and len(requests) < most:
            _, number = heapq.heappop(self._heap)
            writer = self._writers[number]
            if writer.next is not None:
                requests.append(writer.next)
            elif writer.segment is None:
                writer.open()
                self._files += [writer.segment.file] if writer.segment else []
            if writer.segment is not None and (over := writer.advance()):
                ended.append(over)
            self._push(number, writer)
        return MergedBatch(tuple(requests), tuple(ended)) if requests or ended else None

    def close(self) -> None:
        """Give the locks back; what was not `done` will be found again."""
        for file in self._files:
            file.close()

    def _push(self, number: int, writer: _Writer) -> None:
        if writer.segment is None and writer.paths:
            # Not opened before its turn: it came no earlier than its name says.
            writer.at_ms = max(writer.at_ms, number_of(writer.paths[0]) // _NS_PER_MS)
        if writer.has_more:
            heapq.heappush(self._heap, (writer.at_ms, number))


def _writer_of(path: Path) -> str:
    return path.name.partition("-")[2].partition("-")[0]
