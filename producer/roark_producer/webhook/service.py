"""What an orchestrator asks of a webhook: is it alive, and does it take reports?"""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from roark_producer.webhook.promise import PromisedLedger
from roark_producer.webhook.promise_note import PromiseNote
from roark_producer.webhook.spools import Spools


class Service:
    """The paths beside the one that Vapi posts to."""

    def __init__(self, ledger: PromisedLedger, spooling: Spools | None, note: PromiseNote | None) -> None:
        self._ledger = ledger
        self._spooling = spooling
        self._note = note

    async def health(self, _request: Request) -> Response:
        """200 while the process answers, whatever Redis does: restarting it would not help."""
        return JSONResponse({"status": "alive"})

    async def ready(self, _request: Request) -> Response:
        """200 while a report would be taken, be it on this machine's disk; what is wrong besides is told.

        So it is while some partitions of the ledger are away.
        """
        problem = await self._ledger.problem()
        disk = self._spooling.trouble if self._spooling else ""
        known = self._note.words() if self._note else ()
        reason = "; ".join(each for each in (problem.words if problem else "", disk, *known) if each)
        none_is_taken = problem is not None and not problem.partly
        if none_is_taken and (disk or not self._spooling):
            return JSONResponse({"status": "not-ready", "reason": reason}, status_code=503)
        status = "spooling" if none_is_taken else "degraded" if reason else "ready"
        return JSONResponse({"status": status, **({"reason": reason} if reason else {})})

    @staticmethod
    def contract(document: dict[str, Any]) -> Callable[[Request], Awaitable[Response]]:
        """Return what answers with the OpenAPI document."""
        answer = JSONResponse(document)

        async def contract(_request: Request) -> Response:
            return answer

        return contract
