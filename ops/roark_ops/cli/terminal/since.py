"""Times as people type them: how long, how long ago, or when. One parser for all options, pure.

30s, 30min, 2h, 7d, 2w, each with or without "ago"; 10:02, the last time that it was so late; 2026-05-19[T10:00[Z]].
Without a zone a time is UTC.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import NoReturn

from roark_ops.cli.terminal.running import Misused

_UNIT_MS = {"s": 1_000, "min": 60_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_SPAN = re.compile(r"(\d+(?:\.\d+)?) ?(s|min|m|h|d|w)")
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")


def moment_of(text: str, now_ms: int, option: str = "") -> int:
    """Return the Unix ms that a text names at that time. Raises Misused where it names none."""
    ago = _span(text.strip().removesuffix(" ago"))
    return now_ms - ago if ago is not None else _when(text, now_ms, option)


def moment_or_age(text: str, now_ms: int, option: str = "") -> tuple[int, int]:
    """Return the Unix ms that a text names, or how long ago it says in ms; the other one is 0, both for an empty text.

    For what is asked again and again: "2h ago" then is another moment each time.
    """
    if not text:
        return 0, 0
    ago = _span(text.strip().removesuffix(" ago"))
    # Nothing at all would mean no bound.
    return (0, max(1, ago)) if ago is not None else (_when(text, now_ms, option), 0)


def duration_of(text: str, option: str = "") -> int:
    """Return how long a text says in ms, at least 1. Raises Misused where it does not."""
    found = _span(text.strip())
    return max(1, found) if found is not None else _refuse("duration", text, option, "30min, 2h or 3d")


def seconds_of(text: str, option: str = "") -> float:
    """Return how many seconds a text says: a number of them, or a duration. Ends the command where it does not."""
    found = _span(f"{text.strip()}s")
    return (duration_of(text, option) if found is None else found) / 1000


def _span(text: str) -> int | None:
    match = _SPAN.fullmatch(text)
    return round(float(match[1]) * _UNIT_MS[match[2]]) if match else None


def _when(text: str, now_ms: int, option: str) -> int:
    try:
        if clock := _CLOCK.fullmatch(text.strip()):
            found = _last(*(int(part or 0) for part in clock.groups()), now_ms=now_ms)
        else:
            found = datetime.fromisoformat(text.strip())
        return round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        _refuse("time", text, option, "2h, 10:00 or 2026-05-19T10:00")


def _last(hour: int, minute: int, second: int, *, now_ms: int) -> datetime:
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    today = now.replace(hour=hour, minute=minute, second=second, microsecond=0)
    return today if today <= now else today - timedelta(days=1)


def _refuse(what: str, text: str, option: str, examples: str) -> NoReturn:
    raise Misused(f"{option + ': ' if option else ''}not a valid {what}: {text!r}. Try {examples}.")
