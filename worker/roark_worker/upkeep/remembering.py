"""Keeps the ledger's identity and accepted total on this machine, and lays them beside the ledger every few seconds.

Redis may be emptied, or come up on an empty disk, while nobody but workers runs: see `roark_ledger/keeping.py`. On a
thread of its own, because it waits until what it remembers is as durable in Redis as a report: only then is a ledger
that does not know of it one that was set back.
"""

from roark_ledger.errors import BrokenPromise
from roark_ledger.keeping import Keeper
from roark_ledger.ledger import Ledger
from roark_ledger.server.durability import inspect, keep
from roark_producer.settings import IngestSettings
from roark_worker.process.rounds import Rounds

_EVERY_SECONDS = 3.0


class Remembering(Rounds):
    """Looks on a thread of its own until stopped."""

    def __init__(self, ledger: Ledger, keeper: Keeper, settings: IngestSettings) -> None:
        super().__init__("remembering", _EVERY_SECONDS)
        self._ledger = ledger
        self._keeper = keeper
        self._settings = settings
        self._durable: Ledger | None = None

    def once(self) -> None:
        """Look once. Raises LedgerError when the ledger does not answer, or not durably in time."""
        self._durable = self._durable or self._promising()
        self._keeper.note(self._durable.run_durably(self._keeper.operation()))

    def _promising(self) -> Ledger:
        try:
            after_write = keep(self._settings.durability, inspect(self._ledger.client)).after_write
        except BrokenPromise:
            after_write = ()
        return self._ledger.promising(after_write)
