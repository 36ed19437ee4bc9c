"""How looking deliveries up at Roark stands, as the ledger tells it, and what is promised of calls in time."""

from collections.abc import Mapping
from dataclasses import dataclass

_LATE_MS = 3_600_000
_FEW, _UNSEEN_SHARE = 3, 0.05


@dataclass(frozen=True, slots=True)
class Receipts:
    """How looking deliveries up at Roark stands. Times are Unix ms, 0 for never.

    `open` are still to be looked up, the first at `due_ms`. `asked_ms` is when a worker last asked Roark, `at_ms` when
    Roark last told, and `error` the code of why it did not. `unseen_share` is the share of late ones among the latest
    fifty or so. `in_time` were visible within ten minutes, `late` were not; `absent` not even after a day.

    `calls_due` are calls whose report came soon after their end, `calls_in_time` those that Roark took within five
    minutes of it.
    """

    open: int = 0
    due_ms: int = 0
    asked_ms: int = 0
    at_ms: int = 0
    error: str = ""
    unseen_share: float = 0.0
    in_time: int = 0
    late: int = 0
    absent: int = 0
    calls_due: int = 0
    calls_in_time: int = 0

    @property
    def share_in_time(self) -> float | None:
        """The share that was visible at Roark within ten minutes; None where nothing was looked up."""
        return self.in_time / (self.in_time + self.late) if self.in_time + self.late else None

    @property
    def are_missing(self) -> bool:
        """Whether several were not visible in time, and lately at that."""
        return self.late >= _FEW and self.unseen_share > _UNSEEN_SHARE

    def late_ms(self, now_ms: int) -> int:
        """For how long looks have been due that nobody could make, once that is no chance; else 0."""
        waits_ms = now_ms - self.due_ms if self.open and self.due_ms else 0
        return waits_ms if waits_ms > _LATE_MS else 0


NO_RECEIPTS = Receipts()


def parse_receipts(lane: Mapping[str, str], counters: Mapping[str, int], waiting: int) -> Receipts:
    """Read what the lane's hash and the counters say of it."""

    def number(name: str) -> int:
        return int(lane.get(f"receipts_{name}", 0))

    def counted(name: str) -> int:
        return counters.get(name, 0)

    return Receipts(
        open=waiting,
        due_ms=number("due"),
        asked_ms=number("asked"),
        at_ms=number("at"),
        error=lane.get("receipts_error", ""),
        unseen_share=float(lane.get("receipts_unseen", 0)),
        in_time=counted("receipts_in_time"),
        late=counted("receipts_late"),
        absent=counted("receipts_absent"),
        calls_due=counted("calls_due"),
        calls_in_time=counted("calls_in_time"),
    )
