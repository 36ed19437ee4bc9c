"""The webhook as a web application: what a request meets here.

A report's way is `VapiRoute`:

1. admit: who may pass? Decided from the headers alone where possible, so a stranger's body is not even read;
2. read the body, bounded in size, time and memory; where a signature is demanded, check it now, over the bytes as
   they came: nobody unknown gets anything unpacked. Then unpack them, where they are packed;
3. prepare: find the report and its properties in the bytes, and pack them; what is large, in a thread of its own
   (`apart.py`). An array, or one message a line, is taken whole, and answered with a result for each;
4. store: wait until it is durable. What cannot be used is kept too, in the rejected bin; what the ledger cannot
   take now goes to the spool;
5. answer, and count.

Whatever goes wrong, the sender gets an answer that tells whether to send again: 503 and Retry-After where
nothing is known to be stored. A body cannot bring about a 500.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from roark_ledger.errors import IngestError, InvalidReport, LedgerError, UnknownMessage
from roark_ledger.ids import CallId
from roark_ledger.logs import event
from roark_ledger.moves.intake import Acceptable
from roark_producer.disk.spool import SpoolFull
from roark_producer.files.unpacking import charset_of, encoding_of, is_packed
from roark_producer.settings import IngestSettings
from roark_producer.taking import Intake
from roark_producer.tracing import Accepting, Traces
from roark_producer.vapi.report import OtherMessage
from roark_producer.webhook import answers
from roark_producer.webhook.accepting import GroupCommit
from roark_producer.webhook.answers import WebhookAnswer
from roark_producer.webhook.apart import LARGE_BODY_BYTES, MANY_DOCUMENTS_BYTES, Apart
from roark_producer.webhook.contract import CONTRACT_PATH, document
from roark_producer.webhook.door.authentication import DoorRefused, Gate, Inbound, header, values
from roark_producer.webhook.door.body import Bodies, Trouble
from roark_producer.webhook.elsewhere import Elsewhere
from roark_producer.webhook.last_resort import LastResort, no_such_route
from roark_producer.webhook.metrics import WebhookMetrics
from roark_producer.webhook.promise import PromisedLedger
from roark_producer.webhook.promise_note import PromiseNote
from roark_producer.webhook.service import Service
from roark_producer.webhook.several import messages_in
from roark_producer.webhook.spools import Spools
from roark_producer.webhook.tally import Tally

logger = logging.getLogger(__name__)

_AT_ONCE = 64


def create_app(
    *,
    path: str,
    settings: IngestSettings,
    body_seconds: float,
    gate: Gate,
    ledger: PromisedLedger,
    commit: GroupCommit,
    tally: Tally,
    metrics: WebhookMetrics,
    spooling: Spools | None = None,
    traces: Traces | None = None,
    note: PromiseNote | None = None,
    contract: dict[str, Any] | None = None,
    usable_bytes: int | None = None,
) -> Starlette:
    """Return the application that takes reports at `path`, with or without a slash behind it.

    `usable_bytes` is how much memory this process may take; None for all that there is.
    """
    vapi = VapiRoute(
        settings=settings,
        body_seconds=body_seconds,
        gate=gate,
        commit=commit,
        tally=tally,
        metrics=metrics,
        spooling=spooling,
        traces=traces,
        usable_bytes=usable_bytes,
    )
    paths = sorted({path, path.rstrip("/") + "/"})
    service = Service(ledger, spooling, note)
    beside = {
        "/healthz": service.health,
        "/readyz": service.ready,
        CONTRACT_PATH: service.contract(contract or document()),
    }
    return Starlette(
        routes=[
            *(Route(each, vapi, methods=["POST"]) for each in paths),
            *(Route(each, answer) for each, answer in beside.items()),
            Route("/{rest:path}", Elsewhere(vapi, gate, paths, beside)),
        ],
        middleware=[Middleware(LastResort, metrics=metrics)],
        exception_handlers={HTTPException: no_such_route},
    )


@dataclass(frozen=True, slots=True)
class _Prepared:
    """One message: its bytes, what was found in them, and its trace."""

    body: bytes
    found: Acceptable | OtherMessage | InvalidReport
    span: Accepting | None = None


class VapiRoute:
    """The path that Vapi posts to, as a bare ASGI application: it decides itself when to read the body."""

    def __init__(
        self,
        *,
        settings: IngestSettings,
        body_seconds: float,
        gate: Gate,
        commit: GroupCommit,
        tally: Tally,
        metrics: WebhookMetrics,
        spooling: Spools | None = None,
        traces: Traces | None = None,
        usable_bytes: int | None = None,
    ) -> None:
        self._spooling = spooling
        self._traces = traces
        self._settings = settings
        self._bodies = Bodies(most_bytes=settings.max_report_bytes, seconds=body_seconds, usable=usable_bytes)
        self._intake = Intake(settings)
        self._apart = Apart()
        self._gate = gate
        self._commit = commit
        self._tally = tally
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._refusal(scope) or await self._read_and_take(scope, receive)
        self._metrics.ended(answer.label)
        await answer.send(send)

    def _refusal(self, scope: Scope, body: bytes | None = None) -> WebhookAnswer | None:
        """Return the answer to who may not pass: as far as the headers tell, or by the body as well."""
        judge = self._gate.judge_head if body is None else self._gate.judge
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        match judge(Inbound(scope["method"], target, scope["headers"], body or b""), time.time()):
            case DoorRefused(reason):
                self._tally.refuse(reason)
                return answers.unauthorized(reason)
            case _:
                return None

    async def _read_and_take(self, scope: Scope, receive: Receive) -> WebhookAnswer:
        body = await self._bodies.read(scope["headers"], receive, known=not self._gate.reads_body)
        if isinstance(body, Trouble):
            return answers.trouble(body, most_bytes=self._bodies.most_bytes, wanted=self._settings.max_report_bytes)
        try:
            self._metrics.read(len(body))
            refusal = self._refusal(scope, body) if self._gate.reads_body else None
            return refusal or await self._unpack(scope, body)
        finally:
            self._bodies.done(body)

    async def _unpack(self, scope: Scope, body: bytes) -> WebhookAnswer:
        codings = [each.strip().lower() for each in values(scope["headers"], b"content-encoding").split(",")]
        charset = charset_of(header(scope["headers"], b"content-type"))
        if not any(codings) and not is_packed(body) and not encoding_of(body, charset):
            return await self._take(scope, body)
        try:
            text = await self._apart.run(partial(self._bodies.unpacked, body, codings, charset), apart=True)
        except InvalidReport as error:
            return await self._reject(scope, body, error)
        if isinstance(text, Trouble):
            return answers.trouble(text, most_bytes=self._bodies.most_bytes, wanted=self._settings.max_report_bytes)
        try:
            return await self._take(scope, text)
        finally:
            self._bodies.done(text)

    async def _take(self, scope: Scope, body: bytes) -> WebhookAnswer:
        one = await self._apart.run(partial(self._prepare, scope, body), apart=len(body) >= LARGE_BODY_BYTES)
        if isinstance(one.found, InvalidReport):
            try:
                several = await self._apart.run(
                    lambda: [self._prepare(scope, each) for each in messages_in(body)],
                    apart=len(body) >= MANY_DOCUMENTS_BYTES,
                )
            except InvalidReport as error:
                return await self._reject(scope, body, error)
            if any(_is_a_message(each) for each in several):
                return await self._keep_all(scope, several)
        return await self._keep(scope, one)

    def _prepare(self, scope: Scope, body: bytes) -> _Prepared:
        sent = header(scope["headers"], b"traceparent").decode("latin-1") if self._traces else ""
        span = self._traces.accept(sent) if self._traces else None
        try:
            found = self._intake.prepare(body, query=self._query(scope), trace=span.context if span else b"")
        except InvalidReport as error:
            return _Prepared(body, error)
        return _Prepared(body, found, span)

    async def _keep_all(self, scope: Scope, several: Sequence[_Prepared]) -> WebhookAnswer:
        kept: list[WebhookAnswer] = []
        for start in range(0, len(several), _AT_ONCE):
            # Started in order, they are taken in order: of two reports of one call the later one is the newer.
            kept += await asyncio.gather(*(self._keep(scope, each) for each in several[start : start + _AT_ONCE]))
        return answers.of_each(kept)

    async def _keep(self, scope: Scope, one: _Prepared) -> WebhookAnswer:
        match one.found:
            case Acceptable() as report:
                return await self._accept(report, scope, one.body, one.span)
            case OtherMessage(message_type):
                self._tally.ignore(message_type)
                return answers.IGNORED
            case InvalidReport() as error:
                return await self._reject(scope, one.body, error)

    async def _accept(self, report: Acceptable, scope: Scope, body: bytes, span: Accepting | None) -> WebhookAnswer:
        started = time.perf_counter()
        trace = span.context if span else b""
        try:
            if self._spooling and await self._spooling.takes_over(report.call_id):
                answer = await self._spool(scope, body, answers.spooled(report.call_id), trace, of=report.call_id)
                if span:
                    span.end(report.call_id, "spooled")
                return answer
            result = await self._commit.accept(report)
        except (LedgerError, SpoolFull) as error:
            if span:
                span.fail(error)
            spooled = answers.spooled(report.call_id)
            return await self._last_defence(scope, body, error, spooled, trace, of=report.call_id)
        if span:
            span.end(report.call_id, result.value)
        self._metrics.stored(time.perf_counter() - started)
        event(logger, "accept", level=logging.DEBUG, call_id=report.call_id, result=result.value)
        return answers.stored(result, report.call_id)

    async def _reject(self, scope: Scope, body: bytes, error: InvalidReport) -> WebhookAnswer:
        try:
            if self._spooling and await self._spooling.takes_over(None):
                return await self._spool(scope, body, answers.rejected(error))
            rejection = partial(self._intake.rejection, body, error, source="webhook")
            await self._commit.reject(await self._apart.run(rejection, apart=len(body) >= LARGE_BODY_BYTES))
        except (LedgerError, SpoolFull) as away:
            return await self._last_defence(scope, body, away, answers.rejected(error))
        event(logger, "reject", level=logging.WARNING, field=error.field, reason=error.problem, bytes=len(body))
        return answers.rejected(error)

    async def _last_defence(
        self,
        scope: Scope,
        body: bytes,
        error: IngestError,
        answer: WebhookAnswer,
        trace: bytes = b"",
        *,
        of: CallId | None = None,
    ) -> WebhookAnswer:
        # The ledger did not take it. Vapi sends once: what can still be kept on this machine's disk is not lost.
        if self._spooling is None or isinstance(error, SpoolFull):
            return answers.unavailable(error)
        try:
            return await self._spool(scope, body, answer, trace, of=of, why=str(error))
        except SpoolFull as full:
            return answers.unavailable(full)

    async def _spool(
        self,
        scope: Scope,
        body: bytes,
        answer: WebhookAnswer,
        trace: bytes = b"",
        *,
        of: CallId | None = None,
        why: str = "",
    ) -> WebhookAnswer:
        assert self._spooling is not None  # noqa: S101 both callers have looked
        await self._spooling.keep(body, self._query(scope), trace, call_id=of, why=why)
        return answer

    def _query(self, scope: Scope) -> dict[str, str] | None:
        if not self._settings.properties_from_query:
            return None
        return dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))


def _is_a_message(one: _Prepared) -> bool:
    return not isinstance(one.found, InvalidReport) or isinstance(one.found, UnknownMessage)
