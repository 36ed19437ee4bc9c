"""Work on large bodies, in a thread of its own: others are answered meanwhile, and one body at a time takes memory.

A usual report is read within a millisecond, where it is. One of 20 MB takes 0.2 s, and JSON of that size that is made
to be slow takes seconds; only those who may pass can send it. It then keeps only those waiting that are large as well.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

LARGE_BODY_BYTES = 256_000
MANY_DOCUMENTS_BYTES = 4_096
"""A body of so many bytes may hold so many documents that to read them all takes as long as to read a large one."""


class Apart:
    """Belongs to one event loop."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="large-bodies")

    async def run(self, work: Callable[[], T], *, apart: bool) -> T:
        """Return what the work does: in the thread, or here at once."""
        if not apart:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
