"""What is handed in from the spool: each request goes to the ledger, to its partition's shelf, or to what was refused.

Those that came together are taken together, through the same group commit as live reports.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from roark_ledger.errors import InvalidReport, LedgerFault, LedgerUnavailable
from roark_ledger.logs import event
from roark_ledger.moves.intake import Acceptable
from roark_producer.disk.frames import Spooled
from roark_producer.taking import Intake
from roark_producer.webhook.accepting import GroupCommit
from roark_producer.webhook.apart import LARGE_BODY_BYTES, Apart

logger = logging.getLogger(__name__)


class Shelf(Protocol):
    """Where requests may be kept."""

    @property
    def is_active(self) -> bool:
        """Whether earlier ones wait there."""

    async def take_over(self, requests: Sequence[Spooled]) -> None:
        """Return when they are on the disk there."""


@dataclass(frozen=True, slots=True)
class _Taken:
    """What became of a request: it is in the ledger, or has to go to this shelf, where there is one."""

    shelf: Shelf | None = None
    is_in: bool = True


class HandingIn:
    """Belongs to one event loop. `own` returns the shelf that a call's reports go to from here, None if they stay."""

    def __init__(self, commit: GroupCommit, intake: Intake, own: Callable[[str | None], Shelf | None]) -> None:
        self._commit = commit
        self._intake = intake
        self._own = own
        self._apart = Apart()
        self.refused: list[Spooled] = []
        """What a script of ours failed on."""

    async def take(self, batch: Iterable[Spooled]) -> None:
        """Hand in requests, and return when all are in the ledger, or elsewhere. Raises what the ledger raises."""
        # Started in order, they are taken in order; the first error is raised once all have ended.
        requests = tuple(batch)
        outcomes = await asyncio.gather(*map(self._take, requests), return_exceptions=True)
        taken: list[_Taken] = []
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
            taken.append(outcome)
        if any(not one.is_in for one in taken):
            await self._move(requests, taken)

    async def _move(self, requests: Sequence[Spooled], taken: Sequence[_Taken]) -> None:
        """Put what was not taken on its shelf, with all that goes there: a call's newer report stays the newer one."""
        for shelf in dict.fromkeys(one.shelf for one in taken if not one.is_in):
            assert shelf is not None  # noqa: S101 it is said to go there
            await shelf.take_over([each for each, one in zip(requests, taken, strict=True) if one.shelf is shelf])

    async def _take(self, request: Spooled) -> _Taken:
        shelf = None
        try:
            try:
                report = await self._prepared(request)
                if report is None:
                    return _Taken()
                shelf = self._own(report.call_id)
                if shelf and shelf.is_active:
                    return _Taken(shelf, is_in=False)
                await self._commit.accept(report)
            except InvalidReport as error:
                shelf = self._own(None)
                await self._reject(request, error)
        except LedgerFault as error:
            # A call whose record is damaged must not keep all that came after it waiting.
            event(logger, "spool_refused", level=logging.ERROR, error=str(error))
            self.refused.append(request)
        except LedgerUnavailable:
            if shelf is None:
                raise
            return _Taken(shelf, is_in=False)
        return _Taken(shelf)

    async def _prepared(self, request: Spooled) -> Acceptable | None:
        """Return the report, None where it is a message of another kind."""
        prepare = partial(self._intake.prepare, request.body, query=request.query, trace=request.trace)
        found = await self._apart.run(prepare, apart=len(request.body) >= LARGE_BODY_BYTES)
        return found if isinstance(found, Acceptable) else None

    async def _reject(self, request: Spooled, error: InvalidReport) -> None:
        rejection = partial(self._intake.rejection, request.body, error, source="webhook")
        await self._commit.reject(await self._apart.run(rejection, apart=len(request.body) >= LARGE_BODY_BYTES))
