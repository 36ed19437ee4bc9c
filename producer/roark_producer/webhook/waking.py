"""Wakes the workers without letting a request wait for it: publishing blocks, for up to two seconds without broker.

One thread publishes, one wake-up at a time. Those asked for meanwhile become one more: a wake-up says only that
there is work, and the workers' tick publishes again while reports are ready and nobody claims them.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from roark_ledger.logs import event

logger = logging.getLogger(__name__)


class Waker:
    """Publishes wake-ups from an event loop. `publish` returns False when the broker did not take one."""

    def __init__(self, publish: Callable[[], bool]) -> None:
        self._publish = publish
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="wake-up")
        self._task: asyncio.Task[None] | None = None
        self._again = False
        self._broker_away = False

    def wake(self) -> None:
        """Publish a wake-up soon; returns at once."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        else:
            self._again = True

    async def aclose(self) -> None:
        """Wait for the wake-up that is under way, and publish no other."""
        self._again = False
        if self._task is not None:
            await self._task
        self._thread.shutdown(wait=False)

    async def _run(self) -> None:
        self._again = True
        while self._again:
            self._again = False
            try:
                published = await asyncio.get_running_loop().run_in_executor(self._thread, self._publish)
            except Exception as error:  # noqa: BLE001 a lost hint must not stop later ones, nor any report
                event(logger, "wake_up_failed", level=logging.WARNING, error=type(error).__name__)
                return
            if published is self._broker_away:
                self._broker_away = not published
                event(logger, "broker_back" if published else "broker_away", level=logging.WARNING)
