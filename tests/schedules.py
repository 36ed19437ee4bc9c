"""The schedule that the settings make by default."""

from roark_worker.schedule import Schedule

USUAL = Schedule(first_delay=5, max_delay=900, max_attempts=20, max_age=86_400, retry_after_max=3600)
