"""How many uploads may be in flight: the level that is found by itself, and what must not move it."""

from collections.abc import Callable

import pytest
from road import Road

from roark_ledger.moves import delivery
from roark_ledger.moves.delivery import Signal

RoadWith = Callable[..., Road]
FIRST = 32


@pytest.fixture
def adaptive(road_with: RoadWith) -> Road:
    return road_with(ceiling=2048, adaptive=True)


def play_round(road: Road, took_ms: int) -> int:
    """Start as many as may be, wait, deliver them all; return how many there were."""
    road.claim(1_000)
    road.clock.advance(took_ms)
    number = len(road.out)
    road.deliver(*road.out, took_ms=took_ms)
    return number


class TestRising:
    def test_it_doubles_with_each_round_while_it_is_what_holds_us_back(self, adaptive: Road) -> None:
        adaptive.accept(1_000)

        assert [play_round(adaptive, 100) for _ in range(4)] == [FIRST, 2 * FIRST, 4 * FIRST, 8 * FIRST]

    def test_it_never_goes_beyond_the_ceiling(self, road_with: RoadWith) -> None:
        road = road_with(ceiling=40, adaptive=True)
        road.accept(1_000)

        assert [play_round(road, 100) for _ in range(4)] == [FIRST, 40, 40, 40]

    def test_it_does_not_rise_while_there_is_less_to_do_than_it_allows(self, adaptive: Road) -> None:
        for _ in range(50):
            adaptive.accept(FIRST)
            assert play_round(adaptive, 100) == FIRST

        adaptive.accept(1_000)
        assert len(adaptive.claim(1_000).reports) == FIRST

    def test_it_is_one_for_all_who_ask(self, adaptive: Road) -> None:
        adaptive.accept(1_000)

        assert [len(adaptive.claim(20).reports) for _ in range(3)] == [20, FIRST - 20, 0]

    def test_a_level_that_is_set_does_not_move(self, road_with: RoadWith) -> None:
        road = road_with(ceiling=10)
        road.accept(200)
        rounds = [play_round(road, 100) for _ in range(3)]
        road.claim()
        road.fail(*road.out, signal=Signal.BOTH)

        assert [*rounds, play_round(road, 5_000)] == [10] * 4


class TestOverload:
    def test_it_is_cut_by_30_percent(self, adaptive: Road) -> None:
        adaptive.accept(100)
        one, two, three, four, *others = adaptive.start(FIRST)

        adaptive.clock.advance(10)
        adaptive.fail(one, two, three, four, signal=Signal.BOTH)
        adaptive.deliver(*others)

        assert adaptive.lane.limit == pytest.approx(0.7 * FIRST)

    def test_a_bad_answer_or_two_do_not_cut_it_while_it_doubles(self, adaptive: Road) -> None:
        adaptive.accept(100)
        one, two, *_ = adaptive.start(FIRST)
        adaptive.clock.advance(10)

        adaptive.fail(one, two, signal=Signal.BOTH)

        assert adaptive.lane.limit == 0, "it is what it was at first"
        assert len(adaptive.claim().reports) == 2

    def test_one_overload_is_one_cut_however_many_answers_it_comes_in(self, adaptive: Road) -> None:
        adaptive.accept(100)
        for one in adaptive.start(FIRST)[:10]:
            adaptive.clock.advance(10)
            adaptive.fail(one, signal=Signal.BOTH)

        assert adaptive.lane.limit == pytest.approx(0.7 * FIRST)

    def test_an_upload_that_started_after_the_cut_cuts_again(self, adaptive: Road) -> None:
        adaptive.accept(100)
        adaptive.clock.advance(10)
        adaptive.fail(*adaptive.start(FIRST), signal=Signal.BOTH)
        adaptive.clock.advance(10)

        adaptive.fail(*adaptive.start(1), signal=Signal.BOTH)

        assert adaptive.lane.limit == pytest.approx(0.7 * 0.7 * FIRST)

    def test_above_a_cut_it_rises_slowly(self, adaptive: Road) -> None:
        adaptive.accept(1_000)
        adaptive.clock.advance(10)
        adaptive.fail(*adaptive.start(FIRST), signal=Signal.BOTH)
        after_the_cut = adaptive.lane.limit
        for _ in range(4):
            play_round(adaptive, 100)

        assert after_the_cut + 1 < adaptive.lane.limit < after_the_cut + 4

    def test_it_never_sinks_below_1(self, adaptive: Road) -> None:
        adaptive.accept(100)
        for _ in range(30):
            adaptive.clock.advance(10)
            adaptive.fail(*adaptive.start(1), signal=Signal.BOTH)

        assert adaptive.lane.limit == 1
        assert len(adaptive.claim().reports) == 1

    @pytest.mark.parametrize("signal", [Signal.NONE, Signal.FAULT])
    def test_failures_that_are_no_overload_leave_it_alone(self, adaptive: Road, signal: Signal) -> None:
        adaptive.accept(100)

        adaptive.fail(*adaptive.start(10), signal=signal)

        assert adaptive.lane.limit == 0

    def test_an_open_breakers_failures_do_not_cut_it_further(self, road_with: RoadWith) -> None:
        road = road_with(ceiling=2048, adaptive=True, least=4)
        road.clock.advance(10)
        road.break_open()
        limit = road.lane.limit
        for _ in range(5):
            one = road.probe()
            road.clock.advance(10)
            road.fail(one, signal=Signal.BOTH)

        assert road.lane.limit == limit


class TestSlowness:
    def steady(self, road: Road) -> None:
        """Up to some 64 in flight, at 100 ms each."""
        road.accept(20_000)
        for _ in range(2):
            play_round(road, 100)

    def test_answers_that_take_longer_make_it_look_whether_that_is_us(self, adaptive: Road) -> None:
        self.steady(adaptive)
        before = adaptive.lane.limit

        for _ in range(2):
            play_round(adaptive, 1_000)

        assert adaptive.lane.limit == pytest.approx(before / 4, rel=0.5)

    def test_if_it_is_us_it_stays_lower(self, adaptive: Road) -> None:
        self.steady(adaptive)
        # Roark serves 40 at once; what is beyond that waits there.
        levels = []
        for _ in range(60):
            adaptive.claim(1_000)
            took_ms = round(100 * max(1.0, len(adaptive.out) / 40))
            adaptive.clock.advance(took_ms)
            adaptive.deliver(*adaptive.out, took_ms=took_ms)
            levels.append(adaptive.lane.limit)

        assert max(levels[20:]) < 40 * 3
        assert max(levels[-20:]) > 40

    def test_if_it_is_not_us_it_comes_back(self, adaptive: Road) -> None:
        self.steady(adaptive)
        before = adaptive.lane.limit

        for _ in range(10):
            play_round(adaptive, 1_000)

        assert adaptive.lane.limit >= before

    def test_one_late_answer_moves_nothing(self, adaptive: Road) -> None:
        self.steady(adaptive)
        before = adaptive.lane.limit

        started = adaptive.start(10)
        adaptive.deliver(*started[:9], took_ms=100)
        adaptive.deliver(started[9], took_ms=30_000)

        assert adaptive.lane.limit >= before

    def test_a_level_of_1_does_not_stay_there_because_roark_is_slow(self, adaptive: Road) -> None:
        adaptive.accept(1_000)
        for _ in range(30):
            adaptive.clock.advance(10)
            adaptive.fail(*adaptive.start(1), signal=Signal.BOTH)
        for _ in range(30):
            play_round(adaptive, 100)
        for _ in range(200):
            play_round(adaptive, 1_000)

        assert adaptive.lane.limit > 2


class TestAfterAHold:
    def test_a_good_probe_starts_slowly(self, adaptive: Road) -> None:
        adaptive.accept(1_000)
        adaptive.refuse(adaptive.start(1)[0])
        adaptive.deliver(adaptive.probe())

        assert [play_round(adaptive, 100) for _ in range(3)] == [4, 8, 16]

    def test_so_does_a_person(self, adaptive: Road) -> None:
        adaptive.accept(1_000)
        adaptive.run(delivery.hold(by="ada", reason="Roark is being moved"))
        adaptive.run(delivery.resume(by="ada"))

        assert len(adaptive.claim(1_000).reports) == 4
