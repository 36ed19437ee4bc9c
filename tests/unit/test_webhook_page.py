"""The webhook's page of metrics costs the same however many read it."""

import asyncio
import itertools
import socket

import pytest

from roark_producer.webhook.serving.page import Cached, MetricsDoor


async def test_of_forty_that_read_at_once_and_again_one_makes_the_text() -> None:
    made = itertools.count(1)

    async def make() -> bytes:
        await asyncio.sleep(0)
        return b"%d" % next(made)

    page = Cached(make, 60)
    for _ in range(3):
        assert set(await asyncio.gather(*(page.get() for _ in range(40)))) == {b"1"}


async def test_a_text_that_could_not_be_made_is_made_by_the_next_one() -> None:
    fails = True

    async def make() -> bytes:
        if fails:
            raise TimeoutError
        return b"text"

    page = Cached(make, 60)
    with pytest.raises(TimeoutError):
        await page.get()
    fails = False
    assert await page.get() == b"text"


def test_a_port_that_is_taken_is_taken_over_when_it_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        door = MetricsDoor("127.0.0.1", port)
        assert not door.open()
    with door:
        assert door.open()
        assert door.listener
        assert door.listener.getsockname()[1] == port


def test_port_0_is_for_no_page() -> None:
    door = MetricsDoor("127.0.0.1", 0)
    assert not door.is_wanted
    assert not door.open()
