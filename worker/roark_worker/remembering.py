"""Keeps the ledger's identity and accepted total on this machine, and lays them beside the ledger every few seconds.

Redis may be emptied, or come up on an empty disk, while nobody but workers runs: see `roark_producer/keeping.py`.
"""

import contextlib
import time

from roark_producer.errors import LedgerError
from roark_producer.keeping import Keeper
from roark_producer.ledger import Ledger

_EVERY_SECONDS = 3.0


class Remembering:
    """Called by the tick, which tells by itself when the ledger is away."""

    def __init__(self, ledger: Ledger, keeper: Keeper) -> None:
        self._ledger = ledger
        self._keeper = keeper
        self._next = 0.0

    def look(self) -> None:
        """Look, if it is time."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _EVERY_SECONDS
        with contextlib.suppress(LedgerError):
            self._keeper.note(self._ledger.run_durably(self._keeper.operation()))
