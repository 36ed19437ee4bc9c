"""Gets fresh audio links for reports that are uploaded after theirs have ended, where there is a key of Vapi's.

1. Only a report that has waited is looked at: links last for half an hour.
2. A few requests at once go to Vapi, and no more than a part of this worker's slots wait for them: what would be too
   many is uploaded with the links that it has. Nothing is ever kept from Roark because of its audio.
3. Where Vapi does not answer, or refuses the key, it is not asked again for a while.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Self

from roark_ledger.logs import event
from roark_ledger.moves.delivery import Claimed
from roark_ledger.packing import DamagedPayload, Unpacked, unpack
from roark_worker.calls.fresh_links import links_end, with_fresh_links
from roark_worker.calls.vapi import AsyncVapi, VapiFailed
from roark_worker.calls.vapi_settings import VapiSettings

logger = logging.getLogger(__name__)

_AT_ONCE = 4
_MOST_WAITING = 64
_YOUNG_MS = 60_000
_SOON_MS = 60_000
_QUIET_SECONDS = 30.0


class FreshAudio:
    """Belongs to one event loop. `now_ms` is Unix time."""

    def __init__(self, vapi: AsyncVapi, now_ms: Callable[[], float], *, most_waiting: int = _MOST_WAITING) -> None:
        self._vapi = vapi
        self._now_ms = now_ms
        self._most_waiting = most_waiting
        self._waiting = 0
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._quiet_until = 0.0

    @classmethod
    def wanted(cls, settings: VapiSettings, now_ms: Callable[[], float]) -> Self | None:
        """Return what gets fresh links; None where there is no key."""
        return cls(AsyncVapi(settings), now_ms) if settings.vapi_api_key else None

    async def refreshed(self, report: Claimed) -> Unpacked | None:
        """Return the report with fresh links; None where it needs none, or none can be had just now."""
        if report.age_ms < _YOUNG_MS or self._waiting >= self._most_waiting or self._is_quiet():
            return None
        try:
            unpacked = unpack(report.packed)
        except DamagedPayload:
            return None
        end = links_end(unpacked.payload)
        if not end or end > self._now_ms() + _SOON_MS:
            return None
        self._waiting += 1
        try:
            async with self._places:
                call = None if self._is_quiet() else await self._vapi.call(report.call_id)
        except VapiFailed as failed:
            self._quiet_until = asyncio.get_running_loop().time() + _QUIET_SECONDS
            event(logger, "no_fresh_audio", level=logging.WARNING, code=failed.code, error=str(failed))
            return None
        finally:
            self._waiting -= 1
        if call is None:
            return None
        return unpacked._replace(payload=with_fresh_links(unpacked.payload, call))

    def _is_quiet(self) -> bool:
        return asyncio.get_running_loop().time() < self._quiet_until

    async def aclose(self) -> None:
        """Close the connections."""
        await self._vapi.aclose()
