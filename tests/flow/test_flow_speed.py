"""The speeds of the lane, from which the snapshot tells when the backlog will be gone."""

import pytest
from road import Road


def play_seconds(road: Road, seconds: int, *, come: int, go: int) -> None:
    for _ in range(seconds):
        road.accept(come)
        road.deliver(*road.start(go))
        road.clock.advance(1_000)


def test_after_a_while_it_is_told_when_the_backlog_will_be_gone(road: Road) -> None:
    road.accept(900)
    play_seconds(road, 30, come=10, go=30)

    forecast = road.snapshot.forecast

    assert road.lane.speed is not None
    assert road.lane.speed.accepted_per_second == pytest.approx(10)
    assert road.lane.speed.delivered_per_second == pytest.approx(30)
    assert forecast.seconds == pytest.approx((900 - 30 * 20) / 20)


def test_one_quick_second_does_not_make_a_forecast_of_hope(road: Road) -> None:
    road.accept(3_000)
    play_seconds(road, 30, come=10, go=20)
    before = road.snapshot.forecast.seconds

    play_seconds(road, 1, come=10, go=60)

    after = road.snapshot.forecast.seconds
    assert before is not None
    assert after is not None
    assert 0.6 * before < after < before


def test_after_a_long_silence_it_is_measured_anew(road: Road) -> None:
    road.accept(3_000)
    play_seconds(road, 30, come=10, go=30)
    road.clock.advance(3_600_000)
    road.deliver(*road.start(1))

    assert road.lane.speed is None
    assert road.snapshot.forecast.seconds is None

    play_seconds(road, 40, come=10, go=20)

    assert road.lane.speed is not None
    assert road.lane.speed.delivered_per_second == pytest.approx(20, rel=0.1)
