"""Failures that do not depend on how much is in flight: the level keeps what the best fixed one delivers.

And the other way round: at a capacity, with and without such failures beside it, under a tenth is wasted.

`make sweep` goes through all shares and latencies, with one worker and with three; `make test` through one of them.
"""

import itertools
import random
from collections.abc import Callable

import pytest
from figures import Figures
from pipeline_in_virtual_time import World
from simulated_roark import Condition, Reply, Request, SimulatedRoark, by_chance, constant, over_concurrency

Simulate = Callable[..., World]
Count = Callable[..., Figures]
SECONDS = 30


def slowly_by_chance(share: float, seconds: float) -> Condition:
    """Refusals that take as long as everything else."""
    chance = random.Random(1)

    def condition(_request: Request) -> Reply | None:
        return Reply(503, takes=seconds, message="try again") if chance.random() < share else None

    return condition


def four_fifths_of_the_best(
    simulate: Simulate,
    count: Count,
    share: float,
    latency: float,
    workers: int,
    *,
    quickly: bool,
    per_second: float = 0,
) -> None:
    # More than its first level takes needs time to be found.
    seconds = 2 * SECONDS if per_second else SECONDS
    per_second = per_second or min(100, 38 / latency)

    def delivered(concurrency: int) -> int:
        refusals = by_chance(share) if quickly else slowly_by_chance(share, latency)
        roark = SimulatedRoark(constant(latency), refusals)
        world = simulate(roark, workers=workers, concurrency=concurrency)
        world.run(world.arrive(per_second=per_second, seconds=seconds), most_seconds=0.1)
        count(f"{share:.0%} by chance, {latency:g} s, at {concurrency or 'its own level'}", world)
        assert world.at_end.total("breaker_opened") == 0
        return sum(attempt.status == 200 and attempt.ended <= seconds for attempt in roark.attempts)

    # Without a capacity the best level is one that holds nobody back.
    best = delivered(round(3 * per_second * latency) + 32)
    assert best > 0.5 * (1 - share) * per_second * seconds
    assert delivered(0) >= 0.8 * best


def test_four_fifths_of_what_the_best_fixed_level_delivers(simulate: Simulate, count: Count) -> None:
    four_fifths_of_the_best(simulate, count, share=0.08, latency=0.02, workers=3, quickly=False)


@pytest.mark.sweep
def test_so_does_a_level_of_hundreds_whose_bad_answers_come_late(simulate: Simulate, count: Count) -> None:
    four_fifths_of_the_best(simulate, count, 0.4, 2.0, 1, quickly=False, per_second=60)


@pytest.mark.sweep
@pytest.mark.parametrize("share", [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4])
@pytest.mark.parametrize(("latency", "per_second"), [(0.02, 0), (0.1, 0), (0.3, 0), (2.0, 0), (2.0, 60)])
@pytest.mark.parametrize(("workers", "quickly"), list(itertools.product([1, 3], [True, False])))
def test_so_it_is_everywhere(
    simulate: Simulate,
    count: Count,
    share: float,
    latency: float,
    per_second: float,
    workers: int,
    *,
    quickly: bool,
) -> None:
    four_fifths_of_the_best(simulate, count, share, latency, workers, quickly=quickly, per_second=per_second)


@pytest.mark.parametrize(
    ("share", "capacity", "latency"),
    [
        (0.2, 40, 0.3),
        *(
            pytest.param(*rest, marks=pytest.mark.sweep)
            for rest in [(0.05, 20, 0.1), (0, 20, 0.1), (0.2, 20, 0.1), (0, 40, 0.3), (0.05, 40, 0.3)]
        ),
    ],
)
def test_at_a_capacity_less_than_a_tenth_is_wasted_beside_what_fails_by_chance(
    simulate: Simulate, count: Count, share: float, capacity: int, latency: float
) -> None:
    world = simulate(SimulatedRoark(constant(latency), by_chance(share), over_concurrency(capacity)))

    world.run(world.backlog(int(40 * capacity / latency)), most_seconds=40)

    row = count(f"503 above {capacity} at once, {share:.0%} by chance, {latency:g} s", world, watched_from=10)
    settled = [attempt for attempt in world.roark.attempts if attempt.began >= 10]
    good = sum(attempt.status == 200 for attempt in settled)
    assert good / len(settled) > (1 - share) * 0.9
    assert row.level_max <= 1.5 * capacity
    assert good >= 0.6 * (1 - share) * 30 * capacity / latency
