"""Slows down whoever guesses passwords: after some failures each further try has to wait, twice as long each time.

Counted for the name and for the address by itself: neither many addresses nor many names get around it. Pure but for
its memory; the clock is an argument.
"""

import time
from collections import OrderedDict
from collections.abc import Callable

_FREE = 5
_FIRST_SECONDS, _LONGEST_SECONDS = 2.0, 300.0
_FORGOTTEN_SECONDS = 3600.0
_MOST = 10_000


class Slowing:
    """Counts failures by key."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait_seconds(self, *keys: str) -> float:
        """Return for how long none of these may try again; 0: now."""
        now = self._clock()
        return max((self._wait(key, now) for key in keys), default=0.0)

    def fail(self, *keys: str) -> None:
        """Note a failure."""
        now = self._clock()
        for key in keys:
            number, at = self._failures.pop(key, (0, now))
            self._failures[key] = (number + 1 if now - at < _FORGOTTEN_SECONDS else 1, now)
        while len(self._failures) > _MOST:
            self._failures.popitem(last=False)

    def forget(self, *keys: str) -> None:
        """Forget what failed: it was a person who mistyped."""
        for key in keys:
            self._failures.pop(key, None)

    def _wait(self, key: str, now: float) -> float:
        number, at = self._failures.get(key, (0, 0.0))
        if number < _FREE or now - at > _FORGOTTEN_SECONDS:
            return 0.0
        pause = min(_LONGEST_SECONDS, _FIRST_SECONDS * 2.0 ** min(number - _FREE, 20))
        return max(0.0, at + pause - now)
