"""What is only worth a sum: messages of other types, requests that may not pass, reports that cannot be stored.

Vapi sends many more conversation updates than reports, so ignored messages are counted in memory and added to
the ledger's counter once a second and at shutdown: a process that is killed loses the count of up to a second. After a
lost answer the same amount is added again, so the counter may be a little too high, never the reports.

Refused requests and failed accepts are logged as one line a second with their reasons: a wrong secret, or Redis
being away, is seen at once, and neither a stranger nor an outage fills the disk.
"""

import asyncio
import logging
from collections import Counter

from roark_ledger.errors import LedgerError
from roark_ledger.logs import event
from roark_ledger.moves import intake
from roark_producer.vapi.messages import NEED_AN_ANSWER
from roark_producer.webhook.door.authentication import DoorReason
from roark_producer.webhook.promise import PromisedLedger

logger = logging.getLogger(__name__)

_FLUSH_SECONDS = 1.0
_FLUSH_WAIT_SECONDS = 3.0


class Tally:
    """Belongs to one event loop."""

    def __init__(self, ledger: PromisedLedger) -> None:
        self._ledger = ledger
        self._ignored = 0
        self._refused: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._warned_of: set[str] = set()

    def ignore(self, message_type: str) -> None:
        """Count a message of another type."""
        self._ignored += 1
        if message_type in NEED_AN_ANSWER - self._warned_of:
            self._warned_of.add(message_type)
            hint = "Vapi expects an answer to this type that only your application can give: send it there"
            event(logger, "unanswerable_message", level=logging.WARNING, type=message_type, hint=hint)

    def refuse(self, reason: DoorReason) -> None:
        """Count a request that may not pass."""
        self._refused[reason.value] += 1

    def fail(self, error: Exception, reports: int) -> None:
        """Count reports that are not known to be stored. Only our own errors' messages are safe to log."""
        self._failed[str(error) if isinstance(error, LedgerError) else type(error).__name__] += reports

    async def run(self) -> None:
        """Flush every second, until cancelled."""
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Log what was refused or failed; add what was ignored to the ledger, or keep it for next time."""
        self._log("refused", self._refused)
        self._log("accept_failed", self._failed)
        if amount := self._ignored:
            try:
                async with asyncio.timeout(_FLUSH_WAIT_SECONDS):
                    await (await self._ledger.get()).run(intake.tally({"ignored": amount}))
            except (LedgerError, TimeoutError):
                return
            self._ignored -= amount

    @staticmethod
    def _log(action: str, counted: Counter[str]) -> None:
        if counted:
            reasons = [f"{reason} x {count}" for reason, count in counted.most_common(5)]
            event(logger, action, level=logging.WARNING, total=counted.total(), reasons=reasons)
            counted.clear()
