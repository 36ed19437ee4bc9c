"""Looks every few seconds whether what was promised is still there: in the ledger, and on this machine's disk.

the ledger   is it the one that accepted our reports, with all that it had accepted (`keeping.py`)?
the spool    what of it cannot be handed in (`disk/aside.py`)? The workers alert somebody, from the ledger.
"""

import asyncio
import logging
import socket
import time
from pathlib import Path

from roark_ledger.errors import LedgerError
from roark_ledger.keeping import Keeper
from roark_ledger.logs import event
from roark_ledger.moves import intake
from roark_ledger.records.promises import Unread, UnreadFile, unread_files
from roark_producer.disk.aside import aside
from roark_producer.webhook.promise import PromisedLedger

logger = logging.getLogger(__name__)

_EVERY_SECONDS = 2.0
_WAIT_SECONDS = 5.0
_MOST_NAMED = 100
_TELL_AGAIN_SECONDS = 60.0


class PromiseNote:
    """Belongs to one event loop."""

    def __init__(self, ledger: PromisedLedger, keeper: Keeper, spool: Path) -> None:
        self._ledger = ledger
        self._keeper = keeper
        self._spool = spool
        self._who = f"{socket.gethostname()}:{spool.resolve()}"
        self._unread: tuple[UnreadFile, ...] = ()
        # What an earlier process told is taken back by the first look.
        self._told: tuple[UnreadFile, ...] | None = None
        self._tell_again = 0.0

    def words(self) -> tuple[str, ...]:
        """Return what is missing, in words; nothing where all is there."""
        unread = Unread(self._who, self._unread)
        return (*(loss.words() for loss in self._keeper.losses), *([unread.words()] if unread.files else []))

    async def run(self) -> None:
        """Look every few seconds, until cancelled."""
        while True:
            await self.once()
            await asyncio.sleep(_EVERY_SECONDS)

    async def once(self) -> None:
        """Look once, and tell the ledger."""
        found = await asyncio.to_thread(aside, self._spool)
        before, self._unread = self._unread, unread_files((each.path, each.why, each.reports) for each in found)
        for each in self._unread:
            if each not in before:
                event(
                    logger, "spool_unreadable", level=logging.ERROR, file=each.name, reports=each.reports, why=each.why
                )
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                ledger = await self._ledger.get()
                seen = await ledger.run_durably(self._keeper.operation())
                if self._unread != self._told or (self._unread and time.monotonic() > self._tell_again):
                    await ledger.run(intake.note_unread(self._who, self._unread[:_MOST_NAMED]))
                    self._told, self._tell_again = self._unread, time.monotonic() + _TELL_AGAIN_SECONDS
        except (LedgerError, TimeoutError):
            return
        await asyncio.to_thread(self._keeper.note, seen)
