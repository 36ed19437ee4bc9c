"""Which places of a ledger are away, as one process has found: told once, and waited for by nobody twice.

A place that is unreachable says so at once, and is asked again each time. One that hangs would hold up whoever asks all
partitions, for seconds and each time; so after it did that once it counts as away, and only a look now and then asks
it, beside everybody's way, until it answers.
"""

import asyncio
import logging
import threading
import time

from roark_ledger.errors import LedgerError, LedgerUnavailable, named
from roark_ledger.ledger import AsyncLedger, Ledger
from roark_ledger.logs import event
from roark_ledger.moves.goes import HOME
from roark_ledger.partitions.naming import place_in_words

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.25
HANGS_SECONDS = 0.5


class Absences:
    """Belongs to one ledger object. Safe to share between threads."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._away: set[int] = set()
        self._hanging: dict[int, LedgerUnavailable] = {}
        self._lock = threading.Lock()

    def known(self, where: int) -> LedgerUnavailable | None:
        """Return what to answer without asking; None where the place is to be asked."""
        return self._hanging.get(where)

    def answered(self, where: int) -> None:
        """Note that a place is there."""
        if where in self._away:
            with self._lock:
                self._hanging.pop(where, None)
                was_away = where in self._away
                self._away.discard(where)
            if was_away:
                event(logger, "partition_back", level=logging.WARNING, **self._called(where))

    def failed(self, where: int, error: LedgerUnavailable, asked_at: float) -> tuple[LedgerUnavailable, bool]:
        """Note that a place did not do it; return the error by its name, and whether to look for its return."""
        told = named(error, place_in_words(where, self._partitions))
        with self._lock:
            is_new = where not in self._away
            self._away.add(where)
            hangs = time.monotonic() - asked_at >= HANGS_SECONDS and where not in self._hanging
            if hangs:
                self._hanging[where] = told
        if is_new:
            event(logger, "partition_away", level=logging.WARNING, **self._called(where), error=str(error))
        return told, hangs

    def _called(self, where: int) -> dict[str, object]:
        return {"partition": "home" if where == HOME else where, "of": self._partitions}


def until_back(absences: Absences, where: int, ledger: Ledger) -> None:
    """Return when a place that hung answers; in a thread of its own."""
    pause = threading.Event()
    while absences.known(where):
        try:
            ledger.ping()
        except LedgerError:
            pause.wait(LOOK_SECONDS)
        else:
            absences.answered(where)


async def until_back_async(absences: Absences, where: int, ledger: AsyncLedger) -> None:
    """Return when a place that hung answers; in a task of its own."""
    while absences.known(where):
        try:
            await ledger.ping()
        except LedgerError:
            await asyncio.sleep(LOOK_SECONDS)
        else:
            absences.answered(where)
