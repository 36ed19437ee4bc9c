"""What is answered where nothing else answers: 503 in place of a 500, 404 and 405 for what is not there."""

import asyncio
import logging

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from roark_ledger.logs import event
from roark_producer.webhook import answers
from roark_producer.webhook.metrics import WebhookMetrics

logger = logging.getLogger(__name__)


class LastResort:
    """Answers 503 in place of a 500, also when the time to shut down is over: the sender should send again."""

    def __init__(self, app: ASGIApp, metrics: WebhookMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        answer = answers.FAILED
        try:
            await self._app(scope, receive, watched)
            return
        except asyncio.CancelledError:
            # Only the server cancels a request, when shutting down took too long; it does not wait for the task.
            answer = answers.SHUTTING_DOWN
        except Exception as error:  # noqa: BLE001 the last resort: its message may quote the report, its class not
            event(logger, "request_failed", level=logging.ERROR, error=type(error).__name__)
        self._metrics.ended(answer.label)
        if not started:
            await answer.send(send)


async def no_such_route(_request: Request, raised: Exception) -> Response:
    """404 for an unknown path, 405 for a wrong method."""
    if not isinstance(raised, HTTPException):
        raise raised
    return JSONResponse({"error": raised.detail}, status_code=raised.status_code, headers=raised.headers)
