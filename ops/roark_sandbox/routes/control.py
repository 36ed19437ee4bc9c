"""The sandbox's own routes, under `/_sandbox`: look at what it received, and mend or break it while it runs.

    GET  /_sandbox/calls?after=ID&limit=N    what was received, by call
    GET  /_sandbox/stats                     counters over all uploads
    GET  /_sandbox/report/CALL_ID            the payload last imported, when payloads are kept
    GET  /_sandbox/faults                    how it behaves now
    PUT  /_sandbox/faults                    behave differently; what is left out stays as it is
    POST /_sandbox/reset                     forget calls and counters

They need no token and answer to this machine only.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from roark_sandbox import answers
from roark_sandbox.behaviour import Behaviour
from roark_sandbox.memory import SandboxMemory
from roark_sandbox.traffic import Traffic

Handler = Callable[[Request], Awaitable[Response]]
Milliseconds = Annotated[float, msgspec.Meta(ge=0)]


class _Change(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `PUT /_sandbox/faults`; a field left out stays as it is."""

    fail: list[str] | msgspec.UnsetType = msgspec.UNSET
    scenario: str | msgspec.UnsetType | None = msgspec.UNSET
    latency_ms: Milliseconds | msgspec.UnsetType = msgspec.UNSET
    jitter_ms: Milliseconds | msgspec.UnsetType = msgspec.UNSET
    limit: list[str] | msgspec.UnsetType = msgspec.UNSET
    refuse: list[str] | msgspec.UnsetType = msgspec.UNSET


class Control:
    """Reads and changes the parts that the upload route works with."""

    def __init__(self, behaviour: Behaviour, memory: SandboxMemory, traffic: Traffic) -> None:
        self._behaviour = behaviour
        self._memory = memory
        self._traffic = traffic

    def routes(self) -> list[Route]:
        """All control routes, each open to callers on this machine only."""
        return [
            Route("/_sandbox/calls", local_only(self.calls)),
            Route("/_sandbox/stats", local_only(self.stats)),
            Route("/_sandbox/report/{call_id:path}", local_only(self.report)),
            Route("/_sandbox/faults", local_only(self.faults)),
            Route("/_sandbox/faults", local_only(self.change), methods=["PUT"]),
            Route("/_sandbox/reset", local_only(self.reset), methods=["POST"]),
        ]

    async def calls(self, request: Request) -> Response:
        """Calls in order of arrival; the last id of a page is the next page's `after`."""
        after, limit = request.query_params.get("after"), request.query_params.get("limit")
        if limit is not None and not (limit.isascii() and limit.isdigit()):
            return answers.error(400, "limit must be a whole number", "limit")
        try:
            page = self._memory.page(after, None if limit is None else int(limit))
        except KeyError:
            return answers.error(400, "after names a call that never came", "after")
        return answers.json_answer({"calls": page})

    async def stats(self, _request: Request) -> Response:
        """Counters of requests, and of the calls they were about."""
        return answers.json_answer({**self._traffic.totals(), **self._memory.totals()})

    async def report(self, request: Request) -> Response:
        """The bytes last imported for a call."""
        payload = self._memory.payload(request.path_params["call_id"])
        if payload is None:
            return answers.error(404, "No payload is kept for this call")
        return Response(payload, media_type="application/json")

    async def faults(self, _request: Request) -> Response:
        """How the sandbox behaves now, in the form in which `change` takes it."""
        now = self._behaviour
        return answers.json_answer(
            {
                "fail": now.fail,
                "scenario": now.scenario,
                "latency_ms": now.latency_ms,
                "jitter_ms": now.jitter_ms,
                "limit": now.limit,
                "refuse": now.refuse,
            }
        )

    async def change(self, request: Request) -> Response:
        """Behaves differently from the next request on: all of the change, or nothing when a part is wrong."""
        try:
            change = msgspec.json.decode(await request.body(), type=_Change)
        except msgspec.DecodeError as error:
            return answers.error(400, str(error), "body")
        try:
            self._behaviour.change(
                fail=change.fail,
                scenario=change.scenario,
                latency_ms=change.latency_ms,
                jitter_ms=change.jitter_ms,
                limit=change.limit,
                refuse=change.refuse,
            )
        except ValueError as error:
            return answers.error(400, str(error), "body")
        return await self.faults(request)

    async def reset(self, _request: Request) -> Response:
        """Forgets calls and counters; faults stay, and so does what is in flight."""
        self._memory.forget()
        self._traffic.forget()
        return answers.json_answer({})


def local_only(handler: Handler) -> Handler:
    """Return the handler, open to callers on this machine only."""

    async def guarded(request: Request) -> Response:
        if request.client is not None and not _is_loopback(request.client.host):
            return answers.error(403, "Control routes answer to this machine only")
        return await handler(request)

    return guarded


def _is_loopback(host: str) -> bool:
    address = ipaddress.ip_address(host)
    # An IPv4 client of a dual-stack socket arrives as ::ffff:127.0.0.1, which is_loopback denies.
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback
