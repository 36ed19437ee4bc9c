"""Times as people type them, read by one parser for all options."""

from datetime import UTC, datetime

import pytest

from roark_ops.cli.terminal.running import Misused
from roark_ops.cli.terminal.since import duration_of, moment_of, moment_or_age, seconds_of

NOW = datetime(2026, 3, 1, 10, 30, 15, tzinfo=UTC)
NOW_MS = round(NOW.timestamp() * 1000)
HOUR = 3_600_000
SPANS = {"30s": 30_000, "30min": HOUR // 2, "30 m": HOUR // 2, "1.5h": HOUR * 3 // 2, "7d": 168 * HOUR}


def at(*parts: int) -> int:
    return round(datetime(*parts, tzinfo=UTC).timestamp() * 1000)  # type: ignore[arg-type, misc]


MOMENTS = {
    "10:02": at(2026, 3, 1, 10, 2),
    "10:30:15": NOW_MS,
    "10:30:16": at(2026, 2, 28, 10, 30, 16),
    "23:59": at(2026, 2, 28, 23, 59),
    "2026-02-01": at(2026, 2, 1),
    "2026-02-01T10:00": at(2026, 2, 1, 10),
    "2026-02-01T10:00:00.5Z": at(2026, 2, 1, 10) + 500,
    "2026-02-01T10:00+02:00": at(2026, 2, 1, 8),
    " 2026-02-01 10:00 ": at(2026, 2, 1, 10),
}
NO_TIMES = [
    "",
    "soon",
    "2 fortnights",
    "25:00",
    "10:61",
    "2026-02-30",
    "12",
    "-2h",
    "h",
    "1e9d",
]


def test_how_long_ago_and_how_long_are_written_alike() -> None:
    for text, span in SPANS.items():
        assert duration_of(text) == span, text
        for ago in (text, f"{text} ago"):
            assert moment_of(ago, NOW_MS) == NOW_MS - span, ago
            assert moment_or_age(ago, NOW_MS) == (0, span), ago


def test_where_seconds_are_meant_a_number_is_enough() -> None:
    assert (seconds_of("0"), seconds_of(" 0.5 "), seconds_of("90")) == (0, 0.5, 90)
    assert (seconds_of("30s"), seconds_of("5min"), seconds_of("1.5h")) == (30, 300, 5400)


def test_a_moment_is_a_date_or_the_last_time_of_day() -> None:
    for text, moment in MOMENTS.items():
        assert moment_of(text, NOW_MS) == moment, text
        assert moment_or_age(text, NOW_MS) == (moment, 0), text


def test_nothing_is_no_bound_and_no_time_at_all_is_a_bound() -> None:
    assert moment_or_age("", NOW_MS) == (0, 0)
    assert moment_or_age("0s", NOW_MS) == (0, 1)
    assert duration_of("0s") == 1


def test_what_is_none_is_answered_with_examples() -> None:
    for text in NO_TIMES:
        with pytest.raises(Misused) as refused:
            moment_of(text, NOW_MS, "--since")

        assert str(refused.value) == f"--since: not a valid time: {text!r}. Try 2h, 10:00 or 2026-05-19T10:00."


def test_a_date_is_no_duration() -> None:
    with pytest.raises(Misused, match=r"--audio-ends-within: not a valid duration: '10:00'\. Try 30min, 2h or 3d\."):
        duration_of("10:00", "--audio-ends-within")
