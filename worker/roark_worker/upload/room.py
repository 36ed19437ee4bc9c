"""How many bytes of reports one worker process may hold unpacked, and who waits for room among them.

An upload holds its packed report and its body, and unpacking needs the payload once more. Measured with reports of
20 MB: a process grows by 20 MB for each that is in flight, and by as much again while one is unpacked.

First come, first served: a large report that waits lets no smaller one pass, or it would wait for ever.
"""

import asyncio
import contextlib
from collections import deque

from roark_producer.memory import usable_memory

_SUPERVISOR_BYTES = 70_000_000
_PROCESS_BYTES = 110_000_000
_LEAST_ROOM_BYTES = 16_000_000
_COPIES = 2


def need_of(packed_bytes: int, payload_bytes: int) -> int:
    """Return how much room a report takes."""
    return packed_bytes + _COPIES * payload_bytes


def room_bytes(processes: int, usable: int | None = None) -> int:
    """Return the room of one of so many worker processes that share the memory."""
    usable = usable_memory() if usable is None else usable
    return max(_LEAST_ROOM_BYTES, (usable - _SUPERVISOR_BYTES) // processes - _PROCESS_BYTES)


def processes_with_room(wanted: int, largest_payload: int, usable: int | None = None) -> int:
    """Return how many processes, at most `wanted`, can each hold the largest report; at least one."""
    usable = usable_memory() if usable is None else usable
    each = _PROCESS_BYTES + need_of(largest_payload, largest_payload)
    return max(1, min(wanted, (usable - _SUPERVISOR_BYTES) // each))


class Room:
    """Belongs to one event loop. What `take` returned from must be given back."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self._free = most_bytes
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def is_waited_for(self) -> bool:
        """Whether more reports are in hand than fit."""
        return bool(self._waiting)

    def take_now(self, need: int) -> bool:
        """Take room if there is some and nobody waits; return whether it was taken."""
        if self._waiting or need > self._free:
            return False
        self._free -= need
        return True

    async def take(self, need: int) -> None:
        """Wait for room. Whoever needs more than there is would wait for ever: do not ask."""
        if self.take_now(need):
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((need, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give(need)
            else:
                with contextlib.suppress(ValueError):
                    self._waiting.remove((need, turn))
                self._hand_out()
            raise

    def give(self, need: int) -> None:
        """Give room back."""
        self._free += need
        self._hand_out()

    def _hand_out(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._free:
            need, turn = self._waiting.popleft()
            self._free -= need
            turn.set_result(None)
