"""When the backlog will be gone: what can be told, and what is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roark_ledger.records.forecast import Forecast, Speed, forecast
from roark_ledger.records.screen import uploads_are

NOW = 1_760_000_000_000
SPEED = Speed(accepted_per_second=100, delivered_per_second=150, measured_ms=NOW - 1_000)


def told(backlog: int = 1_000, speed: Speed | None = SPEED, *, lane: str = "open", opens_ms: int = 0) -> Forecast:
    return forecast(backlog, speed, lane=lane, opens_ms=opens_ms, now_ms=NOW)


def test_it_is_the_backlog_by_what_goes_out_more_than_comes_in() -> None:
    assert told(1_000) == Forecast(20.0)


def test_without_a_backlog_there_is_nothing_to_wait_for_whatever_the_lane() -> None:
    assert told(0, None, lane="held") == Forecast(0.0)


@pytest.mark.parametrize("lane", ["held", "breaker-open", "half-open"])
def test_while_the_lane_is_shut_nothing_is_told(lane: str) -> None:
    assert told(lane=lane) == Forecast(None, uploads_are(lane).lower())


def test_a_pause_that_roark_asked_for_is_added() -> None:
    assert told(1_000, lane="throttled", opens_ms=NOW + 5_000) == Forecast(25.0)


def test_a_growing_backlog_is_called_growing() -> None:
    assert told(speed=Speed(150, 100, NOW)) == Forecast(None, "it grows by 50 reports/s")


@pytest.mark.parametrize("speed", [None, Speed(1, 2, NOW - 31_000)])
def test_from_old_speeds_or_none_nothing_is_told(speed: Speed | None) -> None:
    assert told(speed=speed) == Forecast(None, "nothing was delivered recently")


@given(
    st.integers(0, 10**7),
    st.none() | st.builds(Speed, st.floats(0, 1e5), st.floats(0, 1e5), st.integers(NOW - 10**7, NOW + 10**7)),
    st.sampled_from(["open", "held", "breaker-open", "half-open", "throttled"]),
    st.integers(0, NOW + 10**7),
)
def test_it_is_never_negative_and_there_is_a_time_or_a_reason(
    backlog: int, speed: Speed | None, lane: str, opens_ms: int
) -> None:
    found = told(backlog, speed, lane=lane, opens_ms=opens_ms)

    assert (found.seconds is None) == bool(found.reason)
    assert found.seconds is None or found.seconds >= 0
