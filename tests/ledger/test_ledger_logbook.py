"""The operators' logbook: an action and its line are one script, in order, and nothing leaves it by itself."""

import pytest
from workbench import WHO, Workbench

from roark_ledger.moves import delivery, desk, intake
from roark_ledger.records.logbook import Action, Deed, doer


def deeds(bench: Workbench, **options: bool) -> list[Deed]:
    return bench.run(desk.deeds_page(most=100, **options))


def told(bench: Workbench) -> list[tuple[str, str, int, tuple[str, ...]]]:
    return [(deed.action, deed.by, deed.count, deed.calls) for deed in deeds(bench)]


@pytest.mark.parametrize(("verb", "state"), [("discard", "dead"), ("restore", "discarded")], ids=lambda part: part)
class TestAMove:
    def test_writes_one_line_with_the_calls_that_it_changed(self, bench: Workbench, verb: str, state: str) -> None:
        for name in ("call-1", "call-2"):
            bench.bring(name, state)
        bench.bring("call-3", "delivered")
        before = len(deeds(bench))

        getattr(bench, verb)("call-1", "call-2", "call-3", "call-4")

        assert told(bench)[before:] == [(verb, "ada", 2, ("call-1", "call-2"))]

    def test_that_changes_nothing_writes_none(self, bench: Workbench, verb: str, state: str) -> None:
        bench.bring("call-1", "delivered")

        getattr(bench, verb)("call-1", "call-2")

        assert told(bench) == []


def test_hold_and_resume_by_hand_are_told_whether_they_changed_anything_or_not(bench: Workbench) -> None:
    bench.hold_by_hand("the night")
    bench.hold_by_hand()
    bench.resume()
    bench.resume()

    assert [(deed.action, deed.count) for deed in deeds(bench)] == [
        ("hold", 1),
        ("hold", 0),
        ("resume", 1),
        ("resume", 0),
    ]
    assert {deed.by for deed in deeds(bench)} == {"ada"}
    assert deeds(bench)[0].reason == "the night"


def test_what_roark_brought_about_is_nobodys_deed(bench: Workbench) -> None:
    bench.hold_by_roark()

    assert deeds(bench) == []


def test_an_intent_is_told_before_what_takes_many_scripts(bench: Workbench) -> None:
    place = bench.run(desk.log_deed(Action.IMPORT, who=doer("ada", "moved", file="dead.ndjson"), count=3))

    (deed,) = deeds(bench)
    assert deed == Deed(place, bench.clock.now_ms, "import", "ada", "moved", 3, (), {"file": "dead.ndjson"})


def test_entries_that_leave_the_rejected_bin_are_told(bench: Workbench) -> None:
    bench.run(intake.reject(digest="d1", meta=b"{}", packed=b"x", most=10))

    bench.run(desk.unreject(["d1", "d2"], action=Action.REJECTED_DISCARD, who=WHO))

    assert told(bench) == [("rejected-discard", "ada", 1, ("d1",))]
    assert bench.count("rejected_discarded") == 1


def test_no_phone_number_and_no_token_gets_into_it(bench: Workbench) -> None:
    bench.run(delivery.hold(by="+1 555 010 1234", reason="Bearer abc.def of +15550101234"))

    (deed,) = deeds(bench)
    assert (deed.by, deed.reason) == ("+***", "Bearer *** of +***")


def test_lines_come_from_either_end_page_by_page(bench: Workbench) -> None:
    for number in range(5):
        bench.clock.advance(1)
        bench.hold_by_hand(str(number))

    first = bench.run(desk.deeds_page(most=2))
    second = bench.run(desk.deeds_page(most=2, after=first[-1].place))
    newest = bench.run(desk.deeds_page(most=2, newest_first=True))
    rest = bench.run(desk.deeds_page(most=9, after=newest[-1].place, newest_first=True))

    assert [deed.reason for deed in first + second] == ["0", "1", "2", "3"]
    assert [deed.reason for deed in newest + rest] == ["4", "3", "2", "1", "0"]


def test_a_clock_that_was_set_back_loses_no_line_and_no_order(bench: Workbench) -> None:
    bench.hold_by_hand("before")
    bench.clock.advance(-3_600_000)

    bench.hold_by_hand("after")

    first, second = deeds(bench)
    assert (first.reason, second.reason) == ("before", "after")
    assert second.at_ms == first.at_ms - 3_600_000


class TestTrim:
    def trim(self, bench: Workbench, before_ms: int, most: int = 100) -> int:
        return bench.run(desk.trim_deeds(before_ms=before_ms, most=most, who=WHO))

    def test_removes_what_is_older_and_says_so(self, bench: Workbench) -> None:
        for number in range(3):
            bench.hold_by_hand(str(number))
            bench.clock.advance(10)

        assert self.trim(bench, bench.clock.now_ms - 10) == 2

        assert told(bench) == [("hold", "ada", 0, ()), ("log-trim", "ada", 2, ())]
        assert deeds(bench)[0].reason == "2"

    def test_takes_no_more_than_asked_at_once_and_never_its_own_line(self, bench: Workbench) -> None:
        for _ in range(5):
            bench.hold_by_hand()
        bench.clock.advance(10)

        assert [self.trim(bench, bench.clock.now_ms, most=2) for _ in range(4)] == [2, 2, 1, 0]

        assert [deed.action for deed in deeds(bench)] == ["log-trim"] * 3

    def test_nothing_else_ever_removes_a_line(self, bench: Workbench) -> None:
        for number in range(300):
            bench.hold_by_hand(str(number))
        bench.clock.advance(10 * 365 * 86_400_000)
        bench.promote()
        bench.forget(1)

        assert bench.snapshot().logbook_lines == 300
