"""How a person or the system ends an `up`: asked once it drains; asked again it loses patience, never reports."""

import asyncio
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


class Stop:
    """The wish to end. Belongs to one event loop."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.insisted = asyncio.Event()

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Let SIGINT, SIGTERM and a terminal that is closed (but for nohup) express it while the block runs."""
        loop = asyncio.get_running_loop()
        ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        meant = (signal.SIGINT, signal.SIGTERM, *(() if ignored else (signal.SIGHUP,)))
        for each in meant:
            loop.add_signal_handler(each, self.ask)
        try:
            yield
        finally:
            for each in meant:
                loop.remove_signal_handler(each)

    def ask(self) -> None:
        """Ask for the end, or insist on it where it was asked for before."""
        if self.asked.is_set():
            self.insisted.set()
        self.asked.set()

    async def wait(self) -> None:
        """Return when the end was asked for."""
        await self.asked.wait()


async def first_of(*works: Coroutine[Any, Any, T]) -> T:
    """Do all of this side by side, return (or raise) what the first one does, and cancel the others."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(task for task in tasks if task in done).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
