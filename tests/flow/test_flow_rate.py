"""How many uploads may start in a time: the limit that was set, the pause that Roark asks for, the pace it shows."""

import itertools
from collections.abc import Callable

import pytest
from road import Road

from roark_ledger.moves.delivery import LaneState, Signal

RoadWith = Callable[..., Road]


class TestTheLimitThatWasSet:
    def test_after_a_pause_a_burst_may_start_at_once_and_then_one_at_a_time(self, road_with: RoadWith) -> None:
        road = road_with(per_second=10, burst=3)
        road.accept(100)

        assert len(road.claim().reports) == 3
        starts = []
        for _ in range(10):
            road.clock.advance(50)
            starts.append(len(road.claim().reports))

        assert starts == [0, 1] * 5

    def test_a_refused_claim_says_to_the_ms_when_to_ask_again(self, road_with: RoadWith) -> None:
        road = road_with(per_second=3, burst=2)
        road.accept(10)
        road.claim()
        road.clock.advance(100)

        claim = road.claim()

        assert (claim.lane, claim.reports) == (LaneState.THROTTLED, ())
        road.clock.advance(claim.wait_ms - 1)
        assert road.claim().reports == ()
        road.clock.advance(1)
        assert len(road.claim().reports) == 1

    def test_what_was_not_used_is_not_saved_up(self, road_with: RoadWith) -> None:
        road = road_with(per_second=10, burst=3)
        road.clock.advance(3_600_000)
        road.accept(100)

        assert len(road.claim().reports) == 3

    def test_a_rate_that_is_raised_holds_at_once(self, road_with: RoadWith) -> None:
        slow = road_with(per_second=1 / 60, burst=1)
        slow.accept(100)
        slow.claim()
        quick = road_with(per_second=100, burst=1)

        assert quick.claim().wait_ms <= 10

    def test_reports_that_are_not_there_use_nothing_of_it(self, road_with: RoadWith) -> None:
        road = road_with(per_second=10, burst=3)
        for _ in range(5):
            assert road.claim().reports == ()
        road.accept(3)

        assert len(road.claim().reports) == 3


class TestThePause:
    @pytest.mark.parametrize("how", ["fail", "deliver"])
    def test_it_is_for_every_report(self, road: Road, how: str) -> None:
        road.accept(10)
        getattr(road, how)(*road.start(1), pause_ms=2_000)
        road.clock.advance(500)

        claim = road.claim()

        assert (claim.lane, claim.wait_ms, claim.reports) == (LaneState.THROTTLED, 1_500, ())
        lane = road.lane
        assert (lane.state, lane.since_ms) == ("throttled", road.clock.now_ms - 500)
        assert lane.next_ms == road.clock.now_ms + 1_500

    def test_it_ends_by_itself(self, road: Road) -> None:
        road.accept(10)
        road.fail(*road.start(1), signal=Signal.NONE, pause_ms=2_000)

        road.clock.advance(2_000)

        assert len(road.claim().reports) == 9
        assert road.lane.state == "open"

    def test_a_shorter_one_does_not_shorten_it(self, road: Road) -> None:
        road.accept(10)
        one, two = road.start(2)
        road.fail(one, pause_ms=60_000)

        road.fail(two, pause_ms=1_000)

        assert road.claim().wait_ms == 60_000


class TestThePace:
    def test_a_429_teaches_how_much_was_let_through(self, road_with: RoadWith) -> None:
        road = road_with(ceiling=1_000)
        road.accept(1_000)
        for _ in range(20):
            started = road.start(5)
            road.clock.advance(100)
            road.deliver(*started)
        allowed, refused = road.start(3), road.start(2)

        road.deliver(*allowed)
        road.fail(*refused, signal=Signal.OVERLOAD)

        assert road.lane.pace == pytest.approx(50, abs=5)

    def test_uploads_are_slower_than_that_at_first_and_faster_after_a_while(self, road_with: RoadWith) -> None:
        road = road_with(ceiling=10_000)
        road.accept(6_000)
        for _ in range(20):
            started = road.start(5)
            road.clock.advance(100)
            road.deliver(*started)
        road.fail(*road.start(1), signal=Signal.OVERLOAD)
        pace = road.lane.pace

        per_second = []
        for _ in range(20):
            number = 0
            for _ in range(100):
                road.clock.advance(10)
                number += len(road.claim().reports)
            road.deliver(*road.out)
            per_second.append(number)

        assert per_second[0] == pytest.approx(0.86 * pace, abs=4)
        assert per_second[4] == pytest.approx(pace, abs=4)
        assert per_second[19] > 2 * pace
        # A token that one second leaves over is used in the next.
        assert all(later >= earlier - 1 for earlier, later in itertools.pairwise(per_second))

    def test_it_is_forgotten(self, road_with: RoadWith) -> None:
        road = road_with(ceiling=1_000)
        road.accept(1_000)
        road.fail(*road.start(1), signal=Signal.OVERLOAD)
        assert road.lane.pace > 0

        road.clock.advance(125_000)

        assert road.lane.pace == 0
        assert len(road.claim(900).reports) == 900

    def test_one_seconds_429s_are_one_sign(self, road_with: RoadWith) -> None:
        road = road_with(ceiling=1_000)
        road.accept(1_000)
        started = road.start(100)
        road.fail(*started[:10], signal=Signal.OVERLOAD)
        pace = road.lane.pace

        for one in started[10:20]:
            road.clock.advance(50)
            road.fail(one, signal=Signal.OVERLOAD)

        assert road.lane.pace == pace

    def test_it_never_goes_beyond_the_rate_that_was_set(self, road_with: RoadWith) -> None:
        road = road_with(ceiling=1_000, per_second=20, burst=2)
        road.accept(1_000)
        road.fail(*road.start(1), signal=Signal.OVERLOAD)
        road.clock.advance(100_000)
        road.claim()

        number = 0
        for _ in range(100):
            road.clock.advance(10)
            number += len(road.claim().reports)

        assert number == 20
