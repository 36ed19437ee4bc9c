"""Of which partitions so many reports are claimed: what `claim.lua` decides within one, over all of them. Pure.

    half of them at most       where audio links end soon
    of eight of the rest       five fresh ones, two retries, one replay; what one kind cannot use goes to the others
    of each kind               from the partition whose oldest has waited longest, as a rule

A claim costs as much for one report as for ten, so each kind is taken from as few partitions as have enough of it, and
all of them from four at most; what lies elsewhere is for the next claim, or another process's.
Many processes choose at once, and each knows what was ready a moment ago: if all took the very oldest, all would come
to the same partition. So the choice is by chance, with the square of the age as its weight: partitions that are about
equally late come in turn, and one that falls behind comes the sooner, the longer it waits. None starves, and whoever
comes in vain goes on to the next one.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from roark_ledger.moves.lane import Queue, Ready

_CYCLE = ("fresh", "retry", "fresh", "fresh", "replay", "fresh", "retry", "fresh")
KINDS = ("fresh", "retry", "replay")
MOST_AT_ONCE = 4
"""Of so many partitions one claim takes reports: each kind, and audio that ends soon, has one of its own."""


@dataclass(frozen=True, slots=True)
class Share:
    """So many reports are claimed of a partition; `which` ones is told to `claim.lua`.

    That is `probe`, or how many fresh ones, retries and replays; the rest of the number is for audio that ends soon.
    """

    partition: int
    number: int
    which: str


class _Choice:
    """What is claimed of which partitions, while that is decided; of so many partitions at most."""

    def __init__(self, ready: Mapping[int, Ready], most: int) -> None:
        self._left = {partition: one.number for partition, one in ready.items()}
        self._most = most
        self._numbers: dict[int, int] = {}
        self._kinds: dict[int, dict[str, int]] = {}

    @property
    def left(self) -> int:
        return sum(self._left.values())

    def take(self, partition: int, number: int, *, reserved: int, kind: str = "") -> int:
        """Take up to so many, and return how many; none, where another partition is one too many.

        `reserved` other partitions are for what comes behind this.
        """
        if partition not in self._numbers and len(self._numbers) + reserved >= self._most:
            return 0
        number = min(number, self._left[partition])
        self._left[partition] -= number
        self._numbers[partition] = self._numbers.get(partition, 0) + number
        kinds = self._kinds.setdefault(partition, dict.fromkeys(KINDS, 0))
        if kind:
            kinds[kind] += number
        return number

    def shares(self) -> list[Share]:
        return [
            Share(partition, number, " ".join(map(str, self._kinds[partition].values())))
            for partition, number in self._numbers.items()
            if number
        ]


def split(
    wanted: int, ready: Mapping[int, Ready], *, turn: int = 0, most: int = MOST_AT_ONCE, chance: Callable[[], float]
) -> list[Share]:
    """Return how many of `wanted` reports to claim where, of `most` partitions at the most.

    `turn` is how many were claimed before, by which eight of them are one round; `chance` is evenly drawn from 0 to 1.
    """
    choice = _Choice(ready, most)
    wanted = min(wanted, choice.left)
    wanted -= _take_perishable(wanted, ready, choice, chance)
    shares = _shares(wanted, {kind: sum(getattr(one, kind).number for one in ready.values()) for kind in KINDS}, turn)
    others = [kind for kind in KINDS if shares[kind]]
    for kind in list(others):
        others.remove(kind)
        queues = {partition: getattr(one, kind) for partition, one in ready.items()}
        rest = shares[kind]
        for partition in _oldest_first(queues, chance):
            rest -= choice.take(partition, min(rest, queues[partition].number), reserved=len(others), kind=kind)
            if not rest:
                break
    return choice.shares()


def _take_perishable(wanted: int, ready: Mapping[int, Ready], choice: _Choice, chance: Callable[[], float]) -> int:
    """Take from partitions whose reports' audio ends soon; a claim has such ones in half of its slots."""
    rest, total = math.ceil(wanted / 2), 0
    weights = {partition: float(one.perishable) for partition, one in ready.items() if one.perishable}
    for partition in _by_weight(weights, chance):
        if rest <= 0:
            break
        number = min(rest, ready[partition].perishable)
        taken = choice.take(partition, min(2 * number - 1, wanted - total), reserved=len(KINDS))
        rest -= number if taken else 0
        total += taken
    return total


def _shares(wanted: int, waiting: Mapping[str, int], turn: int) -> dict[str, int]:
    """Return how many of each kind; see `slots` in claim.lua."""
    rounds, rest = divmod(wanted, len(_CYCLE))
    share = {kind: rounds * _CYCLE.count(kind) for kind in KINDS}
    for place in range(rest):
        share[_CYCLE[(turn + place) % len(_CYCLE)]] += 1
    short = 0
    for kind in KINDS:
        short += max(0, share[kind] - waiting[kind])
        share[kind] = min(share[kind], waiting[kind])
    for kind in KINDS:
        more = min(short, waiting[kind] - share[kind])
        share[kind] += more
        short -= more
    return share


def _oldest_first(queues: Mapping[int, Queue], chance: Callable[[], float]) -> Iterator[int]:
    weights = {partition: (1.0 + queue.age_ms) ** 2 for partition, queue in queues.items() if queue.number}
    return _by_weight(weights, chance)


def _by_weight(weights: Mapping[int, float], chance: Callable[[], float]) -> Iterator[int]:
    """Draw without putting back: each is the next one with a probability that its weight gives."""
    # As if each rang after a time by chance, the heavier, the sooner.
    times = {partition: -math.log(1.0 - chance()) / weight for partition, weight in weights.items()}
    return iter(sorted(times, key=times.__getitem__))
