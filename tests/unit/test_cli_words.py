"""Durations, times and texts from outside, as a person sees them."""

import pytest

from roark_ops.cli.terminal import words


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-3, "0 s"),
        (0, "0 s"),
        (0.04, "0 s"),
        (0.25, "0.2 s"),
        (5, "5 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (75, "1 min 15 s"),
        (3600, "1 h"),
        (3605, "1 h"),
        (7500, "2 h 5 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_a_duration_is_told_in_its_two_largest_units(seconds: float, said: str) -> None:
    assert words.span(seconds) == said


def test_a_time_is_told_by_its_distance() -> None:
    assert words.ago(1_000_000, 1_065_000) == "1 min 5 s ago"
    assert words.ago(1_065_000, 1_000_000) == "in 1 min 5 s"


def test_times_are_in_utc_and_none_is_null() -> None:
    assert words.iso(1_760_000_000_123) == "2025-10-09T08:53:20.123Z"
    assert words.iso(0) is None
    assert words.moment(1_760_000_000_123) == "2025-10-09 08:53:20Z"
    assert words.seconds_since(0, 5000) is None
    assert words.seconds_since(3500, 5000) == 1.5


def test_text_from_outside_is_one_bounded_line_without_secrets_or_commands_to_the_terminal() -> None:
    text = "call +1 555 010 1234\x1b[2J\r\nAuthorization: Bearer abc.def\u202e" + "x" * 1000
    shown = words.shown(text)
    assert shown.startswith("call +*** [2J Authorization: Bearer *** ")
    assert len(shown) == 300
    assert shown.isprintable()


def test_numbers_have_their_plural() -> None:
    assert (words.counted(1, "report"), words.counted(0, "report")) == ("1 report", "0 reports")
