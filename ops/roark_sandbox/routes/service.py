"""Roark's side routes: is the service well, is my token good, and what became of a call?"""

from __future__ import annotations

import hmac
from datetime import UTC, datetime

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from roark_sandbox import answers
from roark_sandbox.behaviour import Behaviour
from roark_sandbox.memory import SandboxMemory


def is_authorised(headers: Headers, token: str | None) -> bool:
    """Whether the request bears the token; compared in constant time. Without a token everybody is let in."""
    if token is None:
        return True
    scheme, _, given = headers.get("authorization", "").partition(" ")
    # Starlette reads headers as Latin-1, so this gives the bytes that were sent.
    return scheme.lower() == "bearer" and hmac.compare_digest(given.encode("latin-1"), token.encode())


class SideRoutes:
    """`GET /health`, `/v1/me` and `/v1/call/ID`. All need the token, as at Roark, and are down during an outage."""

    def __init__(self, token: str | None, behaviour: Behaviour, memory: SandboxMemory) -> None:
        self._token = token
        self._behaviour = behaviour
        self._memory = memory

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

    async def call(self, request: Request) -> Response:
        """One call by Roark's id of it; one that a later import superseded names that."""
        roark_id = request.path_params["call_id"]
        if (call_id := self._memory.call_of(roark_id)) is None:
            return self._answer(request, None)
        newest = self._memory.roark_id(call_id)
        return self._answer(
            request,
            {
                "id": roark_id,
                "status": "ENDED",
                "title": None,
                "summary": None,
                "durationMs": None,
                "externalId": call_id,
                "properties": {},
                "recordingUrl": None,
                "recordingUrlAccess": "NOT_AVAILABLE",
                "supersededByCallId": newest if newest != roark_id else None,
            },
        )

    async def hide(self, request: Request) -> Response:
        """Hides a call from every read, as Roark says of its DELETE; an unknown one is 404."""
        roark_id = request.path_params["call_id"]
        is_there = self._memory.call_of(roark_id) is not None
        answer = self._answer(request, {"id": roark_id, "deleted": True} if is_there else None)
        if is_there and answer.status_code < 300:
            self._memory.hide(roark_id)
        return answer

    def _answer(self, request: Request, data: dict[str, object] | None) -> Response:
        if (down := self._behaviour.outage()) is not None:
            return answers.refused(down)
        if not is_authorised(request.headers, self._token):
            return answers.error(401)
        if data is None:
            return answers.error(404, "There is no such call")
        return answers.json_answer({"data": data})
