"""Of which partitions so many reports are claimed: as within one, and none of them is forgotten."""

import random
from collections import Counter
from collections.abc import Callable

from roark_ledger.moves.lane import Queue, Ready
from roark_ledger.partitions.splitting import Share, split


def ready(fresh: int = 0, retry: int = 0, replay: int = 0, *, age_ms: int = 100, perishable: int = 0) -> Ready:
    return Ready(perishable, *(Queue(number, age_ms if number else 0) for number in (fresh, retry, replay)))


def drawn() -> Callable[[], float]:
    return random.Random(1).random


def kinds(shares: list[Share]) -> tuple[int, ...]:
    """How many fresh ones, retries and replays, over all partitions."""
    rows = [tuple(map(int, share.which.split())) for share in shares]
    return tuple(map(sum, zip(*rows, strict=True)))


def test_all_that_is_ready_is_claimed_where_that_is_less_than_wanted() -> None:
    shares = split(100, {0: ready(3), 1: ready(0), 2: ready(1, 2)}, chance=drawn())

    assert {share.partition: share.number for share in shares} == {0: 3, 2: 3}


def test_no_more_is_claimed_than_is_wanted() -> None:
    waiting = {0: ready(50, 9), 1: ready(50)}

    found = [sum(share.number for share in split(number, waiting, chance=drawn())) for number in range(60)]

    assert found == list(range(60))


def test_nothing_is_claimed_where_nothing_is_ready() -> None:
    assert split(10, {}, chance=drawn()) == []
    assert split(10, {0: ready()}, chance=drawn()) == []


def test_of_eight_five_are_fresh_two_are_retries_and_one_is_a_replay_wherever_they_lie() -> None:
    waiting = {0: ready(500), 1: ready(retry=500), 2: ready(replay=500), 3: ready(500, 500, 500)}

    assert kinds(split(64, waiting, chance=drawn())) == (40, 16, 8)


def test_single_ones_add_up_to_the_same_shares() -> None:
    waiting = {0: ready(500), 1: ready(retry=500), 2: ready(replay=500)}

    one_by_one = [kinds(split(1, waiting, turn=turn % 8, chance=drawn())) for turn in range(80)]

    assert tuple(map(sum, zip(*one_by_one, strict=True))) == (50, 20, 10)


def test_what_one_kind_cannot_use_goes_to_the_others_fresh_first() -> None:
    assert kinds(split(8, {0: ready(2), 1: ready(retry=100), 2: ready(replay=100)}, chance=drawn())) == (2, 5, 1)
    assert kinds(split(8, {0: ready(100), 1: ready(retry=1)}, chance=drawn())) == (7, 1, 0)


def test_each_kind_is_claimed_of_as_few_partitions_as_have_enough_of_it() -> None:
    many = {partition: ready(100, 100, 100) for partition in range(64)}

    assert max(len(split(64, many, chance=random.Random(seed).random)) for seed in range(100)) <= 3


def test_a_claim_asks_four_partitions_at_most_and_leaves_out_no_kind() -> None:
    thin = {partition: ready(1, perishable=1) for partition in range(40)}
    thin |= {partition: ready(0, 1) for partition in range(40, 60)} | {63: ready(0, 0, 1)}

    found = [split(64, thin, chance=random.Random(seed).random) for seed in range(50)]

    assert {len(shares) for shares in found} == {4}
    assert all(kinds(shares)[2] == 1 and kinds(shares)[1] >= 1 for shares in found)


def test_one_that_waits_twice_as_long_is_first_four_times_as_often() -> None:
    waiting = {0: ready(100, age_ms=1000), 1: ready(100, age_ms=2000)}
    first = Counter(split(10, waiting, chance=random.Random(seed).random)[0].partition for seed in range(1000))

    assert 3 < first[1] / first[0] < 5.5


def test_one_that_falls_far_behind_is_always_first() -> None:
    waiting = {partition: ready(100, age_ms=100) for partition in range(64)} | {7: ready(1, age_ms=20_000)}

    found = [split(64, waiting, chance=random.Random(seed).random) for seed in range(100)]

    assert sum(7 in {share.partition for share in shares} for shares in found) >= 99


def test_audio_that_ends_soon_has_up_to_half_of_all() -> None:
    waiting = {0: ready(100, age_ms=60_000), 1: ready(100, perishable=3), 2: ready(100, perishable=100)}

    shares = {share.partition: share for share in split(40, waiting, chance=drawn())}

    # A partition gives such ones in half of its slots.
    for_audio = {where: share.number - sum(map(int, share.which.split())) for where, share in shares.items()}
    assert sum(for_audio.values()) >= 20
    assert for_audio.get(0, 0) == 0
    assert sum(share.number for share in shares.values()) == 40
