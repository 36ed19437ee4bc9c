"""What Roark can take: a number of uploads at once, or per second. What comes above that is refused.

    40        503 while 40 other uploads are in flight
    50/s      429 when 50 uploads were let in during the last second, with how long to wait (`Retry-After`)

Pure: how many are in flight and the time, in seconds, are arguments. A mistake raises ValueError naming the spec.
"""

from __future__ import annotations

import math
import re
from collections import deque
from dataclasses import dataclass, field

from roark_sandbox.trouble.faults import Fault, RefuseFault

_WINDOW_SECONDS = 1.0


@dataclass(slots=True)
class AtOnce:
    """At most `most` uploads in flight."""

    most: int

    def refuses(self, in_flight: int, _seconds: float) -> Fault | None:
        """The refusal of an upload that comes now; `in_flight` counts it, too."""
        return Fault("busy", RefuseFault(503, message="Too many requests at once")) if in_flight > self.most else None


@dataclass(slots=True)
class PerSecond:
    """At most `most` uploads in any second."""

    most: int
    _let_in: deque[float] = field(default_factory=deque)

    def refuses(self, _in_flight: int, seconds: float) -> Fault | None:
        """The refusal of an upload that comes now, or None, and then it counts."""
        while self._let_in and self._let_in[0] <= seconds - _WINDOW_SECONDS:
            self._let_in.popleft()
        if len(self._let_in) < self.most:
            self._let_in.append(seconds)
            return None
        wait = self._let_in[0] + _WINDOW_SECONDS - seconds
        return Fault("limited", RefuseFault(429, message="Too many requests", retry_after_seconds=math.ceil(wait)))


Limit = AtOnce | PerSecond


def parse_limit(spec: str) -> Limit:
    """A limit from N or N/s; raises ValueError for anything else."""
    match = re.fullmatch("([1-9][0-9]{0,8})(/s)?", spec)
    if match is None:
        raise ValueError(f"limit {spec!r} is neither a number of uploads at once, as 40, nor a rate, as 50/s")
    return PerSecond(int(match[1])) if match[2] else AtOnce(int(match[1]))
