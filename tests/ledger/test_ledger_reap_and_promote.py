"""What the tick does: due reports become ready again, and reports of dead workers come back."""

import pytest
from workbench import DELAY_MS, LEASE_MS, Workbench, all_held

from roark_ledger.moves import delivery
from roark_ledger.moves.upkeep import Reaped


class TestPromote:
    def test_a_report_is_ready_again_when_it_is_due_and_not_before(self, bench: Workbench) -> None:
        bench.bring("call-1", "waiting")
        bench.clock.advance(DELAY_MS - 1)
        assert bench.promote() == 0

        bench.clock.advance(1)

        assert bench.promote() == 1
        assert bench.state() == "ready"
        assert bench.record().priority == "retry"

    def test_reports_are_promoted_in_the_order_in_which_they_fell_due(self, bench: Workbench) -> None:
        bench.accept_all("call-1", "call-2", "call-3")
        first, second, third = all_held(bench.claim().reports)
        bench.defer(first, 3_000)
        bench.defer(second, 1_000)
        bench.defer(third, 2_000)
        bench.clock.advance(10_000)

        bench.promote(most=1)
        bench.promote(most=1)
        bench.promote(most=1)

        assert bench.claimed_ids() == ["call-2", "call-3", "call-1"]

    def test_it_stands_in_the_queue_since_it_was_due_and_not_since_the_tick(self, bench: Workbench) -> None:
        bench.bring("call-1", "waiting")
        due = bench.clock.now_ms + DELAY_MS
        bench.clock.advance(DELAY_MS + 700)

        bench.promote()

        assert bench.entry().score_ms == due

    def test_no_more_than_asked_are_promoted_at_once(self, bench: Workbench) -> None:
        bench.accept_all(*(f"call-{number}" for number in range(5)))
        for one in all_held(bench.claim().reports):
            bench.defer(one)
        bench.clock.advance(DELAY_MS)

        assert [bench.promote(most=2) for _ in range(4)] == [2, 2, 1, 0]


class TestReap:
    def test_a_lease_that_has_not_run_out_is_left_alone(self, bench: Workbench) -> None:
        bench.bring("call-1", "uploading")
        bench.clock.advance(LEASE_MS - 1)

        assert bench.reap() == Reaped(reclaimed=0)
        assert bench.state() == "uploading"

    def test_a_report_whose_worker_died_comes_back_without_an_attempt_counted(self, bench: Workbench) -> None:
        bench.bring("call-1", "uploading")
        bench.clock.advance(LEASE_MS)

        assert bench.reap() == Reaped(reclaimed=1)

        assert bench.state() == "ready"
        assert bench.record().priority == "retry"
        assert bench.record().attempts == 0
        assert bench.record().deaths == 1
        assert bench.events() == ["reclaimed"]
        assert bench.count("leases_expired") == 1

    def test_one_that_outlives_too_many_workers_in_a_row_is_poison(self, bench: Workbench) -> None:
        bench.accept("call-1")
        reaped = []
        for _ in range(3):
            bench.take()
            bench.clock.advance(LEASE_MS)
            reaped.append(bench.reap(deaths=3))

        assert reaped == [Reaped(1), Reaped(1), Reaped(0, ("call-1",))]
        assert bench.state() == "dead"
        assert bench.record().note == "poison"
        assert bench.count("poisoned") == 1
        assert bench.entry().history[-1].name == "poisoned"
        assert bench.entry().history[-1].detail == {"deaths": 3}

    def test_deaths_with_an_answer_of_roark_between_them_are_not_in_a_row(self, bench: Workbench) -> None:
        bench.accept("call-1")
        for _ in range(4):
            bench.take()
            bench.clock.advance(LEASE_MS)
            assert bench.reap(deaths=2) == Reaped(1)
            bench.defer(bench.take(), 0)
            bench.promote()

        assert bench.state() == "ready"

    def test_no_more_than_asked_come_back_at_once(self, bench: Workbench) -> None:
        bench.accept_all(*(f"call-{number}" for number in range(5)))
        bench.claim()
        bench.clock.advance(LEASE_MS)

        assert [bench.reap(most=2).reclaimed for _ in range(4)] == [2, 2, 1, 0]

    def test_the_report_of_a_dead_worker_goes_to_another_under_a_new_lease(self, bench: Workbench) -> None:
        bench.accept("call-1")
        dead = bench.take()
        bench.clock.advance(LEASE_MS)
        bench.reap()

        alive = bench.take()

        assert alive.token != dead.token
        assert not bench.deliver(dead)
        assert bench.deliver(alive)
        assert bench.events() == ["reclaimed", "delivered"]


@pytest.fixture
def suspects(bench: Workbench) -> Workbench:
    """Three reports that died twice in the same hands."""
    bench.accept_all("call-1", "call-2", "call-3")
    for _ in range(2):
        assert len(bench.claim().reports) == 3
        bench.clock.advance(LEASE_MS)
        assert bench.reap(deaths=3) == Reaped(3)

    return bench


class TestWhatWouldBePoisonAtTheNextDeath:
    def test_it_comes_back_one_by_one_each_when_the_one_before_has_an_outcome(self, suspects: Workbench) -> None:
        came = []
        for _ in range(3):
            suspects.promote()
            (one,) = suspects.claim().reports
            suspects.clock.advance(5_000)
            suspects.promote()
            assert not suspects.claim().reports, "however long it takes, and whoever asks"
            suspects.deliver(*all_held([one]))
            came.append(one.call_id)
            suspects.clock.advance(250)

        assert came == ["call-1", "call-2", "call-3"]
        assert suspects.count("poisoned") == 0

    def test_the_one_that_kills_its_workers_dies_alone(self, suspects: Workbench) -> None:
        suspects.promote()
        assert suspects.claimed_ids() == ["call-1"]
        suspects.clock.advance(LEASE_MS)

        assert suspects.reap(deaths=3) == Reaped(0, ("call-1",))

        assert [suspects.state(f"call-{number}") for number in (1, 2, 3)] == ["dead", "waiting", "waiting"]
        suspects.promote()
        assert suspects.claimed_ids() == ["call-2"]

    def test_one_that_takes_very_long_does_not_hold_up_the_others_for_ever(self, suspects: Workbench) -> None:
        suspects.promote()
        (slow,) = all_held(suspects.claim().reports)
        for _ in range(4):
            suspects.clock.advance(5_000)
            suspects.run(delivery.renew([slow], lease_ms=LEASE_MS))

        suspects.promote()

        assert suspects.claimed_ids() == ["call-2"]
