"""Durations, times and numbers in words, and text from outside made safe to show. Pure."""

import re
from datetime import UTC, datetime
from functools import lru_cache

from roark_ledger.logs import masked_text

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
# What a terminal would obey, and what would turn the text around.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_MOST_SHOWN = 300
_KNOWN_SECONDS = 1024


def span(seconds: float) -> str:
    """Return a duration in its two largest units: `2 h 5 min`."""
    if seconds < 10:
        return f"{max(seconds, 0):.1f} s".replace(".0 ", " ")
    rest, words = round(seconds), []
    for size, name in _UNITS:
        if rest >= size:
            words.append(f"{rest // size} {name}")
            rest %= size
        elif words:
            break
    return " ".join(words[:2])


def ago(then_ms: int, now_ms: int) -> str:
    """Return how long ago something was: `5 min 3 s ago`, or that it lies ahead: `in 12 s`."""
    seconds = (now_ms - then_ms) / 1000
    return f"{span(seconds)} ago" if seconds >= 0 else f"in {span(-seconds)}"


def iso(ms: int) -> str | None:
    """Return Unix ms as ISO 8601 in UTC, None for 0."""
    if not ms:
        return None
    seconds, rest = divmod(ms, 1000)
    return f"{_iso_second(seconds)}.{rest:03}Z"


@lru_cache(_KNOWN_SECONDS)
def _iso_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()


def moment(ms: int) -> str:
    """Return Unix ms for a person: `2025-05-19 23:13:32Z`."""
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S}Z"


def seconds_since(then_ms: int, now_ms: int) -> float | None:
    """Return the age of something in seconds, None where there is nothing (0 ms)."""
    return round((now_ms - then_ms) / 1000, 3) if then_ms else None


def counted(number: int, noun: str) -> str:
    """Return `1 report` or `2 reports`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def one_line(text: str) -> str:
    """Return text that a person asked to see, on one line and without what a terminal would obey."""
    return _CONTROL.sub(" ", text)


def shown(text: object) -> str:
    """Return text that came from outside so that it can be shown: on one line, bounded, secrets masked."""
    text = str(text)
    # Nearly every text: to look for what must not be shown takes ten times as long.
    return masked_text(text if text.isprintable() else _CONTROL.sub(" ", text))[:_MOST_SHOWN]
