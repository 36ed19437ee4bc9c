"""When the backlog will be gone if all goes on as it does now, and how long memory lasts if nothing goes out. Pure.

The speeds are means over some 15 s that the deliveries keep in the lane (see `_rate.lua`). Nothing is told where
nothing can be known: while the lane is shut, when the speeds are old, and when more comes in than goes out.
"""

from dataclasses import dataclass

from roark_ledger.lane_states import FLOWING
from roark_ledger.records.screen import uploads_are

_STALE_MS = 30_000


@dataclass(frozen=True, slots=True)
class Speed:
    """How many reports came in and were delivered per second, in the mean, when it was measured (Unix ms)."""

    accepted_per_second: float
    delivered_per_second: float
    measured_ms: int


@dataclass(frozen=True, slots=True)
class Inflow:
    """How many reports come in a second and how large one is as it is kept: means over the last ten minutes or so."""

    per_second: float
    packed_bytes: float

    @property
    def bytes_per_second(self) -> float:
        """How fast the server's memory fills while nothing is delivered."""
        return self.per_second * bytes_waiting(self.packed_bytes)


def bytes_waiting(packed_bytes: float) -> float:
    """Return how much of the server's memory a waiting report takes.

    Measured: 470 bytes beside the packed report (record, queues, keys), and what the allocator rounds up.
    """
    return packed_bytes * 1.1 + 470


@dataclass(frozen=True, slots=True)
class Forecast:
    """In how many seconds the backlog will be gone; where that is None, `reason` says why it cannot be told."""

    seconds: float | None
    reason: str = ""


def forecast(backlog: int, speed: Speed | None, *, lane: str, opens_ms: int, now_ms: int) -> Forecast:
    """Return when `backlog` reports will be gone.

    `lane` is the lane's state, `opens_ms` until when Roark asked us to wait (Unix ms, 0 where it did not).
    """
    if backlog == 0:
        return Forecast(0.0)
    if lane not in FLOWING:
        return Forecast(None, uploads_are(lane).lower())
    pause_ms = max(0, opens_ms - now_ms)
    if speed is None or now_ms - speed.measured_ms > _STALE_MS + pause_ms:
        return Forecast(None, "nothing was delivered recently")
    shrinks = speed.delivered_per_second - speed.accepted_per_second
    if shrinks <= 0:
        return Forecast(None, f"it grows by {-shrinks:.3g} reports/s")
    return Forecast(pause_ms / 1000 + backlog / shrinks)
