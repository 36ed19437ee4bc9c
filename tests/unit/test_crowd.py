"""Who leaves a crowd of connections when another one comes."""

import resource
from dataclasses import dataclass, field

import pytest

from roark_producer.webhook.door import crowd
from roark_producer.webhook.door.crowd import Crowd, room_for_connections


@dataclass(eq=False)
class Connection:
    since: tuple[bool, float] | None
    has_left: bool = field(default=False)

    def waits(self) -> tuple[bool, float] | None:
        return self.since

    def leave(self) -> None:
        self.has_left = True


def test_who_never_completed_a_request_leaves_first_and_who_is_answered_never() -> None:
    silent, older, between, answered, newcomer = (
        Connection(each) for each in ((False, 9.0), (False, 8.0), (True, 1.0), None, (False, 10.0))
    )
    crowd = Crowd(4)
    everybody = [silent, older, between, answered, newcomer]
    expected = [older, silent, between]
    for number, leaving in enumerate(expected, 1):
        crowd.make_room([each for each in everybody if not each.has_left], newcomer)
        assert [each for each in expected if each.has_left] == [*expected[:number]]
        assert leaving.has_left
    assert not answered.has_left
    assert not newcomer.has_left

    # where all others are being answered there is no room
    crowd.make_room([answered, newcomer], newcomer)
    assert newcomer.has_left
    assert crowd.left == 4


def test_several_leave_at_once_where_many_are_held() -> None:
    everybody = [Connection((False, float(number))) for number in range(161)]
    Crowd(160).make_room(everybody, everybody[-1])
    assert [each.has_left for each in everybody] == [True] * 10 + [False] * 151


def test_there_is_room_for_as_many_as_memory_and_open_files_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = [1024, 5000]

    def set_limit(_: int, wanted: tuple[int, int]) -> None:
        limits[0] = wanted[0]

    monkeypatch.setattr(crowd.resource, "getrlimit", lambda _: tuple(limits))
    monkeypatch.setattr(crowd.resource, "setrlimit", set_limit)
    assert room_for_connections(1 << 40) == 5000 - 128
    assert limits == [5000, 5000]
    assert room_for_connections(345_000_000) == 1316
    assert room_for_connections(1) == 64
    limits[:] = [resource.RLIM_INFINITY] * 2
    assert room_for_connections(1 << 40) == 16_384
