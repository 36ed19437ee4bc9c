"""The one alert that cannot go through the ledger: Redis is away, or takes nothing.

Workers see it themselves, and tell it past Redis: one message for each data directory, however many workers share it,
with Redis's own reason, again while it lasts, and one when it is over. Who tells is settled by a file there:

    DATA_DIR/ledger-away    made by who tells it that Redis is away, removed by who tells that it is back

A worker that dies leaves it to the next one. Where the file cannot be written each worker tells for itself.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

from roark_ledger.errors import LedgerError
from roark_ledger.private_files import private
from roark_ledger.records.alerts import Message

KIND = "ledger_away"
AWAY_SECONDS = 60.0

Tell = Callable[[str, Message, float], bool]
"""Sends `raised` or `recovered`, the message, for how many seconds it has lasted; says whether it was taken."""


class PastRedis:
    """Belongs to one thread. Redis must be away for `after_seconds`: a restart or a failover is nobody's alarm."""

    def __init__(
        self,
        folder: Path,
        tell: Tell,
        *,
        repeat_seconds: float,
        after_seconds: float = AWAY_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._mark = folder / "ledger-away"
        self._mine = folder / f"ledger-away.{os.getpid()}"
        self._tell = tell
        self._repeat_seconds = repeat_seconds
        self._after_seconds = after_seconds
        self._clock = clock
        self._since: float | None = None
        self._told_alone: float | None = None

    def failed(self, error: LedgerError) -> None:
        """Redis did not take what this worker asked of it."""
        now = self._clock()
        since = self._since = now if self._since is None else self._since
        if now - since < self._after_seconds:
            return
        message = Message("Redis takes no reports.", f"{str(error).rstrip('.')}. {_MEANWHILE}", "roark-ingest doctor")
        try:
            if self._is_taken(since, now) and not self._tell("raised", message, now - since):
                self._mark.unlink()
        except OSError:
            due = self._told_alone is None or self._is_long_ago(self._told_alone, now)
            if due and self._tell("raised", message, now - since):
                self._told_alone = now

    def worked(self) -> None:
        """Redis has taken what this worker asked of it."""
        now, since = self._clock(), self._since
        told_alone, self._since, self._told_alone = self._told_alone, None, None
        try:
            # Who has it by this name tells it; all others find none.
            self._mark.rename(self._mine)
            since = float(self._mine.read_text("ascii") or now)
            if self._tell("recovered", _OVER, now - since):
                self._mine.unlink()
            else:
                self._mine.rename(self._mark)
        except (OSError, ValueError):
            if told_alone is not None:
                self._tell("recovered", _OVER, now - (since or told_alone))

    def _is_taken(self, since: float, now: float) -> bool:
        try:
            with open(self._mark, "x", encoding="ascii", opener=private) as file:
                file.write(f"{since:.0f}")
        except FileExistsError:
            if not self._is_long_ago(self._mark.lstat().st_mtime, now):
                return False
        os.utime(self._mark, (now, now), follow_symlinks=False)
        return True

    def _is_long_ago(self, told: float, now: float) -> bool:
        return 0 < self._repeat_seconds <= now - told


_MEANWHILE = "Webhooks keep what comes on their own disks, and workers keep their outcomes, until it does."
_OVER = Message("Redis takes no reports.", _MEANWHILE, "roark-ingest doctor")
