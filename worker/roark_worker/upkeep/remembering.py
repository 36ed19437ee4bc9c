"""Keeps the ledger's identity and accepted total on this machine, and lays them beside the ledger every few seconds.

Redis may be emptied, or come up on an empty disk, while nobody but workers runs: see `roark_ledger/keeping.py`. On a
thread of its own, because it waits until what it remembers is as durable in Redis as a report: only then is a ledger
that does not know of it one that was set back.
"""

import contextlib
import threading

from roark_ledger.errors import BrokenPromise, LedgerError
from roark_ledger.keeping import Keeper
from roark_ledger.ledger import Ledger
from roark_ledger.server.durability import inspect, keep
from roark_producer.settings import IngestSettings

_EVERY_SECONDS = 3.0


class Remembering:
    """Looks on a thread of its own until stopped."""

    def __init__(self, ledger: Ledger, keeper: Keeper, settings: IngestSettings) -> None:
        self._ledger = ledger
        self._keeper = keeper
        self._settings = settings
        self._durable: Ledger | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="remembering", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stop.wait(_EVERY_SECONDS):
            # The tick tells by itself when the ledger is away.
            with contextlib.suppress(LedgerError):
                self.once()

    def once(self) -> None:
        """Look once. Raises LedgerError when the ledger does not answer, or not durably in time."""
        self._durable = self._durable or self._promising()
        self._keeper.note(self._durable.run_durably(self._keeper.operation()))

    def _promising(self) -> Ledger:
        try:
            after_write = keep(self._settings.durability, inspect(self._ledger.client)).after_write
        except BrokenPromise:
            after_write = ()
        return Ledger(self._ledger.client, prefix=self._settings.prefix, after_write=after_write)
