"""When Roark's rate-limit headers say that the allowance is used up, and until when. Pure.

Three spellings are in use; Roark documents none, its prose says only that such headers are there:

    x-ratelimit-remaining: 0     x-ratelimit-reset: 30            seconds, or a Unix time
    ratelimit-remaining: 0       ratelimit-reset: 30              IETF draft up to 07
    ratelimit: limit=100, remaining=0, reset=30   and   ratelimit: "default";r=0;t=30     drafts 07 and 08
"""

import re
from collections.abc import Mapping
from datetime import datetime

_REMAINING = re.compile(r"\b(?:remaining|r)\s*=\s*(\d+)")
_RESET = re.compile(r"\b(?:reset|t)\s*=\s*(\d+)")
_UNIX_TIME_FROM = 1_000_000_000
_LONGEST_SECONDS = 3600.0


def exhausted_for(headers: Mapping[str, str], now: datetime) -> float:
    """Return for how many seconds nothing more is allowed, 0 where there is an allowance or no header.

    `headers` has lower-case names. At most an hour: a longer time is taken for a mistake.
    """
    for prefix in ("x-ratelimit", "ratelimit"):
        remaining, reset = headers.get(f"{prefix}-remaining"), headers.get(f"{prefix}-reset")
        if remaining and reset and remaining.strip() == "0":
            return _seconds(reset, now)
    if not (combined := headers.get("ratelimit")):
        return 0.0
    remaining_match, reset_match = _REMAINING.search(combined), _RESET.search(combined)
    if remaining_match and reset_match and int(remaining_match[1]) == 0:
        return _seconds(reset_match[1], now)
    return 0.0


def _seconds(reset: str, now: datetime) -> float:
    try:
        number = float(reset)
    except ValueError:
        return 0.0
    seconds = number - now.timestamp() if number >= _UNIX_TIME_FROM else number
    return min(max(0.0, seconds), _LONGEST_SECONDS) if seconds == seconds else 0.0  # noqa: PLR0124 not a number
