"""The memory that bodies take: half of the container's, and little of it for those whose sender is not known yet."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.types import Message

from roark_producer.webhook.door.body import Bodies, Trouble, room_for_bodies

MB = 1_000_000


class Sender:
    """Sends what the test tells, when the test tells."""

    def __init__(self, bodies: Bodies, *, known: bool) -> None:
        self._sent: asyncio.Queue[Message] = asyncio.Queue()
        self.read = asyncio.ensure_future(bodies.read([], self._receive, known=known))

    async def _receive(self) -> Message:
        return await self._sent.get()

    async def send(self, size: int, *, more: bool = True) -> None:
        await self._sent.put({"type": "http.request", "body": bytes(size), "more_body": more})
        for _ in range(4):
            await asyncio.sleep(0)

    async def end(self) -> bytes | Trouble:
        if not self.read.done():
            await self.send(0, more=False)
        return await self.read


@pytest.fixture
async def bodies() -> AsyncIterator[Bodies]:
    bodies = Bodies(most_bytes=2 * MB, seconds=60, usable=64 * MB)
    yield bodies
    assert (bodies._held_bytes, bodies._unknown_bytes, bodies._unknown) == (0, 0, {})


@pytest.mark.parametrize("memory_mb", [128, 256, 512, 768, 2048, 64_000])
def test_all_bodies_together_take_half_of_the_memory_at_most(memory_mb: int) -> None:
    # A body takes four times its size.
    assert 4 * room_for_bodies(25 * MB, memory_mb * MB) <= memory_mb * MB // 2


async def test_the_body_that_has_been_coming_for_the_longest_makes_room(bodies: Bodies) -> None:
    strangers = [Sender(bodies, known=False) for _ in range(3)]
    for stranger in strangers:
        await stranger.send(900_000)

    assert [each.read.done() for each in strangers] == [True, False, False]
    assert await strangers[0].read is Trouble.NO_ROOM
    for stranger in strangers[1:]:
        found = await stranger.end()
        assert isinstance(found, bytes)
        bodies.done(found)


async def test_between_any_number_of_strangers_a_report_comes_in(bodies: Bodies) -> None:
    strangers = [Sender(bodies, known=False) for _ in range(100)]
    for stranger in strangers:
        await stranger.send(60_000)
    honest = Sender(bodies, known=False)
    await honest.send(60_000)
    for stranger in strangers[-20:]:
        await stranger.send(10_000)

    found = await honest.end()

    assert found == bytes(60_000)
    bodies.done(bytes(60_000))
    for stranger in strangers:
        if isinstance(body := await stranger.end(), bytes):
            bodies.done(body)


async def test_strangers_take_nothing_of_the_room_of_those_who_are_known(bodies: Bodies) -> None:
    stranger = Sender(bodies, known=False)
    await stranger.send(1_900_000)
    known = [Sender(bodies, known=True) for _ in range(4)]
    for each in known:
        await each.send(1_900_000, more=False)

    for each in known:
        found = await each.read
        assert isinstance(found, bytes)
        bodies.done(found)
    assert await _hung_up(stranger) is Trouble.HUNG_UP


async def _hung_up(sender: Sender) -> bytes | Trouble:
    await sender._sent.put({"type": "http.disconnect"})
    return await sender.read


async def test_a_body_that_is_too_large_leaves_nothing_behind(bodies: Bodies) -> None:
    for known in (True, False):
        sender = Sender(bodies, known=known)
        await sender.send(2 * MB + 1)
        assert await sender.read is Trouble.TOO_LARGE
