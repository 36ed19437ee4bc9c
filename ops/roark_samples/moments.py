"""When the made-up calls happen: one fixed morning, so that a seed gives the same bytes on any day."""

from datetime import UTC, datetime

MORNING = datetime(2026, 11, 2, 9, 0, 0, tzinfo=UTC)


def iso(moment: datetime) -> str:
    """A moment as JavaScript writes it: UTC, milliseconds, a Z."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def epoch_ms(moment: datetime) -> int:
    """A moment in whole milliseconds since 1970."""
    return int(moment.timestamp() * 1000)
