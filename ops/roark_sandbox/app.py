"""The sandbox as a web application: what a request to Roark meets here.

An upload's way is `CallImport`:

1. read the whole body, then wait as long as the latency says; what is above the limits is refused at once;
2. read the upload, or find the reason to refuse it;
3. decide whether something goes wrong on purpose;
4. import or skip the call, unless the fault comes first;
5. answer, or fail to.

Steps 2 to 4 run without a pause, so two requests for one call never import it twice by racing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from roark_sandbox import answers
from roark_sandbox.behaviour import Behaviour
from roark_sandbox.memory import SandboxMemory
from roark_sandbox.options import SandboxOptions
from roark_sandbox.routes.control import Control
from roark_sandbox.routes.creation import read_creation
from roark_sandbox.routes.service import SideRoutes, is_authorised
from roark_sandbox.routes.upload import REPORT, Refusal, UploadRoute, read_upload
from roark_sandbox.routes.vapi import SandboxVapi
from roark_sandbox.traffic import Traffic
from roark_sandbox.trouble import connection
from roark_sandbox.trouble.faults import (
    CutShort,
    ErrorInside,
    Fault,
    NamesNothing,
    NeverAnswer,
    ProxyPage,
    RefuseFault,
    ResetConnection,
    Say,
)


def create_app(options: SandboxOptions, clock: Callable[[], float]) -> Starlette:
    """The application; `clock` gives seconds and only grows. Raises ValueError for a wrong fault or scenario."""
    behaviour = Behaviour(options, clock)
    memory = SandboxMemory(deduplicate=options.dedup, keep_payloads=options.keep_payloads)
    traffic = Traffic(clock)
    service = SideRoutes(options.token, behaviour, memory)
    return Starlette(
        routes=[
            Route(options.path, CallImport(options, behaviour, memory, traffic), methods=["POST"]),
            Route("/v1/call", CallCreation(options, behaviour, memory, traffic), methods=["POST"]),
            Route("/v1/call/{call_id}", service.call),
            Route("/v1/call/{call_id}", service.hide, methods=["DELETE"]),
            Route("/health", service.health),
            Route("/v1/me", service.me),
            *Control(behaviour, memory, traffic).routes(),
            *SandboxVapi(options, clock).routes(),
        ],
        exception_handlers={HTTPException: _no_such_route},
    )


class CallImport:
    """`POST /v1/vapi/call`, as a bare ASGI application because some faults are no HTTP answer at all."""

    def __init__(self, options: SandboxOptions, behaviour: Behaviour, memory: SandboxMemory, traffic: Traffic) -> None:
        self._token = options.token
        self._max_body_bytes = options.max_body_bytes
        self._behaviour = behaviour
        self._memory = memory
        self._traffic = traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._traffic.began()
        try:
            await self._serve(scope, receive, send)
        finally:
            self._traffic.ended()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await connection.read_body(receive, self._max_body_bytes)
        if body is None:
            self._traffic.hung_up()
            return
        self._traffic.received(len(body))
        fault = self._behaviour.above_limits(self._traffic.in_flight)
        if fault is None:
            await asyncio.sleep(self._behaviour.delay_seconds())

        upload = self._read(Headers(scope=scope), body)
        fault = fault or self._behaviour.fault_for(upload.call_id, getattr(upload, "payload", None))
        if fault is None:
            answer = self._noted(upload, self._import(upload))
            await answer(scope, receive, send)
        else:
            await self._fail(fault, upload, scope, receive, send)

    def _read(self, headers: Headers, body: bytes) -> UploadRoute | Refusal:
        if not is_authorised(headers, self._token):
            return Refusal(401)
        if len(body) > self._max_body_bytes:
            return Refusal(413)
        upload = self._understand(headers.get("content-type", ""), body)
        if upload.call_id is not None:
            self._memory.receive(upload.call_id)
        if isinstance(upload, UploadRoute) and (broken := self._behaviour.broken_demand(upload.payload)):
            return Refusal(400, f"{broken.field} is not valid", f"{REPORT}.{broken.field}", upload.call_id)
        return upload

    def _understand(self, content_type: str, body: bytes) -> UploadRoute | Refusal:
        return read_upload(content_type, body)

    def _import(self, upload: UploadRoute | Refusal) -> Response:
        match upload:
            case Refusal(status, message, parameter):
                return answers.error(status, message, parameter)
            case UploadRoute(call_id, payload, skip):
                return answers.imported(self._memory.take(call_id, payload, skip_already_imported=skip))

    async def _fail(
        self, fault: Fault, upload: UploadRoute | Refusal, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._traffic.failed(fault.name)
        if fault.imported:
            self._import(upload)
        match fault.action:
            case RefuseFault() as refuse:
                await self._noted(upload, answers.refused(refuse))(scope, receive, send)
            case ProxyPage(status):
                await self._noted(upload, answers.proxy_page(status))(scope, receive, send)
            case Say() as say:
                await self._noted(upload, answers.said(say))(scope, receive, send)
            case ErrorInside(code):
                await self._noted(upload, answers.error_inside(code))(scope, receive, send)
            case NamesNothing():
                await self._noted(upload, answers.names_nothing())(scope, receive, send)
            case CutShort():
                await connection.cut_short(self._noted(upload, self._import(upload)), scope, receive, send)
            case NeverAnswer():
                self._note(upload, None)
                await connection.never_answer(receive)
            case ResetConnection():
                self._note(upload, None)
                await connection.reset(scope, receive)

    def _noted(self, upload: UploadRoute | Refusal, answer: Response) -> Response:
        self._traffic.answered(answer.status_code)
        self._note(upload, answer.status_code)
        return answer

    def _note(self, upload: UploadRoute | Refusal, status: int | None) -> None:
        if upload.call_id is not None:
            self._memory.answered(upload.call_id, status)


class CallCreation(CallImport):
    """`POST /v1/call`, the documented way in: the same behaviour, another body, and 409 for a known `externalId`."""

    def _understand(self, content_type: str, body: bytes) -> UploadRoute | Refusal:
        return read_creation(content_type, body)

    def _import(self, upload: UploadRoute | Refusal) -> Response:
        match upload:
            case UploadRoute(call_id, payload, _) if self._memory.roark_id(call_id):
                return answers.error(409, "A call with this externalId exists already", "externalId")
            case UploadRoute(call_id, payload, _):
                return answers.created(self._memory.take(call_id, payload, skip_already_imported=False), payload)
            case _:
                return super()._import(upload)


def _no_such_route(_request: Request, raised: Exception) -> Response:
    """404 for an unknown route, 405 for a wrong method, in Roark's error shape."""
    if not isinstance(raised, HTTPException):
        raise raised
    return answers.error(raised.status_code, headers=raised.headers)
