"""Roark's side routes that a client asks before it uploads: is the service well, and is my token good?"""

from __future__ import annotations

import hmac
from datetime import UTC, datetime

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from roark_ops.sandbox import answers
from roark_ops.sandbox.behaviour import Behaviour


def is_authorised(headers: Headers, token: str | None) -> bool:
    """Whether the request bears the token; compared in constant time. Without a token everybody is let in."""
    if token is None:
        return True
    scheme, _, given = headers.get("authorization", "").partition(" ")
    # Starlette reads headers as Latin-1, so this gives the bytes that were sent.
    return scheme.lower() == "bearer" and hmac.compare_digest(given.encode("latin-1"), token.encode())


class Service:
    """`GET /health` and `GET /v1/me`. Both need the token, as at Roark, and both are down during an outage."""

    def __init__(self, token: str | None, behaviour: Behaviour) -> None:
        self._token = token
        self._behaviour = behaviour

    async def health(self, request: Request) -> Response:
        """The state of the service; here it is healthy whenever it answers."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return self._answer(request, {"status": "healthy", "timestamp": now, "version": "sandbox"})

    async def me(self, request: Request) -> Response:
        """What the token may do, in the shape that Roark's SDKs expect of a key bound to one project."""
        project = {"id": "00000000-0000-4000-8000-000000000001", "name": "Sandbox", "slug": "sandbox"}
        organization = {"id": "00000000-0000-4000-8000-000000000002", "name": "Sandbox"}
        token = {"tokenScope": "PROJECT", "scopes": ["READ", "WRITE"], "grantedPermissions": ["*:*"], "user": None}
        return self._answer(request, {**token, "organization": organization, "defaultProject": project})

    def _answer(self, request: Request, data: dict[str, object]) -> Response:
        if (down := self._behaviour.outage()) is not None:
            return answers.refused(down)
        if not is_authorised(request.headers, self._token):
            return answers.error(401)
        return answers.json_answer({"data": data})
