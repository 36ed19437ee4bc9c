"""Dead letters that died of the same thing are one group."""

import pytest
from histories import lines_of
from msgspec.structs import replace

from roark_ledger.lifecycle import State
from roark_ledger.records.letters import DeadLetter
from roark_ledger.records.record import Event, Record
from roark_ledger.records.setup import Setup
from roark_ops.desk.changes import SetupChange, changes
from roark_ops.desk.grouping import Death, Shared, fold, group


def letter(call_id: str, message: str, *, at_ms: int = 1000, note: str = "http_422", **detail: object) -> DeadLetter:
    record = Record(State.DEAD, "print", 1, at_ms, 1, 0, 0, "fresh", False, note)
    buried = Event(at_ms, "buried", {"status": 422, "reason": note, "message": message} | detail)
    return DeadLetter(call_id, at_ms, record, lines_of(buried))


@pytest.mark.parametrize(
    ("message", "folded"),
    [
        ("call 0193b2c4-6f1d-7c3e-9a55-1d2e3f405162 is unknown", "call # is unknown"),
        ("took 812.5 s", "took # s"),
        ("took 9.1e-05 s", "took # s"),
        ("customer +15550101234 is blocked", "customer # is blocked"),
        ("artifact.messages[12].time is bad", "artifact.messages[#].time is bad"),
        ("nothing to fold", "nothing to fold"),
        ("grün7 a-b-3 x²+5 _1", "# # x²# #"),
        ("from 2026-01-31T10:00Zab7 on", "from ## on"),
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
    (found,) = group([DeadLetter("c-1", 5, record, b""), DeadLetter("c-2", 6, record, b"")])
    assert (found.count, found.reason, found.status, found.message) == (2, "poison", 0, "")


def test_a_group_has_the_same_name_everywhere_and_another_cause_another_one() -> None:
    one, other = letter("c-1", "line 5"), letter("c-2", "line 77")
    assert Death.of(one).group == Death.of(other).group == "cf948397"
    assert Death.of(letter("c-3", "row 5")).group != Death.of(one).group


def test_times_are_folded_too() -> None:
    message = "endedAt 2026-01-31T10:00:00.123Z is before 2026-01-31T10:05:00+00:00 (10:02, 3 pm)"
    assert fold(message) == "endedAt # is before # (#, # pm)"


def test_what_four_of_five_have_in_common_is_told_and_what_one_alone_has_is_not() -> None:
    letters = [replace(letter(f"c-{n}", "a"), named="A7" if n < 8 else f"A{n}", since_ms=1000 + n) for n in range(10)]
    letters = [replace(one, properties=b'{"id":"%d","tenant":"acme"}' % n) for n, one in enumerate(letters)]
    (found,) = group(letters)
    assert found.shared == (Shared("assistant", "A7", 8, 1000), Shared("property tenant", "acme", 10, 1000))


def test_what_changed_in_the_half_hour_before_is_beside_the_group() -> None:
    died = 10_000_000
    at = [died - 1_800_001, died - 60_000, died + 60_000, died + 60_001]
    (found,) = group([letter("c-1", "a", at_ms=died)], [SetupChange(ms, "the token") for ms in at])
    assert [change.at_ms for change in found.changed] == at[1:3]


def test_differences_of_two_setups_are_told_in_words() -> None:
    old = Setup(1, 5, 2, "0.1.0", "aa", {"ROARK_BASE_URL": "https://a", "ROARK_INGEST_MAX_ATTEMPTS": "3"})
    new = Setup(9, 9, 1, "0.2.0", "bb", {"ROARK_BASE_URL": "https://b"})
    assert [(change.at_ms, change.what) for change in changes([old, new])] == [
        (5, "workers started"),
        (9, "version: 0.1.0 → 0.2.0"),
        (9, "Roark's token was changed"),
        (9, "ROARK_BASE_URL: https://a → https://b"),
        (9, "ROARK_INGEST_MAX_ATTEMPTS: 3 → default"),
        (9, "workers started"),
    ]
