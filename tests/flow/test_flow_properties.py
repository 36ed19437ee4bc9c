"""What holds of the lane whatever happens: any workers, any answers, any clock.

The stories are told on a real server, which is several times faster at it than fakeredis; a few on each backend.
"""

from collections.abc import Iterator
from itertools import count

import pytest
import redis
from clocks import Clock
from hypothesis import given
from hypothesis import strategies as st
from road import LEASE_MS, Road
from servers import running

from roark_ledger.flow import FlowRules, per_second, usual_burst
from roark_ledger.ledger import Ledger
from roark_ledger.lifecycle import State
from roark_ledger.moves import delivery, upkeep, watch
from roark_ledger.moves.delivery import LaneState, Signal
from roark_ledger.server.connection import connect

HOUR_MS = 3_600_000
_numbers = count()


@pytest.fixture(scope="module")
def quick_client() -> Iterator["redis.Redis"]:
    """A client of a Valkey that keeps nothing on disk."""
    with running(appendonly="no") as server, connect(server.url) as client:
        yield client


def a_road(client: "redis.Redis", rules: FlowRules) -> Road:
    """An empty road on this server."""
    clock = Clock()
    return Road(Ledger(client, prefix=f"road-{next(_numbers)}", clock=clock), clock, rules)


# the rate

STEPS = st.lists(st.tuples(st.integers(0, 3_000), st.integers(1, 50)), min_size=1, max_size=40)
RATES = st.builds(
    FlowRules, per_second=st.floats(0.5, 500), burst=st.integers(1, 40), ceiling=st.just(10**6), adaptive=st.just(False)
)


def check_rate(road: Road, steps: list[tuple[int, int]], *, jumps: dict[int, int] | None = None) -> None:
    """In any window of real time no more start than a burst and what the rate brings, and one burst for each jump."""
    jumps = jumps or {}
    real_ms, starts = 0, []
    for place, (ms, wanted) in enumerate(steps):
        road.clock.advance(ms + jumps.get(place, 0))
        real_ms += ms
        road.accept(wanted)
        claim = road.claim(wanted)
        assert claim.wait_ms >= 0
        assert claim.wait_ms <= 1_000 * road.rules.burst / road.rules.per_second + 1
        starts.append((real_ms, len(claim.reports)))
    for first in range(len(starts)):
        number = 0
        for at, started in starts[first:]:
            number += started
            brings = (at - starts[first][0]) / 1_000 * road.rules.per_second * 1.001
            assert number <= road.rules.burst * (1 + len(jumps)) + brings + 0.001


@given(RATES, STEPS)
def test_in_no_window_more_uploads_start_than_a_burst_and_what_the_rate_brings(
    quick_client: "redis.Redis", rules: FlowRules, steps: list[tuple[int, int]]
) -> None:
    road = a_road(quick_client, rules)
    check_rate(road, steps)


@given(RATES, STEPS, st.integers(0, 39), st.sampled_from([-HOUR_MS, HOUR_MS, -1, -10_000]))
def test_nor_do_they_when_the_clock_jumps(
    quick_client: "redis.Redis", rules: FlowRules, steps: list[tuple[int, int]], place: int, jump_ms: int
) -> None:
    road = a_road(quick_client, rules)
    check_rate(road, steps, jumps={place: jump_ms})


@given(RATES, st.integers(0, 100))
def test_who_waits_as_long_as_the_gate_says_gets_one_and_no_ms_earlier(
    quick_client: "redis.Redis", rules: FlowRules, number: int
) -> None:
    road = a_road(quick_client, rules)
    road.accept(number + rules.burst + 2)
    road.claim(number + rules.burst)
    while (claim := road.claim(1)).reports:
        road.accept()
    assert claim.lane is LaneState.THROTTLED
    assert claim.wait_ms >= 1

    road.clock.advance(claim.wait_ms - 1)
    assert road.claim(1).reports == ()
    road.clock.advance(1)
    assert len(road.claim(1).reports) == 1


@given(st.floats(0.001, 1e5))
def test_the_usual_burst_is_at_least_2_and_never_more_than_a_quarter_second_brings(rate: float) -> None:
    assert 2 <= usual_burst(rate) <= max(2, rate / 4 + 1)


@given(st.integers(1, 10**6), st.sampled_from([("s", 1), ("min", 60), ("h", 3600), ("m", 60), ("hour", 3600)]))
def test_a_rate_reads_as_it_is_written(number: int, unit: tuple[str, int]) -> None:
    assert per_second(f"{number}/{unit[0]}") == number / unit[1]


# the breaker, the hold and their probes

WORKERS = 4
Step = tuple[str, int, int]
STORY = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *["claim"] * 6,
                *["wait"] * 3,
                *["fail"] * 3,
                "deliver",
                "overload",
                "too fast",
                "bury",
                "refuse",
                "release",
                "die",
                "resume",
                "hold",
                "jump",
            ]
        ),
        st.integers(0, 10**6),
        st.integers(0, WORKERS - 1),
    ),
    min_size=30,
    max_size=60,
)
RULES = st.builds(
    FlowRules,
    per_second=st.sampled_from([0.0, 20.0]),
    burst=st.integers(1, 10),
    ceiling=st.integers(1, 30),
    adaptive=st.booleans(),
    window_ms=st.just(10_000),
    least=st.integers(1, 6),
    share=st.floats(0.2, 1),
    cooldown_ms=st.just(1_000),
    longest_cooldown_ms=st.just(8_000),
)
WAITS_MS = (0, 1, 500, 1_000, 1_000, 2_000, 8_000, 20_000)


class Teller:
    """Plays a story on a road, and looks after each step whether all is as it must be."""

    def __init__(self, road: Road, beginning: str = "open") -> None:
        self.road = road
        self.probes_since: set[delivery.Held] = set()
        match beginning:
            case "breaker":
                while road.lane.state != "breaker-open":
                    road.accept()
                    road.fail(*road.start())
                    road.clock.advance(600)
            case "held":
                road.accept()
                road.refuse(road.start()[0], gap_ms=1_000, longest_gap_ms=8_000)

    def step(self, what: str, number: int, worker: int) -> None:
        road = self.road
        mine = road.out[worker::WORKERS]
        match what:
            case "claim":
                self.claim(1 + number % 20)
            case "wait":
                road.clock.advance(WAITS_MS[number % len(WAITS_MS)])
                road.run(upkeep.reap(most=100, deaths=10**6))
                self.forget_lost()
            case "jump":
                road.clock.advance((-HOUR_MS, HOUR_MS)[number % 2])
                road.run(upkeep.reap(most=100, deaths=10**6))
                self.forget_lost()
            case "resume":
                road.run(delivery.resume(by="ada"))
            case "hold":
                road.run(delivery.hold(by="ada", reason="a reason"))
            case _ if mine:
                self.end(what, mine[number % len(mine)])
        self.check()

    def claim(self, wanted: int) -> None:
        road = self.road
        before = road.snapshot
        state, level = before.lane.state, before.lane.limit
        out_before = set(road.out)
        ready = before.states[State.READY]
        road.accept(max(0, wanted - ready))
        claim = road.claim(wanted)
        started = set(road.out) - out_before
        assert claim.wait_ms >= 0
        assert claim.wait_ms <= max(60_000, LEASE_MS)
        if claim.lane in {LaneState.PROBING, LaneState.HALF_OPEN} and started:
            assert len(started) == 1
            assert not (self.probes_since & out_before), "a second probe while the first one is out"
            self.probes_since |= started
        elif state != "open":
            assert not started or claim.lane is LaneState.OPEN
        if claim.lane is LaneState.OPEN:
            assert len(road.out) <= max(len(out_before), int(min(level or 32, road.rules.ceiling)))
            self.probes_since.clear()

    def end(self, what: str, one: delivery.Held) -> None:
        road = self.road
        match what:
            case "deliver":
                road.deliver(one)
            case "fail":
                road.fail(one)
            case "overload":
                road.fail(one, signal=Signal.BOTH)
            case "too fast":
                road.fail(one, signal=Signal.OVERLOAD, pause_ms=700)
            case "bury":
                road.bury(one)
            case "release":
                road.release(one)
            case "refuse":
                road.refuse(one, gap_ms=1_000, longest_gap_ms=8_000)
            case "die":
                road.clock.advance(LEASE_MS)
                road.run(upkeep.reap(most=100, deaths=10**6))
                self.forget_lost()
        self.probes_since.discard(one)

    def forget_lost(self) -> None:
        # All leases are equally long and nobody prolongs them here.
        kept = [one for one in self.road.out if self.road.run(delivery.renew([one], lease_ms=LEASE_MS))[0]]
        self.probes_since &= set(kept)
        self.road.out[:] = kept

    def check(self) -> None:
        snapshot = self.road.snapshot
        assert snapshot.states[State.UPLOADING] == len(self.road.out)
        assert snapshot.balanced
        assert 0 <= snapshot.lane.limit <= 10**6


@given(RULES, st.sampled_from(["open", "breaker", "held"]), STORY)
def test_whatever_happens_there_is_one_probe_at_a_time_and_no_claim_beyond_the_level(
    quick_client: "redis.Redis", rules: FlowRules, beginning: str, story: list[Step]
) -> None:
    road = a_road(quick_client, rules)
    teller = Teller(road, beginning)
    for step in story:
        teller.step(*step)


@given(RULES, STORY)
def test_and_in_the_end_the_lane_opens_again_when_roark_is_well(
    quick_client: "redis.Redis", rules: FlowRules, story: list[Step]
) -> None:
    road = a_road(quick_client, rules)
    teller = Teller(road)
    for step in story:
        teller.step(*step)
    road.run(delivery.resume(by="ada"))
    road.accept(3)
    for _ in range(40):
        road.clock.advance(max(1_000, road.claim(1).wait_ms))
        road.run(upkeep.reap(most=100, deaths=10**6))
        teller.forget_lost()
        if road.out:
            road.deliver(*road.out)
            road.accept(3)
        if road.lane.state == "open":
            break

    assert road.lane.state == "open"
    road.clock.advance(1_000)
    assert road.claim(1).reports


@given(st.lists(st.sampled_from(["fail", "bury"]), max_size=60))
def test_refusals_of_single_reports_never_open_the_breaker(quick_client: "redis.Redis", ways: list[str]) -> None:
    road = a_road(quick_client, FlowRules(least=1, share=0.01, ceiling=100))
    for way in ways:
        road.accept()
        if way == "fail":
            road.fail(*road.start(), signal=Signal.NONE)
        else:
            road.bury(*road.start())
        assert road.lane.state == "open"


@given(st.lists(st.sampled_from(["refuse", "release", "claim"]), min_size=1, max_size=40))
def test_refused_claims_and_reports_that_are_given_back_cost_no_attempt(
    quick_client: "redis.Redis", ways: list[str]
) -> None:
    road = a_road(quick_client, FlowRules(ceiling=100))
    road.accept()
    for way in ways:
        claim = road.claim()
        for report in claim.reports:
            assert report.attempts == 0
        for one in list(road.out):
            if way == "refuse":
                road.refuse(one)
            else:
                road.release(one)
        road.clock.advance(claim.wait_ms + 1_000)
    entry = road.run(watch.look("call 0"))
    assert entry is not None
    assert entry.record is not None
    assert (entry.record.attempts, entry.record.state) == (0, State.READY)


@given(st.integers(1, 12), st.integers(1, 5_000), st.integers(1, 60_000))
def test_the_gaps_between_probes_of_a_hold_never_shrink_and_never_pass_the_longest(
    quick_client: "redis.Redis", probes: int, gap_ms: int, longest_gap_ms: int
) -> None:
    longest_gap_ms = max(gap_ms, longest_gap_ms)
    road = a_road(quick_client, FlowRules(ceiling=100))
    road.accept()
    road.refuse(road.start()[0], gap_ms=gap_ms, longest_gap_ms=longest_gap_ms)
    gaps = []
    for _ in range(probes):
        gap = road.claim().wait_ms
        gaps.append(gap)
        road.clock.advance(gap)
        road.refuse(road.start()[0], gap_ms=gap_ms, longest_gap_ms=longest_gap_ms)

    assert gaps == sorted(gaps)
    assert gaps[0] == gap_ms
    assert max(gaps) <= longest_gap_ms


# the level

ROUNDS = st.lists(
    st.tuples(st.integers(1, 100_000), st.sampled_from([None, Signal.BOTH, Signal.OVERLOAD, Signal.FAULT])), max_size=40
)


@given(st.integers(1, 300), ROUNDS)
def test_the_level_stays_between_1_and_the_ceiling_and_something_may_always_start(
    quick_client: "redis.Redis", ceiling: int, rounds: list[tuple[int, Signal | None]]
) -> None:
    road = a_road(quick_client, FlowRules(ceiling=ceiling, adaptive=True))
    for took_ms, signal in rounds:
        road.accept(20)
        claim = road.claim(20)
        assert claim.reports or claim.lane is LaneState.THROTTLED
        assert len(road.out) <= ceiling
        road.clock.advance(took_ms)
        if signal is None:
            road.deliver(*road.out, took_ms=took_ms)
        else:
            road.fail(*road.out, signal=signal)
        assert road.lane.limit == 0 or 1 <= road.lane.limit <= max(ceiling, 4)
        road.clock.advance(claim.wait_ms)


# the same on each backend, for a few stories

SOME_STORIES = [
    [("claim", 9, 0), *[("fail", 0, 0)] * 6, ("claim", 3, 1), ("wait", 4, 0), ("claim", 3, 2), ("fail", 0, 0),
     ("wait", 5, 0), ("claim", 3, 3), ("deliver", 0, 0), ("claim", 19, 0), ("claim", 19, 1)],
    [("claim", 9, 0), ("refuse", 0, 0), ("refuse", 0, 1), ("claim", 3, 1), ("wait", 4, 0), ("claim", 3, 2),
     ("claim", 3, 3), ("refuse", 0, 0), ("jump", 0, 0), ("wait", 5, 0), ("claim", 3, 3), ("deliver", 0, 0)],
    [("claim", 9, 0), ("overload", 0, 0), ("too fast", 0, 0), ("wait", 4, 0), ("claim", 19, 1), ("jump", 1, 0),
     ("claim", 19, 2), ("hold", 0, 0), ("claim", 3, 3), ("resume", 0, 0), ("claim", 3, 0), ("die", 0, 0)],
]  # fmt: skip


@pytest.mark.parametrize("story", SOME_STORIES, ids=["a breaker", "a hold", "overload"])
def test_on_each_backend(client: "redis.Redis", story: list[Step]) -> None:
    rules = FlowRules(
        per_second=20, burst=10, ceiling=30, adaptive=True, window_ms=10_000, least=3, cooldown_ms=1_000,
        longest_cooldown_ms=8_000,
    )  # fmt: skip
    road = a_road(client, rules)
    teller = Teller(road)
    for step in story:
        teller.step(*step)
