"""What a simulated run came to, in the figures by which the lane is judged, and the table of them."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields

from pipeline_in_virtual_time import World
from simulated_roark import Attempt

from roark_producer.lifecycle import State


@dataclass(frozen=True, slots=True)
class Figures:
    """One row of the table. Times in seconds, `recovery` counted from the end of the fault."""

    scenario: str
    reports: int
    delivered: int
    dead: int
    attempts_mean: float
    attempts_max: int
    wasted: float
    """Share of the attempts that delivered nothing."""
    in_flight_max: int
    level: str
    """Lowest and highest level of uploads in flight that the lane allowed itself, once it had settled."""
    per_second_max: int
    """Most attempts begun in any sliding second."""
    recovery: float | None
    took: float

    def line(self) -> str:
        return "".join(_cell(getattr(self, one.name), first=one.name == "scenario") for one in fields(self))


def table(rows: Sequence[Figures]) -> list[str]:
    """Return the lines of the table."""
    head = "".join(_cell(one.name.replace("_", " "), first=one.name == "scenario") for one in fields(Figures))
    return [head, *(row.line() for row in rows)]


def _cell(value: object, *, first: bool) -> str:
    text = "-" if value is None else f"{value:.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
    return text.ljust(44) if first else text.rjust(15)


def figures(
    scenario: str,
    world: World,
    *,
    settled_after: float = 0.0,
    settled_until: float | None = None,
    fault_ended: float | None = None,
    back_at_per_second: float = 0.0,
) -> Figures:
    """Count a run that is over.

    It has recovered when for one second it delivered `back_at_per_second`; the level is watched from
    `settled_after` to `settled_until` seconds.
    """
    attempts = world.roark.attempts
    per_call = Counter(attempt.call_id for attempt in attempts)
    snapshot = world.snapshot_at_end
    good = sum(1 for attempt in attempts if attempt.status == 200)
    end = settled_until or max((attempt.ended for attempt in attempts), default=0.0)
    levels = [one.snapshot.lane.limit for one in world.watched if settled_after <= one.seconds <= end]
    recovery = None if fault_ended is None else seconds_to(attempts, fault_ended, back_at_per_second)
    return Figures(
        scenario=scenario,
        reports=len(world.accepted),
        delivered=snapshot.states[State.DELIVERED],
        dead=snapshot.states[State.DEAD],
        attempts_mean=len(attempts) / max(1, len(per_call)),
        attempts_max=max(per_call.values(), default=0),
        wasted=1 - good / max(1, len(attempts)),
        in_flight_max=max((attempt.in_flight for attempt in attempts), default=0),
        level=f"{min(levels, default=0):.0f}..{max(levels, default=0):.0f}",
        per_second_max=most_in_any(1.0, [attempt.began for attempt in attempts]),
        recovery=recovery,
        took=max((attempt.ended for attempt in attempts), default=0.0),
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
    """Return after how long a second began in which so many were delivered, None if none did."""
    ends = sorted(attempt.ended for attempt in attempts if attempt.status == 200 and attempt.ended >= since)
    for place, began in enumerate(ends):
        if bisect_right(ends, began + 1) - place >= max(1.0, per_second):
            return began - since
    return None


def delays(world: World, *, arrived_from: float, arrived_to: float) -> list[float]:
    """Return how long each report that arrived in this time took to be delivered, in ascending order."""
    delivered = {attempt.call_id: attempt.ended for attempt in world.roark.attempts if attempt.status == 200}
    return sorted(
        delivered[call_id] - at
        for call_id, at in world.accepted.items()
        if arrived_from <= at < arrived_to and call_id in delivered
    )
