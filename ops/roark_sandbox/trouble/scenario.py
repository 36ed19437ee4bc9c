"""How the sandbox fares over time: an outage, coming and going, or slowness, as values.

A scenario is written KIND:DURATION[@START], with durations such as 500ms, 30s or 2m:

    outage:30s        down for the first 30 s
    outage:30s@10s    down for 30 s, beginning after 10 s
    flap:30s          down for 30 s, up for 30 s, and so on
    slow:2s           every answer takes 2 s longer

Pure: the time is an argument, in seconds since the scenario was set. A mistake raises ValueError naming the part
that is wrong.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outage:
    """Down from `start_seconds` on, for `lasts_seconds`."""

    lasts_seconds: float
    start_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Flap:
    """From `start_seconds` on, down for one period, up for the next, and so on."""

    period_seconds: float
    start_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Slow:
    """From `start_seconds` on, every answer takes `extra_seconds` longer."""

    extra_seconds: float
    start_seconds: float = 0.0


Scenario = Outage | Flap | Slow


def is_down(scenario: Scenario | None, seconds: float) -> bool:
    """Whether nobody is served at this moment."""
    match scenario:
        case Outage(lasts, start):
            return start <= seconds < start + lasts
        case Flap(period, start):
            return seconds >= start and (seconds - start) // period % 2 == 0
        case _:
            return False


def extra_delay_seconds(scenario: Scenario | None, seconds: float) -> float:
    """How much longer an answer takes at this moment."""
    match scenario:
        case Slow(extra, start) if seconds >= start:
            return extra
        case _:
            return 0.0


_KINDS: dict[str, type[Outage | Flap | Slow]] = {"outage": Outage, "flap": Flap, "slow": Slow}
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_scenario(spec: str) -> Scenario:
    """A scenario from KIND:DURATION[@START]; raises ValueError naming the spec and the part."""
    kind, _, times = spec.partition(":")
    duration, has_start, start = times.partition("@")
    try:
        if kind not in _KINDS:
            raise ValueError(f"{kind!r} is none of {', '.join(_KINDS)}")
        lasts_seconds = _seconds(duration)
        if lasts_seconds == 0:
            raise ValueError(f"duration {duration!r} is not longer than 0 s")
        return _KINDS[kind](lasts_seconds, _seconds(start) if has_start else 0.0)
    except ValueError as error:
        raise ValueError(f"scenario {spec!r}: {error}") from None


def _seconds(text: str) -> float:
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)", text)
    if match is None:
        raise ValueError(f"{text!r} is not a duration such as 500ms, 30s or 2m")
    return float(match[1]) * _UNIT_SECONDS[match[2]]
