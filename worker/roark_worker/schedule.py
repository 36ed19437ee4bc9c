"""When a report is tried again: exponential with full jitter, and the point at which trying ends. Pure.

The longest wait before attempt n+1 is first * 2^(n-1), up to a cap; the wait itself is drawn evenly from
0 to that, so that reports which failed together do not come back together. `Retry-After` is obeyed where it
asks for more than the schedule, up to a cap of its own.

With the defaults (5 s, 15 min, 20 attempts, 24 h) the longest waits are
5, 10, 20, 40, 80, 160, 320, 640 s and then 900 s eleven times: 3.1 h in all, half of that on average. So the
attempts are used up first; the age ends what stood before a shut lane, or what Roark asked to wait for long.
"""

from dataclasses import dataclass

from tenacity import RetryCallState, wait_exponential


@dataclass(frozen=True, slots=True)
class Schedule:
    """The rule. Durations in seconds."""

    first_delay: float
    max_delay: float
    max_attempts: int
    max_age: float
    retry_after_max: float

    def longest_delay(self, attempts: int) -> float:
        """Return the longest wait after `attempts` failed ones (1 and up), in seconds."""
        state = RetryCallState(retry_object=None, fn=None, args=(), kwargs={})  # type: ignore[arg-type] # only counts
        state.attempt_number = attempts
        return wait_exponential(multiplier=self.first_delay, max=self.max_delay)(state)

    def delay(self, attempts: int, chance: float, retry_after: float | None = None) -> float:
        """Return the wait after `attempts` failed ones, in seconds.

        `chance` is evenly drawn from 0 to 1; `retry_after` is what Roark asked for, in seconds.
        """
        planned = self.longest_delay(attempts) * chance
        return max(planned, min(retry_after or 0.0, self.retry_after_max))

    def is_over(self, attempts: int, age: float) -> bool:
        """Say whether no further attempt is planned after `attempts` tries at an age of `age` seconds."""
        return attempts >= self.max_attempts or age >= self.max_age
