"""The doctor's checks, made when somebody asks for them and kept for a while: they take a second or two."""

import threading
import time
from dataclasses import dataclass

from roark_ops.doctor.check import Check
from roark_ops.doctor.examination import examine

_KEPT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Examined:
    """What the doctor found, and when (seconds of Unix time)."""

    checks: tuple[Check, ...]
    at: float

    @property
    def at_ms(self) -> int:
        """When, in ms."""
        return round(self.at * 1000)

    @property
    def is_old(self) -> bool:
        """Whether it is time to look again."""
        return time.time() - self.at > _KEPT_SECONDS


class Examining:
    """Runs one examination at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: Examined | None = None

    @property
    def last(self) -> Examined | None:
        """What was found last, None where nobody has asked."""
        return self._last

    def now(self, *, again: bool = False) -> Examined:
        """Return what is found now, or was a moment ago."""
        with self._lock:
            if self._last is None or again or self._last.is_old:
                self._last = Examined(tuple(examine()), time.time())
            return self._last
