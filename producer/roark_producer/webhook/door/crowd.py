"""How many connections one process holds, and who leaves when another one comes.

A connection costs a file descriptor and up to 64 kB of a head. So many as memory and descriptors allow are held; when
more come, those leave that have waited longest: first who never completed a request, then who is between two. A request
that is complete is never among them. So idle or slow connections, however many, take no place of an honest one.
"""

import heapq
import resource
from collections.abc import Iterable
from contextlib import suppress
from typing import Protocol

MOST_HEAD_BYTES = 65_536
_SHARE_OF_MEMORY = 0.25
_FEWEST, _MOST = 64, 16_384
_OTHER_DESCRIPTORS = 128
"""What a process needs beside its connections: Redis, the spool, its log."""
_LEAVE_TOGETHER = 1 / 16
"""So large a share of all leaves at once, for whoever waited longest is looked for among all."""


class Waiting(Protocol):
    """A connection, as far as its place is concerned."""

    def waits(self) -> tuple[bool, float] | None:
        """Return whether a request was ever complete, and since when it waits for one; None while one is answered."""

    def leave(self) -> None:
        """Close it."""


class Crowd:
    """The connections of one process, `most` at a time. Counts those that had to leave."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.left = 0

    def make_room(self, connections: Iterable[Waiting], newcomer: Waiting) -> None:
        """Have the longest waiting leave; the newcomer itself, where all others are being answered."""
        waiting = [(waits, id(each), each) for each in connections if each is not newcomer and (waits := each.waits())]
        number = max(1, int(self.most * _LEAVE_TOGETHER))
        leaving = [each for _, _, each in heapq.nsmallest(number, waiting)] or [newcomer]
        self.left += len(leaving)
        for each in leaving:
            each.leave()


def room_for_connections(usable_bytes: int) -> int:
    """Return how many connections a process with so much memory may hold; it takes all descriptors that it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST + _OTHER_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        highest = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest, hard))
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    by_files = _MOST if allowed == resource.RLIM_INFINITY else allowed - _OTHER_DESCRIPTORS
    by_memory = int(usable_bytes * _SHARE_OF_MEMORY) // MOST_HEAD_BYTES
    return max(_FEWEST, min(by_files, by_memory, _MOST))
