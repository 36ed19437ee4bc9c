"""The rules of the way to Roark, as every claim and settle script is given them (see `_flow.lua`). Pure.

They are decided in Redis, so they hold for all workers together, however many there are.
"""

import re
from dataclasses import dataclass

from roark_ledger.errors import ConfigurationError

_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*/\s*(s|m|h|sec|min|hour)", re.IGNORECASE)
_UNIT_SECONDS = {"s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "hour": 3600.0}
_BURST_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class FlowRules:
    """How fast, how much at once, and when not at all.

    `per_second` 0 means no rate limit; `burst` is how many uploads may start at once after a pause. `ceiling`
    is the most uploads in flight over all workers; with `adaptive` the level below it is found by itself.
    The breaker opens when, of at least `least` attempts in `window_ms`, the share `share` failed, or when `least`
    attempts in a row did that began after the first failure; it lets a probe through after `cooldown_ms`, a gap
    that doubles up to `longest_cooldown_ms`. `least` 0: no breaker.
    """

    per_second: float = 0.0
    burst: int = 1
    ceiling: int = 1_000_000
    adaptive: bool = False
    window_ms: int = 30_000
    least: int = 0
    share: float = 0.5
    cooldown_ms: int = 5_000
    longest_cooldown_ms: int = 60_000

    def text(self) -> str:
        """Return the rules as the scripts read them."""
        interval_us = round(1_000_000 / self.per_second) if self.per_second else 0
        numbers = (
            interval_us,
            self.burst,
            self.ceiling,
            int(self.adaptive),
            self.window_ms,
            self.least,
            self.share,
            self.cooldown_ms,
            self.longest_cooldown_ms,
        )
        return " ".join(map(str, numbers))


NO_LIMITS = FlowRules()


def per_second(rate: str) -> float:
    """Return a rate such as `50/s` or `600/min` in reports per second; 0 for an empty one.

    Raises ConfigurationError for anything else.
    """
    if not rate:
        return 0.0
    match = _RATE.fullmatch(rate.strip())
    if not match or float(match[1]) == 0:
        raise ConfigurationError(f"ROARK_INGEST_RATE is {rate!r}; it can be like 50/s, 600/min or 10000/h")
    return float(match[1]) / _UNIT_SECONDS[match[2].lower()]


def usual_burst(rate: float) -> int:
    """Return the burst for a rate when none is set: what a quarter of a second brings, at least 2."""
    return max(2, round(rate * _BURST_SECONDS))
