"""Requests to another path than Vapi's, or by another method than POST.

Vapi sends a report once: what comes to an address that was written wrong (`/`, `//vapi`, `/vapi/webhook`, PUT) is taken
all the same where the secret is right, and said. To everybody else there is nothing: 404, 405 at Vapi's path. So it is
without a secret, and where a signature is demanded, which may be over the right address. What only answers questions
(`/healthz` and the like) takes nothing: 405.
"""

import logging
import time
from collections.abc import Collection

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from roark_ledger.logs import event
from roark_producer.webhook.door.authentication import Gate, Granted, Inbound, SecretGate

logger = logging.getLogger(__name__)

_WITH_A_BODY = frozenset({"POST", "PUT", "PATCH"})


class Elsewhere:
    """An ASGI application for all requests that are no other's. `paths` are Vapi's, `beside` can only be read."""

    def __init__(self, vapi: ASGIApp, gate: Gate, paths: Collection[str], beside: Collection[str] = ()) -> None:
        self._vapi = vapi
        self._gate = gate
        self._paths = paths
        self._beside = beside

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in self._beside:
            raise HTTPException(405, headers={"allow": "GET, HEAD"})
        if scope["method"] in _WITH_A_BODY and self._knows_the_secret(scope):
            hint = f"taken; but Vapi's server URL should end with {min(self._paths, key=len)}, and the method be POST"
            event(logger, "wrong_address", level=logging.WARNING, method=scope["method"], hint=hint)
            await self._vapi(scope, receive, send)
        elif scope["path"] in self._paths:
            raise HTTPException(405, headers={"allow": "POST"})
        else:
            raise HTTPException(404)

    def _knows_the_secret(self, scope: Scope) -> bool:
        inbound = Inbound(scope["method"], b"", scope["headers"], b"")
        return isinstance(self._gate, SecretGate) and isinstance(self._gate.judge(inbound, time.time()), Granted)
