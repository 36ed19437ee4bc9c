"""How long Roark asks us to wait, in every form in which its SDKs understand it. Pure.

`retry-after-ms` counts before `retry-after`, which is a number of seconds (fractions allowed) or an HTTP date
(`_base_client.py` of roark_analytics 7.6).
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def retry_after_seconds(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the wait that the answer's headers ask for, in seconds, or None where they ask for none.

    `headers` has lower-case names. A date in the past, a negative number or anything unreadable asks for none.
    """
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return _positive(milliseconds / 1000)
    text = headers.get("retry-after")
    if (seconds := _number(text)) is not None:
        return _positive(seconds)
    return _positive(_until(text, now)) if text else None


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _until(date: str, now: datetime) -> float:
    try:
        then = parsedate_to_datetime(date)
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    return (then - now).total_seconds()


def _positive(seconds: float) -> float | None:
    return seconds if seconds > 0 else None
