"""Reading a request's body, bounded in size, in time and in the memory that all bodies take together.

A body takes up to four times its size: as it came in, in one piece, its parts, and packed. All together take half of
the container's memory at most.

Where a signature is demanded, a body is read before it is known whose it is. Such bodies have a small room of their
own. When that is full, the one that has been coming for the longest makes room: a report comes within
milliseconds, and so it passes between any number of strangers who keep the room full.
"""

import asyncio
from collections.abc import Sequence
from enum import Enum, auto

from starlette.types import Receive

from roark_producer.files.unpacking import in_utf_8, unpacked
from roark_producer.memory import usable_memory
from roark_producer.webhook.door.authentication import Headers, header

_ROOM_BYTES = 256_000_000
_COPIES = 4
_SHARE_OF_MEMORY = 2
_SHARE_FOR_UNKNOWN = 4
_LEAST_ROOM_BYTES = 1_000_000


def room_for_bodies(most_bytes: int, usable: int) -> int:
    """Return how many bytes of bodies a process may hold: enough for two, as far as half of the memory goes."""
    return max(_LEAST_ROOM_BYTES, min(max(_ROOM_BYTES, 2 * most_bytes), usable // _SHARE_OF_MEMORY // _COPIES))


def processes_with_room(wanted: int, most_bytes: int, usable: int | None = None) -> int:
    """Return how many processes, at most `wanted`, can each hold one of the largest bodies; at least one."""
    usable = usable_memory() if usable is None else usable
    return max(1, min(wanted, usable // (_SHARE_OF_MEMORY * _COPIES * most_bytes)))


class Trouble(Enum):
    """Why there is no body."""

    TOO_LARGE = auto()
    TOO_SLOW = auto()
    NO_ROOM = auto()
    HUNG_UP = auto()


class _Arriving:
    """A body that is being read."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.size = 0
        self.timeout: asyncio.Timeout | None = None
        self.gave_way = False


class Bodies:
    """The bodies that this process holds. `done` must follow each one that was read."""

    def __init__(self, *, most_bytes: int, seconds: float, usable: int | None = None) -> None:
        self._room_bytes = room_for_bodies(most_bytes, usable_memory() if usable is None else usable)
        self.most_bytes = min(most_bytes, self._room_bytes)
        """The largest body that is read: as the setting says, or as there is memory."""
        # The largest one must fit in by itself.
        self._unknown_room_bytes = max(self.most_bytes, self._room_bytes // _SHARE_FOR_UNKNOWN)
        self._seconds = seconds
        self._held_bytes = 0
        self._unknown_bytes = 0
        self._unknown: dict[_Arriving, None] = {}

    async def read(self, headers: Headers, receive: Receive, *, known: bool = True) -> bytes | Trouble:
        """Return the whole body, or why there is none. `known`: who sends it may pass, as far as is demanded.

        A body that is announced as too large is not read at all, so a sender who waits for `100 Continue` is
        spared sending it.
        """
        announced = header(headers, b"content-length")
        if announced.isdigit() and int(announced) > self.most_bytes:
            return Trouble.TOO_LARGE
        body = _Arriving()
        found: bytes | Trouble = Trouble.TOO_SLOW
        if not known:
            self._unknown[body] = None
        try:
            async with asyncio.timeout(self._seconds) as body.timeout:
                found = await self._gather(body, receive, known=known)
        except TimeoutError:
            pass
        finally:
            self._unknown.pop(body, None)
            if not known:
                self._unknown_bytes -= body.size
            elif isinstance(found, Trouble):
                self._held_bytes -= body.size
        return Trouble.NO_ROOM if body.gave_way else found if known else self._come_in(found)

    def unpacked(self, body: bytes, codings: Sequence[str], charset: str) -> bytes | Trouble:
        """Return what a packed body holds, in UTF-8, which counts like another one: `done` must follow.

        Raises InvalidReport when it is damaged, or too large (TooLarge).
        """
        return self._come_in(in_utf_8(unpacked(body, codings, most_bytes=self.most_bytes), charset))

    def done(self, body: bytes) -> None:
        """Give back the room that a body took."""
        self._held_bytes -= len(body)

    def _come_in(self, found: bytes | Trouble) -> bytes | Trouble:
        if isinstance(found, Trouble):
            return found
        if self._held_bytes + len(found) > self._room_bytes:
            return Trouble.NO_ROOM
        self._held_bytes += len(found)
        return found

    async def _gather(self, body: _Arriving, receive: Receive, *, known: bool) -> bytes | Trouble:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return Trouble.HUNG_UP
            chunk: bytes = message.get("body", b"")
            body.chunks.append(chunk)
            body.size += len(chunk)
            self._count(len(chunk), known=known)
            if body.size > self.most_bytes:
                return Trouble.TOO_LARGE
            if self._held_bytes > self._room_bytes:
                return Trouble.NO_ROOM
            while self._unknown_bytes > self._unknown_room_bytes and self._unknown:
                self._give_way(next(iter(self._unknown)))
            if not message.get("more_body", False):
                return body.chunks[0] if len(body.chunks) == 1 else b"".join(body.chunks)

    def _count(self, more: int, *, known: bool) -> None:
        if known:
            self._held_bytes += more
        else:
            self._unknown_bytes += more

    def _give_way(self, body: _Arriving) -> None:
        del self._unknown[body]
        self._unknown_bytes -= body.size
        body.size = 0
        body.chunks.clear()
        body.gave_way = True
        if body.timeout:
            body.timeout.reschedule(asyncio.get_running_loop().time())
