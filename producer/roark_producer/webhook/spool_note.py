"""Tells the ledger what waits in this machine's spool, so that the workers can alert somebody.

While Redis is away nothing can be told. What is told, and why it came to that, is seen when Redis is full, or when
handing in takes its time.
"""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

from roark_ledger.errors import LedgerError
from roark_ledger.moves import intake
from roark_producer.disk.aside import aside
from roark_producer.disk.segments import waiting_bytes
from roark_producer.webhook.promise import PromisedLedger

_EVERY_SECONDS = 2.0
_WAIT_SECONDS = 3.0


class SpoolNote:
    """Belongs to one event loop. Several webhooks in one folder tell the same."""

    def __init__(self, ledger: PromisedLedger, folder: Path, why: Callable[[], str] = str) -> None:
        self._ledger = ledger
        self._folder = folder
        self._why = why
        self._who = f"{socket.gethostname()}:{folder.resolve()}"
        # What an earlier process told is taken back by the first look at an empty spool.
        self._told = 1

    async def run(self) -> None:
        """Look every few seconds, until cancelled."""
        while True:
            await self.once()
            await asyncio.sleep(_EVERY_SECONDS)

    async def once(self) -> None:
        """Tell what waits here, unless it is nothing and was nothing."""
        size = await asyncio.to_thread(_waiting, self._folder)
        if not size and not self._told:
            return
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                await (await self._ledger.get()).run(intake.note_spool(self._who, waiting_bytes=size, why=self._why()))
        except (LedgerError, TimeoutError):
            return
        self._told = size


def _waiting(folder: Path) -> int:
    # What cannot be read does not wait for Redis: that is told by itself.
    return waiting_bytes(folder) - sum(each.bytes for each in aside(folder) if each.path.suffix == ".spool")
