"""A refusal that may be true for all, or for one report alone: what the ledger makes of it."""

import msgspec
import pytest
from workbench import Workbench, held

from roark_ledger.lifecycle import State
from roark_ledger.moves.delivery import Claimed, Held, LaneState

WAITED_MS = 10_000
"""Longer than any refused report waits."""


def refused(bench: Workbench, call_id: str, code: str = "http_403") -> int:
    """Accept a report, send it, have it refused; return what was recorded."""
    bench.accept(call_id)
    return bool(bench.refuse(bench.take(call_id), code=code)[0])


def send(bench: Workbench) -> Claimed:
    """Send the one report that is ready."""
    bench.promote()
    (report,) = bench.claim(1).reports
    return report


def send_again(bench: Workbench) -> Held:
    bench.clock.advance(WAITED_MS)
    return held(send(bench))


def pass_another(bench: Workbench, call_id: str) -> None:
    """Deliver another report, which is sent now."""
    bench.clock.advance(10)
    bench.accept(call_id)
    assert bench.deliver(bench.take(call_id))
    bench.clock.advance(10)


def hold(bench: Workbench, code: str = "http_401") -> None:
    """Have three different reports refused."""
    bench.accept_all("h-1", "h-2", "h-3")
    bench.refuse(*(held(one) for one in bench.claim(3).reports), code=code)
    assert bench.lane().state == "held"


def probe(bench: Workbench) -> Claimed:
    """Wait until the next probe goes, and send it."""
    bench.clock.advance(max(0, bench.lane().next_ms - bench.clock.now_ms))
    bench.promote()
    claim = bench.claim(10)
    assert claim.lane is LaneState.PROBING
    (report,) = claim.reports
    return report


class TestOneReport:
    def test_it_waits_and_no_attempt_is_counted(self, bench: Workbench) -> None:
        assert refused(bench, "call-1")

        record = bench.record("call-1")
        assert (record.state, record.attempts, record.note) == (State.WAITING, 0, "http_403")
        assert bench.claim().reports == ()
        assert bench.lane().state == "open"

    def test_its_story_tells_of_it(self, bench: Workbench) -> None:
        refused(bench, "call-1")

        (event,) = bench.entry("call-1").history
        assert event.name == "refused"
        assert event.detail == {"sends": 1, "status": 403}

    def test_that_is_refused_three_times_while_others_pass_is_a_dead_letter(self, bench: Workbench) -> None:
        refused(bench, "bad")
        pass_another(bench, "good-1")
        bench.refuse(send_again(bench))
        pass_another(bench, "good-2")

        recorded = bench.refuse(send_again(bench))

        record = bench.record("bad")
        assert (record.state, record.attempts, record.note) == (State.DEAD, 3, "http_403")
        assert bench.events("bad") == ["refused", "refused", "buried"]
        assert bench.entry("bad").history[-1].detail["over"] == "alone"
        assert recorded.buried == (0,)
        assert bench.count("holds") == 0
        bench.inventory().check()

    def test_is_a_dead_letter_after_three_sends_though_the_others_all_passed_after_the_first(
        self, bench: Workbench
    ) -> None:
        refused(bench, "bad")
        pass_another(bench, "good-1")

        bench.refuse(send_again(bench))
        bench.refuse(send_again(bench))

        assert bench.state("bad") == "dead"
        assert bench.lane().state == "open"

    def test_does_not_die_of_what_was_under_way_when_it_was_refused(self, bench: Workbench) -> None:
        bench.accept("good")
        early = bench.take("good")
        bench.clock.advance(1)
        refused(bench, "call-1")
        bench.clock.advance(1)
        bench.deliver(early)

        for _ in range(5):
            bench.refuse(send_again(bench))

        assert bench.state("call-1") != "dead"

    def test_that_is_taken_the_next_time_is_forgotten_as_a_refused_one(self, bench: Workbench) -> None:
        refused(bench, "call-1")

        assert bench.deliver(send_again(bench))

        assert bench.inventory().hashes["refused"] == {}

    def test_does_not_die_while_refusals_come_and_go(self, bench: Workbench) -> None:
        refused(bench, "call-1")
        for number in range(6):
            refused(bench, f"other-{number}")
            bench.clock.advance(WAITED_MS)
            bench.promote()
            for one in bench.claim(2).reports:
                (bench.refuse if one.call_id == "call-1" else bench.deliver)(held(one))

        assert bench.state("call-1") == "waiting"

    def test_dies_at_the_last_of_all_sends_though_refusals_come_and_go(self, bench: Workbench) -> None:
        refused(bench, "call-1")
        refused(bench, "call-2")
        bench.clock.advance(WAITED_MS)
        bench.promote()
        one, two = bench.claim(2).reports
        bench.deliver(held(two))
        bench.refuse(held(one), most_sends=9)
        bench.clock.advance(10)
        pass_another(bench, "good")

        bench.refuse(send_again(bench), most_sends=3)

        assert bench.state("call-1") == "dead"

    def test_a_newer_report_of_the_call_begins_anew(self, bench: Workbench) -> None:
        bench.accept("call-1", "a")
        one = bench.take("call-1")
        bench.accept("call-1", "b")

        bench.refuse(one)

        assert bench.record("call-1").fingerprint == "print-b"
        assert bench.inventory().hashes["refused"] == {}

    def test_its_story_does_not_grow_for_days(self, bench: Workbench) -> None:
        refused(bench, "call-1")
        for _ in range(50):
            bench.clock.advance(60_000)
            bench.refuse(held(send(bench)))

        history = bench.entry("call-1").history
        assert len(history) < 10
        assert history[-1].detail["sends"] == 51

    def test_an_erased_one_is_no_example_any_more(self, bench: Workbench) -> None:
        refused(bench, "call-1")

        bench.erase("call-1")

        assert bench.inventory().mentions("call-1") == []


class TestAllOfThem:
    def test_three_different_reports_with_nothing_delivered_between_hold_the_lane(self, bench: Workbench) -> None:
        refused(bench, "call-1")
        refused(bench, "call-2")
        assert bench.lane().state == "open"

        bench.accept("call-3")
        recorded = bench.refuse(bench.take("call-3"))

        lane = bench.lane()
        assert (lane.state, lane.by, lane.reason) == ("held", "roark", "http_403 No permission")
        assert recorded.news == (("lane_held", "http_403 No permission"),)
        assert bench.count("holds") == 1

    def test_a_delivery_between_begins_the_row_anew(self, bench: Workbench) -> None:
        for number in range(5):
            refused(bench, f"bad-{number}-1")
            refused(bench, f"bad-{number}-2")
            pass_another(bench, f"good-{number}")

        assert bench.lane().state == "open"

    def test_slow_deliveries_from_before_do_not_keep_it_open(self, bench: Workbench) -> None:
        slow = [f"slow-{number}" for number in range(9)]
        bench.accept_all(*slow)
        under_way = [held(one) for one in bench.claim(9).reports]
        for number, one in enumerate(under_way):
            bench.clock.advance(10)
            refused(bench, f"call-{number}")
            bench.deliver(one)

        assert bench.lane().state == "held"

    def test_a_report_that_was_refused_while_others_passed_says_nothing_about_the_lane(self, bench: Workbench) -> None:
        for name in ("bad-1", "bad-2"):
            refused(bench, name)
        pass_another(bench, "good-1")
        bench.clock.advance(WAITED_MS)
        bench.promote()

        bench.refuse(*(held(one) for one in bench.claim(2).reports))
        refused(bench, "call-1")

        assert bench.lane().state == "open"

    def test_after_a_false_alarm_it_takes_twice_as_many(self, bench: Workbench) -> None:
        hold(bench)
        bench.accept("good")
        bench.deliver(held(probe(bench)))
        for number in range(5):
            refused(bench, f"bad-{number}")
        assert bench.lane().state == "open"

        refused(bench, "bad-5")

        assert bench.lane().state == "held"

    def test_no_report_dies_of_a_long_hold(self, bench: Workbench) -> None:
        hold(bench)
        bench.accept_all(*(f"call-{number}" for number in range(10)))
        for _ in range(60):
            bench.refuse(held(probe(bench)))

        bench.deliver(held(probe(bench)))

        bench.clock.advance(WAITED_MS)
        bench.promote()
        assert bench.lane().state == "open"
        assert bench.snapshot().states[State.DEAD] == 0
        assert len(bench.claim(4).reports) == 4

    def test_that_only_one_report_is_refused_and_there_is_no_other_holds_the_lane_at_the_second_time(
        self, bench: Workbench
    ) -> None:
        refused(bench, "call-1")

        bench.refuse(send_again(bench))

        assert bench.lane().state == "held"
        assert bench.lane().evidence.reports == 1

    def test_a_newcomer_is_asked_at_once_where_only_refused_ones_were(self, bench: Workbench) -> None:
        refused(bench, "call-1")
        bench.refuse(send_again(bench))
        for _ in range(30):
            bench.clock.advance(WAITED_MS)
            bench.refuse(held(probe(bench)))
        bench.accept("good")
        bench.clock.advance(1_000)

        claim = bench.claim()

        assert [one.call_id for one in claim.reports] == ["good"]
        bench.deliver(held(claim.reports[0]))
        assert bench.lane().state == "open"
        bench.refuse(send_again(bench))
        assert bench.state("call-1") == "dead"


class TestProbes:
    def test_each_is_another_report(self, bench: Workbench) -> None:
        hold(bench)
        bench.accept_all("call-1", "call-2", "call-3")
        probes = []
        for _ in range(3):
            one = probe(bench)
            probes.append(one.call_id)
            bench.refuse(held(one))

        assert probes == ["call-1", "call-2", "call-3"]

    def test_where_all_were_refused_the_one_that_was_so_longest_ago(self, bench: Workbench) -> None:
        hold(bench)
        bench.clock.advance(WAITED_MS)
        bench.promote()
        probes = []
        for _ in range(6):
            one = probe(bench)
            probes.append(one.call_id)
            bench.refuse(held(one))
            bench.clock.advance(WAITED_MS)
            bench.promote()

        assert probes == ["h-1", "h-2", "h-3"] * 2

    def test_one_that_failed_for_another_reason_goes_before_refused_ones(self, bench: Workbench) -> None:
        bench.accept("late")
        bench.defer(bench.take("late"), WAITED_MS * 2)
        hold(bench)
        bench.clock.advance(WAITED_MS * 2)

        assert probe(bench).call_id == "late"

    def test_the_gap_grows_with_the_time_of_the_hold(self, bench: Workbench) -> None:
        hold(bench)
        bench.accept_all(*(f"call-{number}" for number in range(300)))
        began = bench.clock.now_ms
        gaps = {}
        while bench.clock.now_ms < began + 7_200_000:
            before = bench.clock.now_ms
            bench.refuse(held(probe(bench)))
            gaps[(before - began) // 1000] = bench.clock.now_ms - before

        assert gaps[0] == 1_000
        assert max(gap for second, gap in gaps.items() if second <= 120) < 3_100
        assert max(gaps.values()) == 60_000
        assert list(gaps.values()) == sorted(gaps.values())

    def test_another_reason_is_told_as_soon_as_a_probe_meets_it(self, bench: Workbench) -> None:
        hold(bench, "http_403")
        bench.accept_all("call-1")

        bench.refuse(held(probe(bench)), code="http_401")

        lane = bench.lane()
        assert lane.reason == "http_401 No permission"
        assert lane.evidence.reasons == {"http_403": 3, "http_401": 1}

    def test_one_whose_worker_died_before_it_said_anything_is_followed_by_another(self, bench: Workbench) -> None:
        hold(bench)
        bench.accept_all("call-1", "call-2")
        probe(bench)
        bench.clock.advance(120_000)
        bench.reap()

        assert probe(bench).call_id == "call-2"

    def test_another_set_up_of_the_workers_is_tried_at_once(self, bench: Workbench) -> None:
        hold(bench)
        bench.accept_all(*(f"call-{number}" for number in range(100)))
        for _ in range(80):
            bench.refuse(held(probe(bench)))
        bench.note_setup("old")
        assert bench.lane().next_ms > bench.clock.now_ms

        bench.note_setup("new")

        assert bench.lane().next_ms == bench.clock.now_ms
        bench.refuse(held(probe(bench)))
        assert bench.lane().next_ms - bench.clock.now_ms == 2_000


class TestBesideTheVersionBefore:
    """It puts the lane on hold at the first refusal, and gives the report back to its old place."""

    def test_its_hold_is_probed_and_ended_as_ours(self, bench: Workbench) -> None:
        bench.accept_all("call-1", "call-2", "call-3")
        one = bench.take("call-1")
        bench.hold_by_roark(one, reason="http_403 No permission")
        bench.release(one)

        bench.refuse(held(probe(bench)))
        bench.deliver(held(probe(bench)))

        assert bench.lane().state == "open"
        assert bench.state("call-1") == "waiting"

    def test_it_goes_on_with_our_hold(self, bench: Workbench) -> None:
        hold(bench)
        bench.accept_all("call-1", "call-2")
        one = held(probe(bench))

        assert not bench.hold_by_roark(one, reason="http_401", longest_gap_ms=300_000)
        bench.release(one)

        assert bench.lane().reason == "http_401"
        assert bench.lane().next_ms > bench.clock.now_ms
        bench.deliver(held(probe(bench)))
        assert bench.lane().state == "open"


class TestEvidence:
    def test_the_lane_says_how_many_were_refused_with_what_and_names_some(self, bench: Workbench) -> None:
        pass_another(bench, "good")
        passed = bench.clock.now_ms - 10
        bench.accept_all("call-1", "call-2", "call-3", "call-4")
        bench.refuse(*(held(one) for one in bench.claim(4).reports))

        evidence = bench.lane().evidence

        assert evidence.reports == 4
        assert evidence.reasons == {"http_403": 4}
        assert evidence.calls == ("call-1", "call-2", "call-3")
        assert evidence.passed_ms == passed

    @pytest.mark.parametrize("how", ["resume", "probe"])
    def test_it_is_gone_when_the_lane_is_open(self, bench: Workbench, how: str) -> None:
        hold(bench)
        bench.accept("good")

        if how == "resume":
            bench.resume()
        else:
            bench.deliver(held(probe(bench)))

        assert bench.lane().evidence.reports == 0
        assert bench.lane().evidence.calls == ()


def test_the_json_of_the_evidence_is_as_small_as_its_bounds(bench: Workbench) -> None:
    hold(bench)
    bench.accept_all(*(f"call-{number}" for number in range(100)))
    for _ in range(100):
        bench.refuse(held(probe(bench)))

    kept = msgspec.json.decode(bench.inventory().hashes["lane"][b"refusals"])

    assert kept["reasons"] == {"http_401": 3, "http_403": 100}
    assert len(kept["calls"]) == 3
