"""The lane on hold: by hand until somebody resumes, by Roark's answers until a probe shows that it takes reports."""

import pytest
from workbench import LEASE_MS, Workbench, all_held, held

from roark_ledger.moves.delivery import Held, LaneState, Signal


def probe(bench: Workbench, gap_ms: int) -> Held:
    """Wait out the gap and claim the probe."""
    bench.clock.advance(gap_ms)
    claim = bench.claim(10)
    assert claim.lane is LaneState.PROBING
    (report,) = claim.reports
    return held(report)


class TestByHand:
    def test_nothing_is_handed_out_and_nothing_moves(self, bench: Workbench) -> None:
        bench.accept("call-1")

        assert bench.hold_by_hand("Roark is being moved")

        claim = bench.claim()
        assert (claim.lane, claim.wait_ms, claim.reports) == (LaneState.HELD, 0, ())
        assert bench.state() == "ready"

    def test_reports_are_still_taken_in(self, bench: Workbench) -> None:
        bench.hold_by_hand()

        assert bench.accept("call-1") == "accepted"

    def test_uploads_that_are_under_way_are_still_settled(self, bench: Workbench) -> None:
        bench.accept("call-1")
        one = bench.take()

        bench.hold_by_hand()

        assert bench.deliver(one)

    def test_the_snapshot_says_who_and_why_and_since_when(self, bench: Workbench) -> None:
        bench.hold_by_hand("Roark is being moved")
        since = bench.clock.now_ms
        bench.clock.advance(5_000)

        lane = bench.lane()

        assert (lane.state, lane.by, lane.reason) == ("held", "ada", "Roark is being moved")
        assert lane.since_ms == since
        assert lane.next_ms == 0

    def test_no_probe_ever_comes(self, bench: Workbench) -> None:
        bench.accept("call-1")
        bench.hold_by_hand()
        bench.clock.advance(10**9)

        assert bench.claim().lane is LaneState.HELD

    def test_resuming_opens_the_lane(self, bench: Workbench) -> None:
        bench.accept("call-1")
        bench.hold_by_hand()

        assert bench.resume()

        assert bench.claimed_ids() == ["call-1"]
        assert bench.lane().state == "open"
        assert bench.lane().reason == ""

    def test_resuming_an_open_lane_says_so(self, bench: Workbench) -> None:
        assert not bench.resume()

    def test_holding_twice_is_one_hold_with_the_later_reason(self, bench: Workbench) -> None:
        assert bench.hold_by_hand("first")
        assert not bench.hold_by_hand("second")

        assert bench.lane().reason == "second"
        assert bench.count("holds") == 1

    def test_it_is_not_weakened_by_roarks_answers(self, bench: Workbench) -> None:
        bench.accept("call-1")
        one = bench.take()
        bench.hold_by_hand("Roark is being moved")
        before = bench.inventory().hashes["lane"]

        assert not bench.hold_by_roark(one)

        assert bench.inventory().hashes["lane"] == before

    def test_it_takes_over_a_hold_by_roark_and_with_it_ends_the_probes(self, bench: Workbench) -> None:
        bench.accept_all("call-1", "call-2")
        bench.hold_by_roark(gap_ms=1_000)
        one = probe(bench, 1_000)

        bench.hold_by_hand("Roark is being moved")
        bench.deliver(one)

        assert bench.lane().state == "held"
        bench.clock.advance(10**9)
        assert bench.claim().lane is LaneState.HELD


class TestByRoark:
    def test_a_refused_claim_says_how_long_until_the_probe(self, bench: Workbench) -> None:
        bench.accept("call-1")
        assert bench.hold_by_roark(gap_ms=1_000)
        bench.clock.advance(300)

        claim = bench.claim()

        assert (claim.lane, claim.wait_ms, claim.reports) == (LaneState.HELD, 700, ())

    def test_the_probe_is_one_report_whatever_is_wanted(self, bench: Workbench) -> None:
        bench.accept_all("call-1", "call-2", "call-3")
        bench.hold_by_roark(gap_ms=1_000)
        bench.clock.advance(1_000)

        first, second = bench.claim(10), bench.claim(10)

        assert first.lane is LaneState.PROBING
        assert len(first.reports) == 1
        assert (second.lane, second.reports) == (LaneState.HELD, ())

    def test_no_second_probe_goes_out_while_the_first_ones_lease_lives(self, bench: Workbench) -> None:
        bench.accept_all("call-1", "call-2")
        bench.hold_by_roark(gap_ms=1_000)
        one = probe(bench, 1_000)
        bench.clock.advance(LEASE_MS - 1)
        bench.renew(one, 500)

        claim = bench.claim()

        assert (claim.lane, claim.wait_ms) == (LaneState.HELD, 500)

    def test_a_probe_that_is_never_heard_of_is_followed_by_another(self, bench: Workbench) -> None:
        bench.accept_all("call-1", "call-2")
        bench.hold_by_roark(gap_ms=1_000)
        probe(bench, 1_000)

        probe(bench, LEASE_MS)

    def test_a_lane_without_reports_has_no_probe_to_send_and_stays_held(self, bench: Workbench) -> None:
        bench.hold_by_roark(gap_ms=1_000)
        bench.clock.advance(1_000)

        assert bench.claim().reports == ()

        assert bench.lane().state == "held"
        bench.accept("call-1")
        assert bench.claim().lane is LaneState.PROBING

    def test_a_good_probe_resumes(self, bench: Workbench) -> None:
        bench.accept_all("call-1", "call-2")
        bench.hold_by_roark(gap_ms=1_000)

        bench.deliver(probe(bench, 1_000))

        assert bench.lane().state == "open"
        assert bench.claimed_ids() == ["call-2"]

    def test_after_a_hold_uploads_begin_slowly(self, bench: Workbench) -> None:
        bench.accept_all(*(f"call-{number}" for number in range(20)))
        bench.hold_by_hand()
        bench.resume()

        first = all_held(bench.claim(20).reports)
        assert len(first) == 4
        for one in first:
            bench.deliver(one)

        assert len(bench.claim(20).reports) == 8

    def test_a_buried_probe_resumes_because_roark_judged_the_report_and_not_us(self, bench: Workbench) -> None:
        bench.accept_all("call-1", "call-2")
        bench.hold_by_roark(gap_ms=1_000)

        bench.bury(probe(bench, 1_000))

        assert bench.lane().state == "open"

    @pytest.mark.parametrize("settle", ["defer", "release"])
    def test_a_probe_that_tells_nothing_is_followed_by_another_after_the_same_gap(
        self, bench: Workbench, settle: str
    ) -> None:
        bench.accept_all("call-1", "call-2")
        bench.hold_by_roark(gap_ms=1_000)

        getattr(bench, settle)(probe(bench, 1_000))

        assert bench.lane().state == "held"
        assert bench.lane().next_ms == bench.clock.now_ms + 1_000
        probe(bench, 1_000)

    def test_a_deferred_probe_that_roark_did_judge_resumes(self, bench: Workbench) -> None:
        bench.accept_all("call-1", "call-2")
        bench.hold_by_roark(gap_ms=1_000)

        bench.defer(probe(bench, 1_000), reason="status-409", signal=Signal.NONE)

        assert bench.lane().state == "open"

    def test_the_delivery_of_an_upload_from_before_the_hold_does_not_resume(self, bench: Workbench) -> None:
        bench.accept_all("call-1", "call-2")
        early = bench.take("call-1")
        bench.hold_by_roark(gap_ms=1_000)

        bench.deliver(early)

        assert bench.lane().state == "held"

    def test_the_late_delivery_of_an_earlier_probe_does_not_resume(self, bench: Workbench) -> None:
        bench.accept_all("call-1", "call-2")
        bench.hold_by_roark(gap_ms=1_000)
        first = probe(bench, 1_000)
        probe(bench, LEASE_MS)

        assert bench.deliver(first)

        assert bench.lane().state == "held"

    def test_the_gap_doubles_from_one_bad_probe_to_the_next_up_to_the_longest(self, bench: Workbench) -> None:
        bench.accept("call-1")
        bench.hold_by_roark(gap_ms=1_000, longest_gap_ms=6_000)
        gaps = []
        gap = 1_000
        for _ in range(4):
            one = probe(bench, gap)
            bench.hold_by_roark(one, gap_ms=1_000, longest_gap_ms=6_000)
            bench.release(one)
            gap = bench.lane().next_ms - bench.clock.now_ms
            gaps.append(gap)

        assert gaps == [2_000, 4_000, 6_000, 6_000]

    def test_a_refusal_that_is_not_the_probes_does_not_widen_the_gap(self, bench: Workbench) -> None:
        bench.accept_all("call-1", "call-2", "call-3")
        early = [bench.take("call-1"), bench.take("call-2")]
        assert bench.hold_by_roark(early[0], gap_ms=1_000)

        assert not bench.hold_by_roark(early[1], gap_ms=1_000)

        assert bench.lane().next_ms == bench.clock.now_ms + 1_000
        assert bench.count("holds") == 1

    def test_one_bad_probe_that_is_reported_twice_doubles_the_gap_once(self, bench: Workbench) -> None:
        bench.accept("call-1")
        bench.hold_by_roark(gap_ms=1_000)
        one = probe(bench, 1_000)

        bench.hold_by_roark(one)
        bench.hold_by_roark(one)

        assert bench.lane().next_ms == bench.clock.now_ms + 2_000

    def test_a_new_hold_after_a_resume_begins_with_the_first_gap(self, bench: Workbench) -> None:
        bench.accept_all("call-1", "call-2")
        bench.hold_by_roark(gap_ms=1_000)
        bench.hold_by_roark(probe(bench, 1_000))
        bench.resume()

        bench.hold_by_roark(gap_ms=1_000)

        assert bench.lane().next_ms == bench.clock.now_ms + 1_000

    def test_a_person_may_resume_without_waiting_for_a_probe(self, bench: Workbench) -> None:
        bench.accept("call-1")
        bench.hold_by_roark(gap_ms=1_000_000)

        assert bench.resume()
        assert bench.claimed_ids() == ["call-1"]

    def test_a_probe_whose_worker_died_comes_back_as_any_report_does(self, bench: Workbench) -> None:
        bench.accept("call-1")
        bench.hold_by_roark(gap_ms=1_000)
        probe(bench, 1_000)
        bench.clock.advance(LEASE_MS)

        bench.reap()

        claim = bench.claim()
        assert claim.lane is LaneState.PROBING
        assert bench.deliver(held(claim.reports[0]))
        assert bench.lane().state == "open"
