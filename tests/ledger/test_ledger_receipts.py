"""Deliveries that are looked up at Roark: which, when, by whom, and what is kept of what was found."""

import pytest
from workbench import LEASE_MS, Workbench, held

from roark_ledger.moves import delivery, receipts
from roark_ledger.moves.delivery import Deliver
from roark_ledger.moves.receipts import Due, LookedUp

MINUTE = 60_000
AGES = (4 * MINUTE, 9 * MINUTE, 30 * MINUTE)
IN_TIME = 10 * MINUTE


def deliver(bench: Workbench, call_id: str = "call-1", *, look_up: bool = True, first_ms: int = AGES[0]) -> None:
    bench.accept(call_id)
    one = Deliver(bench.take(call_id), f"roark-{call_id}", b"{}", look_up=look_up)
    assert bench.run(delivery.deliver([one], keep_payloads=False, first_look_ms=first_ms)) == [True]


def turn(bench: Workbench, who: str = "w-1", most: int = 10) -> list[Due] | None:
    return bench.run(receipts.receipts_turn(who=who, patience_ms=30_000, most=most))


def due(bench: Workbench, who: str = "w-1") -> list[str]:
    return [one.call_id for one in turn(bench, who) or ()]


def note(bench: Workbench, one: Due, *, visible: bool) -> bool:
    found = LookedUp(one, visible, b'{"status":200}')
    return bench.run(receipts.receipts_note([found], in_time_ms=IN_TIME, ages_ms=AGES))[0]


def look(bench: Workbench, *, visible: bool, after: int) -> bool:
    bench.clock.advance(after)
    (one,) = turn(bench) or ()
    return note(bench, one, visible=visible)


def test_what_is_chosen_is_due_some_minutes_later_and_the_rest_never(bench: Workbench) -> None:
    deliver(bench)
    deliver(bench, "call-2", look_up=False)
    deliver(bench, "call-3", first_ms=0)

    assert due(bench) == []
    bench.clock.advance(AGES[0])
    assert due(bench) == ["call-1"]
    assert bench.snapshot().receipts.open == 1
    assert bench.entry().looked_up_ms == bench.clock.now_ms


def test_a_visible_one_is_told_counted_and_done_with(bench: Workbench) -> None:
    deliver(bench)

    assert look(bench, visible=True, after=AGES[0])

    told = bench.snapshot().receipts
    assert (told.open, told.in_time, told.late, told.share_in_time) == (0, 1, 0, 1.0)
    assert bench.events() == ["seen"]
    assert bench.entry().looked_up_ms == 0


def test_one_that_is_never_visible_is_looked_for_by_the_ages_told_once_and_given_up(bench: Workbench) -> None:
    deliver(bench)

    for before, after in zip((0, *AGES), AGES, strict=False):
        look(bench, visible=False, after=after - before)

    told = bench.snapshot().receipts
    assert (told.open, told.in_time, told.late, told.absent) == (0, 0, 1, 1)
    assert told.unseen_share == pytest.approx(0.02)
    assert bench.events() == ["unseen", "absent"]


def test_one_that_comes_late_is_late_all_the_same(bench: Workbench) -> None:
    deliver(bench)
    look(bench, visible=False, after=AGES[1])

    look(bench, visible=True, after=AGES[2])

    told = bench.snapshot().receipts
    assert (told.open, told.in_time, told.late, told.absent, told.unseen_share) == (0, 0, 1, 0, 0.0)
    assert bench.events() == ["unseen", "seen"]


def test_one_that_nobody_looked_for_in_time_is_no_measure_of_roark(bench: Workbench) -> None:
    deliver(bench)

    look(bench, visible=True, after=IN_TIME + 1)

    assert bench.snapshot().receipts.share_in_time is None


def test_what_was_found_twice_counts_once(bench: Workbench) -> None:
    deliver(bench)
    deliver(bench, "call-2")
    bench.clock.advance(AGES[1])
    one, other = turn(bench) or ()

    assert [note(bench, one, visible=True), note(bench, one, visible=True)] == [True, False]
    assert [note(bench, other, visible=False), note(bench, other, visible=False)] == [True, False]
    told = bench.snapshot().receipts
    assert (told.in_time, told.late) == (1, 1)


def test_one_worker_at_a_time_looks_and_a_dead_one_loses_its_turn(bench: Workbench) -> None:
    deliver(bench)
    bench.clock.advance(AGES[0])

    assert due(bench, "w-1") == ["call-1"]
    assert turn(bench, "w-2") is None
    bench.clock.advance(29_000)
    assert due(bench, "w-1") == ["call-1"]
    bench.clock.advance(30_000)
    assert due(bench, "w-2") == ["call-1"]


def test_looks_that_cannot_be_made_are_told_and_given_up_after_a_day_not_silently(bench: Workbench) -> None:
    deliver(bench)
    bench.clock.advance(2 * 3_600_000)
    bench.run(receipts.receipts_note([], in_time_ms=IN_TIME, ages_ms=AGES, error="forbidden"))

    told = bench.snapshot().receipts
    assert (told.error, told.at_ms) == ("forbidden", 0)
    assert told.late_ms(bench.clock.now_ms) == 2 * 3_600_000 - AGES[0]
    bench.clock.advance(24 * 3_600_000)
    assert due(bench) == []
    assert bench.count("receipts_skipped") == 1


@pytest.mark.parametrize("how", ["revised", "erased", "forgotten"])
def test_a_delivery_that_counts_no_more_is_not_looked_for(bench: Workbench, how: str) -> None:
    deliver(bench)
    match how:
        case "revised":
            bench.accept("call-1", "b", revisions="upload")
        case "erased":
            bench.erase()
        case "forgotten":
            bench.clock.advance(AGES[0])
            bench.forget(1)

    assert bench.snapshot().receipts.open == 0


def test_an_unconfirmed_delivery_has_no_name_to_look_for(bench: Workbench) -> None:
    bench.accept()
    one = Deliver(bench.take(), "", b"{}", look_up=True)
    bench.run(delivery.deliver([one], keep_payloads=False, first_look_ms=1))

    assert bench.snapshot().receipts.open == 0


def test_after_an_incident_all_are_looked_for_and_so_is_what_failed_before(bench: Workbench) -> None:
    bench.accept("failed")
    bench.defer(bench.take("failed"))
    bench.clock.advance(60_000)
    bench.promote()
    one = Deliver(bench.take("failed"), "roark-f", b"{}")
    bench.run(delivery.deliver([one], keep_payloads=False, first_look_ms=1))
    deliver(bench, "before", look_up=False)
    bench.hold_by_hand()
    bench.resume()
    deliver(bench, "after", look_up=False)
    bench.clock.advance(11 * MINUTE)
    deliver(bench, "long-after", look_up=False)

    assert due(bench) == ["failed", "after"]


class TestInTime:
    """Calls whose report came soon after their end, and those that Roark had within five minutes of it."""

    def test_they_are_counted_once_each(self, bench: Workbench) -> None:
        from roark_ledger.ids import CallId
        from roark_ledger.moves import intake
        from roark_ledger.moves.intake import Acceptable
        from roark_ledger.packing import pack

        due_ms = bench.clock.now_ms - 10_000
        reports = [
            Acceptable(CallId(name), "print", pack(b"{}", ended_ms=ended))
            for name, ended in (("due-1", due_ms), ("imported", 0), ("due-2", due_ms), ("due-1", due_ms))
        ]
        bench.run(intake.accept(reports, revisions="record", per_wakeup=64))
        claimed = bench.run(delivery.claim(wanted=9, lease_ms=LEASE_MS, listen_ms=0, most_bytes=10**9)).reports
        outcomes = [
            Deliver(held(one), "roark-1", b"{}", in_time=one.call_id == "due-1", look_up=True) for one in claimed
        ]
        bench.run(delivery.deliver(outcomes, keep_payloads=False))
        bench.run(delivery.deliver(outcomes, keep_payloads=False))

        told = bench.snapshot().receipts
        assert (told.calls_due, told.calls_in_time) == (2, 1)
