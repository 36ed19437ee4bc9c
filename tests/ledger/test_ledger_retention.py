"""Retention: off unless it is set, announced before it acts, counted, told in the logbook, and never too early."""

import pytest
from workbench import Workbench

from roark_ledger.lifecycle import State
from roark_ledger.moves import desk
from roark_ledger.moves.upkeep import Expired
from roark_ledger.records.snapshot import Retention

HOUR_MS = 3_600_000
WINDOW_MS, NOTICE_MS = 6 * HOUR_MS, HOUR_MS
STATES = ("dead", "discarded")


def act(bench: Workbench, state: str, most: int = 100) -> Expired:
    return bench.expire(state, WINDOW_MS, NOTICE_MS, most)


def pass_time(bench: Workbench, ms: int, state: str) -> int:
    """Let time pass with a worker that ticks now and then; return how many were removed."""
    removed = 0
    until = bench.clock.now_ms + ms
    while bench.clock.now_ms < until:
        bench.clock.advance(min(HOUR_MS // 2, until - bench.clock.now_ms))
        removed += act(bench, state).removed
    return removed


@pytest.mark.parametrize("state", STATES)
class TestRemoval:
    def test_nothing_goes_before_its_time_and_then_it_does(self, bench: Workbench, state: str) -> None:
        bench.bring("call-1", state)

        assert pass_time(bench, WINDOW_MS - 1, state) == 0
        assert bench.state() == state
        assert pass_time(bench, 1, state) == 1
        assert bench.state() == "unknown"

    def test_nothing_is_left_of_it_but_the_counts_and_the_line_in_the_logbook(
        self, bench: Workbench, state: str
    ) -> None:
        bench.bring("call-1", state)
        before = len(bench.run(desk.deeds_page(most=9)))

        pass_time(bench, WINDOW_MS, state)

        assert bench.inventory().mentions("call-1") == []
        assert bench.count("expired") == bench.count(f"expired_{state}") == 1
        assert bench.snapshot().states[State.EXPIRED] == 1
        assert bench.snapshot().balanced
        deed = bench.run(desk.deeds_page(most=9))[before]
        assert (deed.action, deed.by, deed.count, deed.calls) == ("retention", "retention", 1, ("call-1",))
        bench.inventory().check()

    def test_what_is_old_when_the_setting_is_made_is_announced_first(self, bench: Workbench, state: str) -> None:
        bench.bring("call-1", state)
        bench.clock.advance(10 * WINDOW_MS)
        now = bench.clock.now_ms

        assert act(bench, state) == Expired(removed=0, announced=1, first_ms=now + NOTICE_MS)
        assert act(bench, state) == Expired(0, 0, 0), "it is announced once"
        assert pass_time(bench, NOTICE_MS - 1, state) == 0
        assert pass_time(bench, 1, state) == 1

    def test_workers_that_were_down_for_long_announce_it_anew(self, bench: Workbench, state: str) -> None:
        bench.bring("call-1", state)
        pass_time(bench, WINDOW_MS - HOUR_MS, state)
        bench.clock.advance(5 * HOUR_MS)

        assert act(bench, state).removed == 0
        assert pass_time(bench, NOTICE_MS - 1, state) == 0
        assert pass_time(bench, 1, state) == 1

    def test_a_shorter_window_is_announced_before_it_acts(self, bench: Workbench, state: str) -> None:
        bench.bring("call-1", state)
        act(bench, state)
        bench.clock.advance(HOUR_MS // 2)

        told = bench.expire(state, 1, NOTICE_MS)

        assert (told.removed, told.announced) == (0, 1)

    def test_no_more_than_asked_are_removed_at_once_oldest_first(self, bench: Workbench, state: str) -> None:
        for number in range(5):
            bench.bring(f"call-{number}", state)
            bench.clock.advance(1)
        bench.clock.advance(WINDOW_MS)
        act(bench, state)
        # A notice that is over, without an hour in which nobody asked.
        bench.clock.advance(HOUR_MS // 2)
        act(bench, state)
        bench.clock.advance(HOUR_MS // 2)

        assert [act(bench, state, most=2).removed for _ in range(4)] == [2, 2, 1, 0]

    def test_what_left_the_state_and_came_back_has_its_whole_time_again(self, bench: Workbench, state: str) -> None:
        bench.bring("call-1", state)
        pass_time(bench, WINDOW_MS - 1, state)
        verbs = ("restore", "discard") if state == "discarded" else ("discard", "restore")
        for verb in verbs:
            getattr(bench, verb)("call-1")

        assert pass_time(bench, WINDOW_MS - 1, state) == 0
        assert pass_time(bench, 1, state) == 1

    def test_reports_in_other_states_are_left_alone(self, bench: Workbench, state: str) -> None:
        others = [each for each in ("uploading", "waiting", "delivered", "dead", "discarded", "ready") if each != state]
        for each in others:
            bench.bring(f"call-{each}", each)

        assert pass_time(bench, 2 * WINDOW_MS, state) == 0
        assert [bench.state(f"call-{each}") for each in others] == others

    def test_a_later_report_of_the_call_is_taken_for_a_new_one(self, bench: Workbench, state: str) -> None:
        bench.bring("call-1", state)
        pass_time(bench, WINDOW_MS, state)

        assert bench.accept("call-1") == "accepted"
        assert bench.snapshot().balanced

    def test_a_clock_that_jumps_ahead_and_back_removes_nothing_unannounced(self, bench: Workbench, state: str) -> None:
        bench.bring("call-1", state)
        bench.clock.advance(10 * WINDOW_MS)
        act(bench, state)
        bench.clock.advance(-10 * WINDOW_MS)

        assert act(bench, state).removed == 0
        assert pass_time(bench, WINDOW_MS - 1, state) == 0
        assert pass_time(bench, NOTICE_MS + 1, state) == 1


class TestWhatTheSnapshotTells:
    def test_nothing_where_no_setting_is_made(self, bench: Workbench) -> None:
        bench.bring("call-1", "dead")

        assert bench.snapshot().retention == ()

    def test_the_rule_and_what_it_is_about_to_do(self, bench: Workbench) -> None:
        bench.bring("call-1", "dead")
        bench.clock.advance(10)
        bench.bring("call-2", "dead")
        act(bench, "dead")
        assert bench.snapshot().retention == (Retention(State.DEAD, WINDOW_MS, NOTICE_MS, 0, 0),)
        died = bench.clock.now_ms - 10

        pass_time(bench, WINDOW_MS - NOTICE_MS - 10, "dead")

        assert bench.snapshot().retention == (Retention(State.DEAD, WINDOW_MS, NOTICE_MS, 1, died + WINDOW_MS),)

    def test_that_what_was_not_announced_goes_a_notice_later(self, bench: Workbench) -> None:
        bench.bring("call-1", "discarded")
        bench.clock.advance(2 * WINDOW_MS)
        act(bench, "discarded")

        (told,) = bench.snapshot().retention

        assert (told.expiring, told.next_ms) == (1, bench.clock.now_ms + NOTICE_MS)

    def test_nothing_once_no_worker_does_it_any_more(self, bench: Workbench) -> None:
        act(bench, "dead")
        bench.clock.advance(HOUR_MS + 1)

        assert bench.snapshot().retention == ()


def test_a_full_server_is_relieved_of_what_is_due(real_bench: Workbench) -> None:
    from servers import configured

    real_bench.bring("call-1", "dead")
    pass_time(real_bench, WINDOW_MS - 1, "dead")
    real_bench.clock.advance(1)

    with configured(real_bench.ledger.client, "maxmemory", "1mb"):
        assert act(real_bench, "dead").removed == 1
