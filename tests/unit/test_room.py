"""How many bytes a worker process may hold at once."""

import asyncio

import pytest

from roark_worker.upload.room import Room, need_of, processes_with_room, room_bytes

MB = 1_000_000
LARGEST = 25 * MB


@pytest.mark.parametrize(
    ("usable_mb", "cores", "expected"), [(100, 4, 1), (270, 2, 1), (690, 4, 3), (690, 2, 2), (20_000, 16, 16)]
)
def test_there_are_no_more_processes_than_can_hold_the_largest_report(
    usable_mb: int, cores: int, expected: int
) -> None:
    processes = processes_with_room(cores, LARGEST, usable_mb * MB)

    assert processes == expected
    if processes > 1:
        assert room_bytes(processes, usable_mb * MB) >= need_of(LARGEST, LARGEST)


def test_however_small_the_machine_there_is_room_for_usual_reports() -> None:
    assert room_bytes(8, 100 * MB) > 50 * need_of(10_000, 100_000)


async def test_what_does_not_fit_waits_until_it_does() -> None:
    room = Room(100)
    await room.take(60)
    waiting = asyncio.create_task(room.take(50))
    await asyncio.sleep(0)
    assert room.is_waited_for

    room.give(60)
    await waiting

    assert not room.is_waited_for
    assert room.take_now(50)
    assert not room.take_now(1)


async def test_a_large_one_that_waits_is_not_passed_by_small_ones() -> None:
    room = Room(100)
    await room.take(60)
    large = asyncio.create_task(room.take(90))
    await asyncio.sleep(0)

    assert not room.take_now(10)

    room.give(60)
    await large
    assert room.take_now(10)


async def test_who_gives_up_waiting_lets_the_next_one_in_and_takes_nothing_along() -> None:
    room = Room(100)
    await room.take(60)
    large = asyncio.create_task(room.take(90))
    small = asyncio.create_task(room.take(40))
    await asyncio.sleep(0)

    large.cancel()
    await small
    room.give(40)
    room.give(60)

    assert room.take_now(100)


async def test_who_gives_up_in_the_moment_of_his_turn_gives_the_room_back() -> None:
    room = Room(100)
    await room.take(100)
    waiting = asyncio.create_task(room.take(80))
    await asyncio.sleep(0)

    room.give(100)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert room.take_now(100)
