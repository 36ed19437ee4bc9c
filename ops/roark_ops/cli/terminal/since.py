"""Times as people type them: how long ago, or when. Pure but for its complaint."""

import re
from datetime import UTC, datetime

from roark_ops.cli.terminal.running import USAGE, fail

_UNIT_MS = {"s": 1_000, "min": 60_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_AGO = re.compile(r"(\d+(?:\.\d+)?) ?(s|min|m|h|d|w)(?: ago)?")


def moment_of(text: str, now_ms: int) -> int:
    """Return the Unix ms that `12h`, `7d ago` or an ISO date name; without a zone it is UTC.

    Ends the command where it is neither.
    """
    if match := _AGO.fullmatch(text.strip()):
        return now_ms - round(float(match[1]) * _UNIT_MS[match[2]])
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        fail(f"not a valid time: {text!r}. Try 30min, 12h, 7d or 2026-05-19T10:00.", USAGE)
    return round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)
