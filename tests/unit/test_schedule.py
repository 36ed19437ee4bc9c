"""The retry schedule: its table with the defaults, and what jitter and Retry-After may do to it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roark_worker.schedule import Schedule
from roark_worker.settings import WorkerSettings

DEFAULT = WorkerSettings(_env_file=None).schedule()

# after this many failed attempts: the longest wait, and the sum of all longest waits so far
TABLE = [
    (1, 5, 5),
    (2, 10, 15),
    (3, 20, 35),
    (4, 40, 75),
    (5, 80, 155),
    (6, 160, 315),
    (7, 320, 635),
    (8, 640, 1275),
    (9, 900, 2175),
    (10, 900, 3075),
    (11, 900, 3975),
    (12, 900, 4875),
    (13, 900, 5775),
    (14, 900, 6675),
    (15, 900, 7575),
    (16, 900, 8475),
    (17, 900, 9375),
    (18, 900, 10275),
    (19, 900, 11175),
]

SCHEDULES = st.builds(
    Schedule,
    first_delay=st.floats(0.001, 100),
    max_delay=st.floats(0.001, 10_000),
    max_attempts=st.integers(1, 1000),
    max_age=st.floats(1, 1e6),
    retry_after_max=st.floats(0.001, 1e5),
)
ATTEMPTS = st.integers(1, 10_000)
CHANCES = st.floats(0, 1)
RETRY_AFTERS = st.none() | st.floats(0, allow_nan=False)


@pytest.mark.parametrize(("attempts", "longest", "_total"), TABLE)
def test_the_longest_wait_doubles_up_to_a_quarter_of_an_hour(attempts: int, longest: float, _total: float) -> None:
    assert DEFAULT.longest_delay(attempts) == longest


def test_all_longest_waits_together_take_three_hours_and_six_minutes() -> None:
    totals = [sum(DEFAULT.longest_delay(attempt) for attempt in range(1, attempts + 1)) for attempts, _, _ in TABLE]

    assert totals == [total for _, _, total in TABLE]
    assert totals[-1] / 3600 == pytest.approx(3.10, abs=0.01)


def test_the_table_ends_where_no_further_attempt_is_planned() -> None:
    last = TABLE[-1][0]

    assert not DEFAULT.is_over(last, age=0)
    assert DEFAULT.is_over(last + 1, age=0)


@pytest.mark.parametrize(
    ("attempts", "age_hours", "over"),
    [
        (1, 0, False),
        (19, 23.9, False),
        (20, 0, True),
        (21, 0, True),
        (1, 24, True),
        (1, 48, True),
    ],
)
def test_trying_ends_with_the_attempts_or_with_the_age_whichever_comes_first(
    attempts: int, age_hours: float, over: bool
) -> None:
    assert DEFAULT.is_over(attempts, age_hours * 3600) is over


@given(SCHEDULES, ATTEMPTS)
def test_the_ceiling_never_sinks_from_one_attempt_to_the_next(schedule: Schedule, attempts: int) -> None:
    assert schedule.longest_delay(attempts) <= schedule.longest_delay(attempts + 1)


@given(SCHEDULES, ATTEMPTS)
def test_the_ceiling_stays_within_the_cap(schedule: Schedule, attempts: int) -> None:
    assert 0 < schedule.longest_delay(attempts) <= schedule.max_delay


@given(SCHEDULES, ATTEMPTS, CHANCES)
def test_a_wait_is_somewhere_between_nothing_and_the_ceiling(schedule: Schedule, attempts: int, chance: float) -> None:
    assert 0 <= schedule.delay(attempts, chance) <= schedule.longest_delay(attempts)


@given(SCHEDULES, ATTEMPTS, CHANCES, CHANCES)
def test_a_larger_draw_never_gives_a_shorter_wait(schedule: Schedule, attempts: int, one: float, other: float) -> None:
    assert schedule.delay(attempts, min(one, other)) <= schedule.delay(attempts, max(one, other))


@given(SCHEDULES, ATTEMPTS, CHANCES, RETRY_AFTERS)
def test_retry_after_counts_between_the_schedule_and_its_own_cap(
    schedule: Schedule, attempts: int, chance: float, retry_after: float | None
) -> None:
    planned = schedule.delay(attempts, chance)

    wait = schedule.delay(attempts, chance, retry_after)

    assert planned <= wait <= max(planned, schedule.retry_after_max)
    assert wait >= min(retry_after or 0, schedule.retry_after_max)


@given(SCHEDULES, ATTEMPTS, CHANCES, st.floats(max_value=0, allow_nan=False))
def test_a_wait_is_never_negative_whatever_was_asked_for(
    schedule: Schedule, attempts: int, chance: float, retry_after: float
) -> None:
    assert schedule.delay(attempts, chance, retry_after) >= 0


def test_half_of_the_draws_wait_half_as_long() -> None:
    assert DEFAULT.delay(8, 0.5) == 320
