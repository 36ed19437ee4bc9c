"""The ledger, handed out only while its server is known to keep the durability promise.

1. `get` hands the ledger out when the last check was good; otherwise it checks first, so there is no yes before
   the promise was checked, however late Redis comes up.
2. `doubt` forgets the last check after an answer was lost: what answers next may be another server after a
   failover, or the same one with other settings after a restart.
3. `watch` checks again every few seconds, which bounds for how long a setting changed at run time stays unseen.

The check is blocking (it uses the sync client) and runs in a thread, one at a time.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from roark_ledger.errors import ConfigurationError, IngestError, LedgerError, LedgerRefuses, LedgerUnavailable
from roark_ledger.ledger import AfterWrite, AsyncLedger
from roark_ledger.logs import event
from roark_ledger.moves import intake
from roark_ledger.moves import watch as watch_moves
from roark_ledger.records.snapshot import Snapshot
from roark_ledger.server.durability import Kept

logger = logging.getLogger(__name__)

_WATCH_SECONDS = 2.0
_PING_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Problem:
    """Why no report can be taken now. `refusal` is Redis's own word where it answers: MISCONF, NOPERM …"""

    words: str
    refusal: str = ""


class PromisedLedger:
    """Belongs to one event loop. `check` asks the server; `make` builds the ledger for how the promise is kept.

    One that is quiet logs nothing: another process sees the same, and tells.
    """

    def __init__(
        self, check: Callable[[], Kept], make: Callable[[AfterWrite], AsyncLedger], *, is_quiet: bool = False
    ) -> None:
        self._inspect = check
        self._make = make
        self._ledger: AsyncLedger | None = None
        self._checking: asyncio.Task[None] | None = None
        self._is_quiet = is_quiet
        self._last_told = ""
        self.error: IngestError | None = None
        """Why the last check failed: LedgerError when Redis did not answer, BrokenPromise when it cannot keep it."""

    @property
    def is_broken(self) -> bool:
        """Whether the server answers, and its settings break the promise."""
        return isinstance(self.error, ConfigurationError)

    async def get(self) -> AsyncLedger:
        """Return the ledger. Raises LedgerUnavailable while the promise cannot be checked or is broken."""
        if self._ledger is None:
            await self.check()
        if self._ledger is None:
            raise LedgerUnavailable(str(self.error))
        return self._ledger

    def doubt(self) -> None:
        """Demand a check before the ledger is handed out again."""
        self._ledger = None

    async def check(self) -> None:
        """Check the promise now, or wait for the check that is under way; `error` then tells how it went."""
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(self._check())
        await asyncio.shield(self._checking)

    async def watch(self) -> None:
        """Check every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            await self.check()

    async def problem(self) -> Problem | None:
        """Return why no report can be taken now, or None; within a second or so."""
        try:
            async with asyncio.timeout(_PING_SECONDS):
                # None at all is accepted: Redis refuses it for whatever it would refuse a report for.
                await (await self.get()).run(intake.accept((), revisions="record", per_wakeup=1))
        except TimeoutError:
            return Problem(f"Redis does not answer within {_PING_SECONDS:.0f} s")
        except LedgerError as error:
            code = error.code if isinstance(error, LedgerRefuses) else "promise" if self.is_broken else ""
            return Problem(str(error), code)
        return None

    async def snapshot(self) -> Snapshot | None:
        """Return the ledger at one moment, or None where it does not answer within a second or so."""
        try:
            async with asyncio.timeout(_PING_SECONDS):
                return await (await self.get()).run(watch_moves.snapshot())
        except (TimeoutError, LedgerError):
            return None

    async def _check(self) -> None:
        try:
            kept = await asyncio.to_thread(self._inspect)
        except Exception as error:  # noqa: BLE001 a check that fails, for whatever reason, must be made again
            self._ledger = None
            self.error = error if isinstance(error, IngestError) else LedgerUnavailable(type(error).__name__)
            self._tell("promise_broken" if self.is_broken else "promise_unchecked", error=str(self.error))
        else:
            self._ledger, self.error = self._make(kept.after_write), None
            self._tell("promise_kept", promise=kept.sentence)

    def _tell(self, action: str, **fields: str) -> None:
        told = f"{action} {fields}"
        if told != self._last_told and not self._is_quiet:
            level = logging.INFO if self.error is None else logging.ERROR
            event(logger, action, level=level, **fields)
        self._last_told = told
