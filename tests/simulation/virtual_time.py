"""An event loop whose time leaps: where another loop would wait, this one moves its clock on to the next timer.

So an hour of outage takes as long as the work in it, nothing sleeps, and the same seed gives the same run. Code
under test sees nothing of it, as long as it takes its time from `loop.time()` and asyncio's own waiting.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class NothingLeft(Exception):
    """Everybody waits for somebody else, and no timer is set: in the real world this would wait for ever."""


class _Leaping(selectors.SelectSelector):
    def __init__(self, loop: "VirtualLoop") -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise NothingLeft(f"at {self._loop.time():.3f} s")
        self._loop.leap(max(0.0, timeout))
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Starts at 0 seconds. For coroutines that wait for timers and for each other, never for the world outside."""

    def __init__(self) -> None:
        self._seconds = 0.0
        super().__init__(_Leaping(self))

    def time(self) -> float:
        return self._seconds

    def leap(self, seconds: float) -> None:
        self._seconds += seconds


def run_virtually(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
