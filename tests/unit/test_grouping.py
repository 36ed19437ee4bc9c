"""Dead letters that died of the same thing are one group."""

import pytest

from roark_ops.grouping import fold, group
from roark_producer.lifecycle import State
from roark_producer.records import DeadLetter, Event, Record


def letter(call_id: str, message: str, *, at_ms: int = 1000, note: str = "http_422", **detail: object) -> DeadLetter:
    record = Record(State.DEAD, "print", 1, at_ms, 1, 0, 0, "fresh", False, note)
    buried = Event(at_ms, "buried", {"status": 422, "reason": note, "message": message} | detail)
    return DeadLetter(call_id, at_ms, record, (buried,))


@pytest.mark.parametrize(
    ("message", "folded"),
    [
        ("call 0193b2c4-6f1d-7c3e-9a55-1d2e3f405162 is unknown", "call # is unknown"),
        ("took 812.5 s", "took # s"),
        ("customer +15550101234 is blocked", "customer # is blocked"),
        ("artifact.messages[12].time is bad", "artifact.messages[#].time is bad"),
        ("nothing to fold", "nothing to fold"),
        ("", ""),
    ],
)
def test_ids_and_numbers_are_folded(message: str, folded: str) -> None:
    assert fold(message) == folded


def test_letters_with_the_same_folded_message_are_one_group_with_first_last_and_example() -> None:
    letters = [letter("c-1", "line 5", at_ms=30), letter("c-2", "line 77", at_ms=10), letter("c-3", "line 1", at_ms=20)]
    (found,) = group(letters)
    assert (found.count, found.first_ms, found.last_ms, found.example) == (3, 10, 30, "c-1")
    assert (found.message, found.reason, found.status) == ("line #", "http_422", 422)


def test_another_reason_status_or_message_is_another_group_and_the_largest_comes_first() -> None:
    letters = [
        letter("c-1", "a"),
        letter("c-2", "b"),
        letter("c-3", "b"),
        letter("c-4", "b", status=400),
        letter("c-5", "b", note="exhausted"),
    ]
    assert [found.count for found in group(letters)] == [2, 1, 1, 1]


def test_letters_without_a_history_are_grouped_by_their_reason() -> None:
    record = Record(State.DEAD, "print", 1, 5, 1, 3, 0, "fresh", False, "poison")
    (found,) = group([DeadLetter("c-1", 5, record, ()), DeadLetter("c-2", 6, record, ())])
    assert (found.count, found.reason, found.status, found.message) == (2, "poison", 0, "")
