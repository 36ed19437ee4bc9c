"""What a simulated run came to, in the figures by which the lane is judged, and the table of them."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields

from pipeline_in_virtual_time import World
from simulated_roark import Attempt

from roark_ledger.lifecycle import State

FIRST_LEVEL = 32
"""`FIRST_LIMIT` of _level.lua."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One row of the table. Times in virtual seconds.

    `wasted` is the share of the attempts that delivered nothing. The levels are the lowest and the highest that the
    lane allowed itself while it was watched; `per_second` is the most attempts begun in any sliding second;
    `recovery` is how long it took from the end of the fault until deliveries were as many as they should be.
    """

    scenario: str
    reports: int
    delivered: int
    dead: int
    attempts_mean: float
    attempts_max: int
    wasted: float
    in_flight: int
    level_min: float
    level_max: float
    per_second: int
    recovery: float | None
    took: float

    def line(self) -> str:
        """Return the row."""
        return "".join(_cell(one.name, getattr(self, one.name)) for one in fields(self))


def table(rows: Sequence[Figures]) -> list[str]:
    """Return the lines of the table."""
    head = "".join(_cell(one.name, one.name.replace("_", " ")) for one in fields(Figures))
    return [head, *(row.line() for row in rows)]


def _cell(name: str, value: object) -> str:
    if isinstance(value, float):
        value = f"{value:.2%}" if name == "wasted" else f"{value:.3f}" if name == "attempts_mean" else f"{value:.1f}"
    text = "-" if value is None else str(value)
    return text.ljust(42) if name == "scenario" else text.rjust(max(len(name), 6) + 2)


def figures(
    scenario: str,
    world: World,
    *,
    watched_from: float = 0.0,
    watched_to: float = float("inf"),
    fault_ended: float | None = None,
    back_at_per_second: float = 1.0,
) -> Figures:
    """Count a run that is over."""
    attempts = world.roark.attempts
    per_call = Counter(attempt.call_id for attempt in attempts)
    snapshot = world.at_end
    good = sum(1 for attempt in attempts if attempt.status == 200)
    last = max((attempt.ended for attempt in attempts), default=0.0)
    watched = [one.snapshot for one in world.watched if watched_from <= one.seconds <= min(watched_to, last)]
    # It is not written down before it is another than at first.
    levels = [snapshot.lane.limit or world.settings.concurrency or FIRST_LEVEL for snapshot in watched]
    return Figures(
        scenario=scenario,
        reports=len(world.accepted),
        delivered=snapshot.states[State.DELIVERED],
        dead=snapshot.states[State.DEAD],
        attempts_mean=len(attempts) / max(1, len(per_call)),
        attempts_max=max(per_call.values(), default=0),
        wasted=1 - good / max(1, len(attempts)),
        in_flight=max((attempt.in_flight for attempt in attempts), default=0),
        level_min=min(levels, default=0.0),
        level_max=max(levels, default=0.0),
        per_second=most_in_any(1.0, [attempt.began for attempt in attempts]),
        recovery=None if fault_ended is None else seconds_to(attempts, fault_ended, back_at_per_second),
        took=last,
    )


def most_in_any(seconds: float, times: Sequence[float]) -> int:
    """Return how many of `times` lie in the fullest window of that length, its end not counted."""
    ordered = sorted(times)
    most, first = 0, 0
    for last, time in enumerate(ordered):
        # A hair less than the window: sums of floats put what is one window apart now inside, now outside.
        while ordered[first] <= time - seconds + 1e-9:
            first += 1
        most = max(most, last - first + 1)
    return most


def seconds_to(attempts: Sequence[Attempt], since: float, per_second: float) -> float | None:
    """Return how long after `since` a second began in which so many were delivered, None if none did."""
    ends = sorted(attempt.ended for attempt in attempts if attempt.status == 200 and attempt.ended >= since)
    for place, began in enumerate(ends):
        if bisect_left(ends, began + 1) - place >= per_second:
            return began - since
    return None


def delays(world: World, *, arrived_from: float = 0.0, arrived_to: float = float("inf")) -> list[float]:
    """Return how long each report that arrived in this time took to be delivered, the longest last."""
    delivered = {attempt.call_id: attempt.ended for attempt in world.roark.attempts if attempt.status == 200}
    return sorted(
        delivered[call_id] - at
        for call_id, at in world.accepted.items()
        if arrived_from <= at < arrived_to and call_id in delivered
    )


def began_between(world: World, first: float, last: float) -> list[Attempt]:
    """Return the attempts that began in this time."""
    return [attempt for attempt in world.roark.attempts if first <= attempt.began < last]


def longest_hold(world: World) -> float:
    """Return for how long the lane was held without a break, as seen once a second."""
    longest = since = 0.0
    for one in world.watched:
        since = since or one.seconds if one.snapshot.lane.state == "held" else 0.0
        longest = max(longest, one.seconds - since if since else 0.0)
    return longest
