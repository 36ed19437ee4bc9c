"""Reading a request's body, bounded in size, in time and in the memory that all bodies take together.

A body takes up to four times its size: as it came in, in one piece, its parts, and packed.

A report of 20 MB (a call of twelve hours) costs some 0.1 s to read into its parts, and nothing else is answered
meanwhile. JSON of the same size that is made to be slow can cost seconds: only those who may pass can send it.
"""

import asyncio
from collections.abc import Sequence
from enum import Enum, auto

from starlette.types import Receive

from roark_producer.files.unpacking import in_utf_8, unpacked
from roark_producer.memory import usable_memory
from roark_producer.webhook.door.authentication import Headers, header

_ROOM_BYTES = 256_000_000
_PROCESS_BYTES = 80_000_000
_COPIES = 4
_LEAST_ROOM_BYTES = 1_000_000


def room_for_bodies(most_bytes: int, usable: int) -> int:
    """Return how many bytes of bodies a process may hold: enough for two, as far as the container's limit goes."""
    return max(_LEAST_ROOM_BYTES, min(max(_ROOM_BYTES, 2 * most_bytes), (usable - _PROCESS_BYTES) // _COPIES))


class Trouble(Enum):
    """Why there is no body."""

    TOO_LARGE = auto()
    TOO_SLOW = auto()
    NO_ROOM = auto()
    HUNG_UP = auto()


class Bodies:
    """The bodies that this process holds. `done` must follow each one that was read."""

    def __init__(self, *, most_bytes: int, seconds: float, usable: int | None = None) -> None:
        self._room_bytes = room_for_bodies(most_bytes, usable_memory() if usable is None else usable)
        self.most_bytes = min(most_bytes, self._room_bytes)
        """The largest body that is read: as the setting says, or as there is memory."""
        self._seconds = seconds
        self._held_bytes = 0

    async def read(self, headers: Headers, receive: Receive) -> bytes | Trouble:
        """Return the whole body, or why there is none.

        A body that is announced as too large is not read at all, so a sender who waits for `100 Continue` is
        spared sending it.
        """
        announced = header(headers, b"content-length")
        if announced.isdigit() and int(announced) > self.most_bytes:
            return Trouble.TOO_LARGE
        chunks: list[bytes] = []
        found: bytes | Trouble = Trouble.TOO_SLOW
        try:
            async with asyncio.timeout(self._seconds):
                found = await self._gather(chunks, receive)
        except TimeoutError:
            pass
        finally:
            if isinstance(found, Trouble):
                self._held_bytes -= sum(map(len, chunks))
        return found

    def unpacked(self, body: bytes, codings: Sequence[str], charset: str) -> bytes | Trouble:
        """Return what a packed body holds, in UTF-8, which counts like another one: `done` must follow.

        Raises InvalidReport when it is damaged, or too large (TooLarge).
        """
        text = in_utf_8(unpacked(body, codings, most_bytes=self.most_bytes), charset)
        if self._held_bytes + len(text) > self._room_bytes:
            return Trouble.NO_ROOM
        self._held_bytes += len(text)
        return text

    def done(self, body: bytes) -> None:
        """Give back the room that a body took."""
        self._held_bytes -= len(body)

    async def _gather(self, chunks: list[bytes], receive: Receive) -> bytes | Trouble:
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return Trouble.HUNG_UP
            chunk: bytes = message.get("body", b"")
            chunks.append(chunk)
            size += len(chunk)
            self._held_bytes += len(chunk)
            if size > self.most_bytes:
                return Trouble.TOO_LARGE
            if self._held_bytes > self._room_bytes:
                return Trouble.NO_ROOM
            if not message.get("more_body", False):
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)
