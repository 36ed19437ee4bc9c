"""A thread that does something every so often until it is stopped: ticks, audits, comparisons, alerts."""

import logging
import random
import threading
from abc import ABC, abstractmethod

from roark_ledger.errors import LedgerError
from roark_ledger.logs import event

logger = logging.getLogger(__name__)


class Ended(Exception):
    """The worker stops, or another one has the turn."""


class Rounds(ABC):
    """Makes its rounds on a thread of its own; `seconds` lie between two, some more or fewer, and 0 is for none at all.

    `join_seconds` is how long the end of a round is waited for.
    """

    def __init__(self, name: str, seconds: float, *, join_seconds: float = 10) -> None:
        self._name = name
        self._seconds = seconds
        self._join_seconds = join_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin, unless this is switched off."""
        if self._seconds:
            self._thread.start()

    def stop(self) -> None:
        """End; a round that is under way is given up where it pauses next."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=self._join_seconds)

    @abstractmethod
    def once(self) -> object:
        """Make one round now. Raises LedgerUnavailable when Redis is away."""

    def _run(self) -> None:
        # The workers of one machine start together; they need not do everything together.
        while not self._stop.wait(self._seconds * random.uniform(0.8, 1.2)):  # noqa: S311 no secret
            try:
                self._round()
            except (Ended, LedgerError):
                # The tick tells that the ledger is away; the next round is soon.
                continue
            except Exception as error:  # noqa: BLE001 if this thread ended, nobody would do its work any more
                event(logger, f"{self._name}_failed", level=logging.ERROR, error=type(error).__name__)

    def _round(self) -> None:
        self.once()

    def _pause(self, seconds: float) -> None:
        """Wait. Raises Ended where the worker stops meanwhile."""
        if self._stop.wait(seconds):
            raise Ended
