"""The event loop of a worker process, on a thread of its own, and what lives on it.

Celery's pool threads hand drains over and wait for them. The engine starts with the first drain, so that it is
made in the process that uses it, whatever pool Celery runs.
"""

import asyncio
import gc
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

import uvloop

from roark_worker.delivery import Delivery, Summary

# Reports in flight are many young objects and no garbage: with Python's own 700, the collector looked through them
# again and again, for some 8 % of the CPU time.
_YOUNG_OBJECTS = 20_000


class _Loop(uvloop.Loop):
    """uvloop, with a clock for what is shorter than a millisecond: its own counts whole ones."""

    def time(self) -> float:
        return time.monotonic()


class Engine:
    """One event loop with one `Delivery`. Its methods may be called from any thread."""

    def __init__(self, make: Callable[[], Delivery]) -> None:
        self._make = make
        self._starting = threading.Lock()
        self._draining = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._delivery: Delivery | None = None
        self._stopping = False
        self.asked = 0
        """How often Celery brought a wake-up."""

    @property
    def is_draining(self) -> bool:
        """Whether a drain is under way."""
        return self._draining.locked()

    def drain(self) -> Summary | None:
        """Run one drain and return what it did; None when one is under way already, or the engine has stopped."""
        if not self._draining.acquire(blocking=False):
            return None
        try:
            drain = self._start_drain()
            return drain.result() if drain else None
        finally:
            self._draining.release()

    def begin_stop(self) -> None:
        """Claim nothing more; a running drain ends at once, and no other begins."""
        with self._starting:
            self._stopping = True
            if self._loop and self._delivery:
                self._loop.call_soon_threadsafe(self._delivery.begin_stop)

    def stop(self, seconds: float) -> None:
        """Let uploads end for up to `seconds`, give back the rest, record all outcomes, end the loop."""
        with self._starting:
            self._stopping = True
            loop, thread, delivery = self._loop, self._thread, self._delivery
            self._delivery = None
        if loop is None or thread is None or delivery is None:
            return
        asyncio.run_coroutine_threadsafe(delivery.stop(seconds), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=5)
        if not thread.is_alive():
            loop.close()

    def _start_drain(self) -> "Future[Summary] | None":
        # Under the lock, so that a drain is on the loop before `stop` is, or not at all: on a loop that has ended
        # it would never come to its end.
        with self._starting:
            if self._stopping:
                return None
            loop, delivery = self._started()
            return asyncio.run_coroutine_threadsafe(delivery.drain(), loop)

    def _started(self) -> tuple[asyncio.AbstractEventLoop, Delivery]:
        if self._loop is None:
            gc.freeze()
            gc.set_threshold(_YOUNG_OBJECTS)
            self._loop = _Loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="engine", daemon=True)
            self._thread.start()
        if self._delivery is None:
            self._delivery = asyncio.run_coroutine_threadsafe(self._build(), self._loop).result()
        return self._loop, self._delivery

    async def _build(self) -> Delivery:
        return self._make()
