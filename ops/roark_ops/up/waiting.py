"""Waiting for what tells nobody when it happens: a process that ends, a line in a log."""

import asyncio
from collections.abc import Callable

LOOK_SECONDS = 0.05


async def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Look again and again until the condition holds; return whether it did within so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 nothing sets an event for us
                await asyncio.sleep(LOOK_SECONDS)
    except TimeoutError:
        return False
    return True
