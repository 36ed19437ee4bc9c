"""One lane over many partitions: rate, level, hold and probes within what is promised, and no partition starves.

The bounds are those of `roark_ledger/moves/lane.py`.
"""

import asyncio
import itertools
import random
from collections.abc import Callable

import pytest
import redis
from crew_in_virtual_time import Crew
from figures import Figures, delays, most_in_any
from partitioned import partition_of
from pipeline_in_virtual_time import World
from simulated_roark import (
    SimulatedRoark,
    by_chance,
    constant,
    down,
    lognormal,
    over_concurrency,
    over_rate,
    refusing,
)

from roark_ledger.errors import LedgerUnavailable
from roark_ledger.flow import FlowRules
from roark_ledger.lifecycle import State
from roark_ledger.moves import delivery
from roark_ledger.moves.goes import HOME
from roark_ledger.moves.lane import PERMIT_SECONDS

Make = Callable[..., Crew]
Count = Callable[..., Figures]


@pytest.fixture
def crew(quick_client: "redis.Redis", prefix: str) -> Make:
    def made(roark: SimulatedRoark, *, partitions: int, **options: object) -> Crew:
        return Crew(quick_client, f"crew-{prefix}-{partitions}", roark, partitions=partitions, **options)

    return made


def some_milliseconds(chance: random.Random) -> float:
    """As a network does; one in a thousand takes long."""
    return chance.uniform(0.3, 1.5) if chance.random() < 0.001 else chance.uniform(0.0005, 0.005)


def starts(one: Crew, first: float = 0.0, last: float = 1e9) -> list[float]:
    return sorted(attempt.began for attempt in one.roark.attempts if first <= attempt.began < last)


def check_bounds(one: Crew) -> None:
    """The level to the upload, the rate within what may start by permits of the last second."""
    rules = one.rules
    assert max(attempt.in_flight for attempt in one.roark.attempts) <= rules.ceiling
    if rules.per_second:
        for window in (0.1, 0.5, 1.0, 2.0):
            most = rules.per_second * (window + PERMIT_SECONDS) + rules.burst
            assert most_in_any(window, starts(one)) <= most


class TestBounds:
    def test_level_and_rate_hold_over_all_partitions(self, crew: Make) -> None:
        rules = FlowRules(per_second=200, burst=20, ceiling=25)
        one = crew(
            SimulatedRoark(lognormal(0.1, sigma=0.5)),
            partitions=8,
            workers=6,
            rules=rules,
            delay=some_milliseconds,
            ask_seconds=0.03,
        )

        one.run(one.backlog(250))

        check_bounds(one)
        assert one.at_end[State.DELIVERED] == 250
        # As much as is allowed goes out, too.
        assert most_in_any(1.0, starts(one)) > 120

    def test_few_start_after_a_hold_and_none_later_than_their_leave_lasts(self, crew: Make) -> None:
        rules = FlowRules(per_second=200, burst=20, ceiling=25)
        one = crew(
            SimulatedRoark(lognormal(0.1, sigma=0.5)),
            partitions=8,
            workers=6,
            rules=rules,
            # Partitions that take their time.
            delay=lambda chance: chance.uniform(0.1, 0.6),
            ask_seconds=0.03,
        )

        async def hold() -> None:
            await asyncio.sleep(2)
            one.home.run(delivery.hold(by="ada", reason="moved"))
            await asyncio.sleep(3)

        one.run(one.backlog(600), hold(), most_seconds=0)

        after = starts(one, 2.0)
        assert after, "leave was under way"
        assert len(after) <= min(rules.ceiling, rules.per_second * PERMIT_SECONDS + rules.burst)
        assert after[-1] <= 2.0 + PERMIT_SECONDS

    @pytest.mark.sweep
    def test_a_held_lane_has_one_probe_out_and_never_two(self, crew: Make) -> None:
        one = crew(
            SimulatedRoark(constant(0.1), down(1, 20, status=401, takes=0.3)),
            partitions=8,
            workers=6,
            delay=some_milliseconds,
            ask_seconds=0.05,
        )

        one.run(one.arrive(per_second=30, seconds=4), most_seconds=60)

        held = [attempt for attempt in one.roark.attempts if 4 <= attempt.began < 20]
        assert len(held) >= 4
        assert max(attempt.in_flight for attempt in held) == 1
        assert one.at_end[State.DELIVERED] == 120


BAD_DAYS = {
    "a good day": lambda: SimulatedRoark(lognormal(0.1, sigma=0.5)),
    "503 for 20 s": lambda: SimulatedRoark(lognormal(0.1, sigma=0.5), down(5, 25)),
    "no connection for 20 s": lambda: SimulatedRoark(lognormal(0.1, sigma=0.5), down(5, 25, status=0)),
    "401 for 20 s": lambda: SimulatedRoark(lognormal(0.1, sigma=0.5), down(5, 25, status=401)),
    "403 of 2 in 100": lambda: SimulatedRoark(
        lognormal(0.1, sigma=0.5), refusing(*(f"call-{number}" for number in range(0, 3000, 50)), status=403)
    ),
    "503 by chance, 1 in 5": lambda: SimulatedRoark(lognormal(0.1, sigma=0.5), by_chance(0.2)),
    "429 above 60 a second": lambda: SimulatedRoark(lognormal(0.1, sigma=0.5), over_rate(60)),
    "takes 20 at once": lambda: SimulatedRoark(lognormal(0.3, sigma=0.5), over_concurrency(20)),
}


@pytest.mark.sweep
@pytest.mark.parametrize("day", BAD_DAYS)
def test_a_bad_day_is_no_worse_with_many_partitions(simulate: Callable[..., World], count: Count, day: str) -> None:
    rows, waits = {}, {}
    for partitions in (1, 16):
        world = simulate(BAD_DAYS[day](), workers=4, partitions=partitions)
        world.run(world.arrive(per_second=100, seconds=30), most_seconds=600)
        rows[partitions] = count(f"{day}, {partitions} partitions", world)
        waits[partitions] = delays(world)

    one, many = rows[1], rows[16]
    assert (many.delivered, many.dead) == (one.delivered, one.dead)
    assert many.wasted <= one.wasted * 1.1 + 0.01
    assert many.took <= one.took * 1.1 + 2
    for share in (0.5, 0.99):
        assert waits[16][int(len(waits[16]) * share)] <= waits[1][int(len(waits[1]) * share)] * 1.1 + 1


def redis_seconds(client: "redis.Redis") -> float:
    """Return how much CPU the server's own thread has used."""
    told = client.info("cpu")
    return float(told["used_cpu_user_main_thread"]) + float(told["used_cpu_sys_main_thread"])


def waits_by_partition(one: Crew) -> dict[int, list[float]]:
    """Return how long each partition's reports waited until they were sent, the longest last."""
    found: dict[int, list[float]] = {}
    for attempt in one.roark.attempts:
        wait = attempt.began - one.accepted[attempt.call_id]
        found.setdefault(partition_of(attempt.call_id, one.partitions), []).append(wait)
    return {partition: sorted(waits) for partition, waits in found.items()}


@pytest.mark.sweep
class TestManyWorkers:
    def test_twenty_thousand_reports_a_second_by_two_hundred_workers_on_64_partitions(self, crew: Make) -> None:
        rules = FlowRules(per_second=20_000, burst=5_000, ceiling=4_000)
        one = crew(
            SimulatedRoark(lognormal(0.1, sigma=0.5)),
            partitions=64,
            workers=200,
            rules=rules,
            delay=some_milliseconds,
            ask_seconds=0.1,
            gather_seconds=0.1,
        )

        # For a second more comes than may go out.
        one.run(one.arrive(per_second=20_000, seconds=2), one.arrive(per_second=8_000, seconds=1))

        check_bounds(one)
        waits = waits_by_partition(one)
        late = {partition: some[int(len(some) * 0.99)] for partition, some in waits.items()}
        everybody = sorted(wait for some in waits.values() for wait in some)
        usual, nearly_all = everybody[len(everybody) // 2], everybody[int(len(everybody) * 0.99)]
        print(
            f"\n{len(one.accepted)} reports in {one.took:.1f} s, {most_in_any(1.0, starts(one))} in the fullest second,"
            f" {max(attempt.in_flight for attempt in one.roark.attempts)} in flight; waits: half {usual:.2f} s,"
            f" 99 % {nearly_all:.2f} s, all {everybody[-1]:.2f} s; 99 % of a partition's {min(late.values()):.2f} to"
            f" {max(late.values()):.2f} s; asked {dict(one.ledgers.ran)}"
        )
        assert one.at_end[State.DELIVERED] == len(one.accepted) == 48_000
        assert len(waits) == 64
        assert max(late.values()) < nearly_all + 0.5, "no partition starves"
        assert everybody[-1] < 4

    def test_a_report_takes_no_more_scripts_with_many_partitions_than_with_few(
        self, crew: Make, quick_client: "redis.Redis"
    ) -> None:
        costs, asked = {}, {}
        for partitions in (1, 4, 16, 64):
            one = crew(
                SimulatedRoark(constant(0.1)),
                partitions=partitions,
                workers=50,
                rules=FlowRules(per_second=5_000, burst=1_250, ceiling=2_000),
                delay=some_milliseconds,
                ask_seconds=0.1,
                gather_seconds=0.1,
            )
            before = redis_seconds(quick_client)
            one.run(one.backlog(10_000))
            costs[partitions] = (redis_seconds(quick_client) - before) / 10_000 * 1e6
            asked[partitions] = {name: round(number / 10_000, 3) for name, number in one.ledgers.ran.items()}
            assert one.at_end[State.DELIVERED] == 10_000
        for partitions, cost in costs.items():
            print(
                f"\n{partitions:3} partitions: {cost:.0f} us of Redis a report; scripts a report: {asked[partitions]}",
                end="",
            )
        # Looks at what is ready are so many a second and process, not a report.
        assert asked[64]["claim"] < 1.2 * asked[1]["claim"]
        assert asked[64]["deliver"] < 1.2 * asked[1]["deliver"]
        for script in ("permit", "outcomes"):
            assert asked[64][script] < 1.5 * asked[4][script]


class TestFairness:
    def test_a_partition_with_one_report_is_not_forgotten_beside_those_with_thousands(self, crew: Make) -> None:
        one = crew(
            SimulatedRoark(constant(0.1)),
            partitions=8,
            workers=3,
            rules=FlowRules(per_second=150, burst=20, ceiling=50),
            ask_seconds=0.05,
        )
        ids = (f"call-{number}" for number in itertools.count())
        lonely = [next(each for each in ids if partition_of(each, 8) == partition) for partition in (3, 6)]
        many = [each for each in itertools.islice(ids, 3000) if partition_of(each, 8) in {0, 1}]

        async def arrive() -> None:
            one.accept_calls(many)
            await asyncio.sleep(0.1)
            one.accept_calls(lonely)

        one.run(arrive(), most_seconds=1.4)

        came = {attempt.call_id: attempt.began for attempt in one.roark.attempts}
        assert len(came) < len(many)
        assert all(came[each] < 1.3 for each in lonely)

    @pytest.mark.sweep
    def test_retries_and_replays_get_their_share_of_all_partitions_wherever_they_lie(self, crew: Make) -> None:
        one = crew(
            SimulatedRoark(constant(0.1), refusing(*(f"call-{number}" for number in range(60)), status=503)),
            partitions=8,
            workers=3,
            rules=FlowRules(per_second=80, burst=8, ceiling=30),
            ask_seconds=0.05,
        )
        # Sixty that fail and come back beside more fresh ones than may go out.
        one.run(one.backlog(60), one.arrive(per_second=120, seconds=8, after=0.5), most_seconds=0)

        again = [attempt for attempt in one.roark.attempts if attempt.status == 503 and attempt.began > 2]
        fresh = [attempt for attempt in one.roark.attempts if attempt.status == 200 and attempt.began > 2]
        assert 0.08 < len(again) / len(fresh) < 0.45


class TestFaults:
    @pytest.mark.sweep
    def test_without_a_home_nothing_starts_and_what_is_under_way_ends(self, crew: Make) -> None:
        one = crew(SimulatedRoark(constant(0.3)), partitions=8, workers=3, ask_seconds=0.05)

        async def lose_home() -> None:
            await asyncio.sleep(1)
            one.ledgers.away[HOME] = LedgerUnavailable("away")
            await asyncio.sleep(2)
            one.delivered_meanwhile = one.states()[State.DELIVERED]
            one.under_way = one.states()[State.UPLOADING]
            del one.ledgers.away[HOME]

        one.run(one.arrive(per_second=60, seconds=4), lose_home(), most_seconds=30)

        assert starts(one, 1.05, 2.9) == []
        assert one.delivered_meanwhile == len(starts(one, 0, 1.05))
        assert one.under_way == 0
        assert one.at_end[State.DELIVERED] == 240
        assert one.home_out == 0, "the home was told when it was back"

    def test_without_a_partition_the_others_go_on(self, crew: Make) -> None:
        one = crew(SimulatedRoark(constant(0.1)), partitions=4, workers=3, ask_seconds=0.05)

        async def lose_one() -> None:
            one.ledgers.away[2] = LedgerUnavailable("away")
            await asyncio.sleep(2.5)
            del one.ledgers.away[2]

        one.run(one.backlog(80), lose_one(), most_seconds=30)

        came = {attempt.call_id: attempt.began for attempt in one.roark.attempts}
        others = [began for call_id, began in came.items() if partition_of(call_id, 4) != 2]
        assert max(others) < 1.5
        assert all(began > 2.4 for call_id, began in came.items() if partition_of(call_id, 4) == 2)
        assert one.at_end[State.DELIVERED] == 80

    @pytest.mark.sweep
    def test_permits_of_workers_that_died_are_missed_by_nobody_after_their_lease(self, crew: Make) -> None:
        one = crew(
            SimulatedRoark(constant(0.5)),
            partitions=8,
            workers=3,
            rules=FlowRules(ceiling=30),
            ask_seconds=0.05,
        )

        async def kill_two() -> None:
            await asyncio.sleep(0.8)
            for worker in one.staff[:2]:
                await worker.die()

        one.run(one.backlog(300), kill_two(), most_seconds=120)

        check_bounds(one)
        assert one.at_end[State.DELIVERED] == 300
        assert one.home_out == 0
        after = [attempt.in_flight for attempt in one.roark.attempts if attempt.began > 35]
        assert not after or max(after) <= 30
