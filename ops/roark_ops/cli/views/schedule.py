"""How the retry table is shown: each attempt with the longest wait before it, alone and added up."""

from dataclasses import dataclass

from roark_ops.cli.terminal.output import print_json, print_line, print_table
from roark_ops.cli.terminal.words import span
from roark_worker.schedule import Schedule
from roark_worker.settings import WorkerSettings


@dataclass(frozen=True, slots=True)
class Planned:
    """One attempt. Waits in seconds: before it, and from the first attempt on at the longest and on average."""

    attempt: int
    longest_wait_seconds: float
    cumulative_longest_seconds: float
    cumulative_average_seconds: float


def planned(schedule: Schedule) -> list[Planned]:
    """Return every attempt that is planned. With full jitter the average wait is half of the longest."""
    rows = [Planned(1, 0.0, 0.0, 0.0)]
    for attempt in range(2, schedule.max_attempts + 1):
        longest = schedule.longest_delay(attempt - 1)
        total = rows[-1].cumulative_longest_seconds + longest
        rows.append(Planned(attempt, longest, total, total / 2))
    return rows


def show_schedule(settings: WorkerSettings, *, as_json: bool) -> None:
    """Print the table."""
    schedule = settings.schedule()
    rows = planned(schedule)
    if as_json:
        print_json(
            {
                "first_delay_seconds": schedule.first_delay,
                "max_delay_seconds": schedule.max_delay,
                "max_attempts": schedule.max_attempts,
                "max_age_seconds": schedule.max_age,
                "retry_after_max_seconds": schedule.retry_after_max,
                "jitter": "full",
                "attempts": [
                    {
                        "attempt": row.attempt,
                        "longest_wait_seconds": row.longest_wait_seconds,
                        "cumulative_longest_seconds": row.cumulative_longest_seconds,
                        "cumulative_average_seconds": row.cumulative_average_seconds,
                    }
                    for row in rows
                ],
            }
        )
        return
    print_table(
        ("attempt", "longest wait", "total at most", "total on average"),
        [
            (
                str(row.attempt),
                span(row.longest_wait_seconds),
                span(row.cumulative_longest_seconds),
                span(row.cumulative_average_seconds),
            )
            for row in rows
        ],
        right=frozenset({0, 1, 2, 3}),
    )
    print_line()
    print_line(
        f"Each wait is random, from 0 to the longest. After {schedule.max_attempts} attempts, or at an age of "
        f"{span(schedule.max_age)}, a report becomes a dead letter."
    )
    print_line(
        f"A longer Retry-After from Roark is respected, up to {span(schedule.retry_after_max)}. While uploads are "
        "paused, no attempts are counted."
    )
