"""Gets fresh audio links for reports that are uploaded after theirs have ended, where there is a key of Vapi's.

1. Only a report that has waited is looked at: links last for half an hour.
2. Vapi is asked so often and no more, by all processes together (`vapi.py`). A report whose turn is a moment away keeps
   its slot until then; any other waits in the ledger, which costs no attempt, and leaves its slot to the next one.
3. Nothing is kept from Roark for long because of its audio. Where Vapi does not answer, or refuses the key, it is not
   asked again for a while, and reports are uploaded with the links that they have; so are those that would have to wait
   for hours.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Self

from roark_ledger.errors import LedgerUnavailable
from roark_ledger.ledger import AsyncLedger
from roark_ledger.logs import event
from roark_ledger.moves.delivery import Claimed
from roark_ledger.packing import DamagedPayload, Unpacked, unpack
from roark_worker.calls.fresh_links import links_end, with_fresh_links
from roark_worker.calls.vapi import AskLater, AsyncVapi, VapiFailed
from roark_worker.calls.vapi_settings import VapiSettings

logger = logging.getLogger(__name__)

_YOUNG_MS = 60_000
_SOON_MS = 60_000
_QUIET_SECONDS = 30.0


class FreshAudio:
    """Belongs to one event loop. `now_ms` is Unix time."""

    def __init__(self, vapi: AsyncVapi, now_ms: Callable[[], float]) -> None:
        self._vapi = vapi
        self._now_ms = now_ms
        self._quiet_until = 0.0
        self._told_until = 0.0

    @classmethod
    def wanted(cls, settings: VapiSettings, ledger: AsyncLedger, now_ms: Callable[[], float]) -> Self | None:
        """Return what gets fresh links; None where there is no key."""
        return cls(AsyncVapi(settings, ledger), now_ms) if settings.vapi_api_key else None

    async def refreshed(self, report: Claimed) -> Unpacked | None:
        """Return the report with fresh links; None where it needs none, or none can be had.

        Raises AskLater where it has to wait for them.
        """
        if report.age_ms < _YOUNG_MS or self._is_before(self._quiet_until):
            return None
        try:
            unpacked = unpack(report.packed)
        except DamagedPayload:
            return None
        end = links_end(unpacked.payload)
        if not end or end > self._now_ms() + _SOON_MS:
            return None
        call = await self._call(report.call_id)
        return unpacked._replace(payload=with_fresh_links(unpacked.payload, call)) if call else None

    async def _call(self, call_id: str) -> bytes | None:
        try:
            return await self._vapi.call(call_id)
        except VapiFailed as failed:
            self._quiet_until = asyncio.get_running_loop().time() + _QUIET_SECONDS
            event(logger, "no_fresh_audio", level=logging.WARNING, code=failed.code, error=str(failed))
        except LedgerUnavailable:
            raise AskLater(_QUIET_SECONDS) from None
        except AskLater as later:
            if later.seconds is not None:
                raise
            self._tell_too_many()
        return None

    def _tell_too_many(self) -> None:
        if not self._is_before(self._told_until):
            self._told_until = asyncio.get_running_loop().time() + _QUIET_SECONDS
            event(logger, "no_fresh_audio", level=logging.WARNING, code="too_many")

    def _is_before(self, time: float) -> bool:
        return asyncio.get_running_loop().time() < time

    async def aclose(self) -> None:
        """Close the connections."""
        await self._vapi.aclose()
