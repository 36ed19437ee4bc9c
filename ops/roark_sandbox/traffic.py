"""Counters over all uploads: how many, how they were answered, and how many at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable


class Traffic:
    """What `/_sandbox/stats` shows of the upload route. A request is in flight from its headers to its end."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._started_at = clock()
        self._in_flight = 0
        self.forget()

    def forget(self) -> None:
        """Begins again from nothing; what is in flight stays in flight."""
        self._requests = 0
        self._bytes = 0
        self._hung_up = 0
        self._by_status: Counter[int] = Counter()
        self._faults: Counter[str] = Counter()
        self._in_flight_max = self._in_flight

    @property
    def in_flight(self) -> int:
        """How many requests are in flight."""
        return self._in_flight

    def began(self) -> None:
        """A request's headers have come."""
        self._requests += 1
        self._in_flight += 1
        self._in_flight_max = max(self._in_flight_max, self._in_flight)

    def ended(self) -> None:
        """A request is over, with or without an answer."""
        self._in_flight -= 1

    def received(self, body_bytes: int) -> None:
        """A request's body has come."""
        self._bytes += body_bytes

    def hung_up(self) -> None:
        """The client left before its body was complete."""
        self._hung_up += 1

    def failed(self, fault: str) -> None:
        """A fault was acted out."""
        self._faults[fault] += 1

    def answered(self, status: int) -> None:
        """An answer with this status is on its way."""
        self._by_status[status] += 1

    def totals(self) -> dict[str, object]:
        """All counters. Requests that got no answer are in `faults` or `hung_up`, not in `by_status`."""
        return {
            "requests": self._requests,
            "bytes": self._bytes,
            "by_status": {str(status): count for status, count in sorted(self._by_status.items())},
            "faults": dict(sorted(self._faults.items())),
            "hung_up": self._hung_up,
            "in_flight": self._in_flight,
            "in_flight_max": self._in_flight_max,
            "seconds_up": round(self._clock() - self._started_at, 3),
        }
