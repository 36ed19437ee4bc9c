"""Submit reports from Python: parse, gather properties, accept durably, wake a worker.

    with Producer.from_env() as producer:
        receipt = producer.submit(report)              # bytes, str or dict
        receipts = producer.submit_many(reports)       # pipelined, lazily

When `submit` returns, the report is as durable as ROARK_INGEST_DURABILITY says. When it raises LedgerUnavailable, the
report may or may not be stored: submit it again, repeats do no harm.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from types import TracebackType
from typing import Any, Self

import msgspec

from roark_ledger.errors import IngestError, InvalidReport, TooLarge, UnknownMessage
from roark_ledger.keeping import Keeper
from roark_ledger.ledger import Ledger
from roark_ledger.moves import intake, operation
from roark_ledger.moves import reconcile as reconciled
from roark_ledger.moves.intake import REJECTED_BYTES, Acceptable, Result
from roark_ledger.packing import pack
from roark_ledger.server.durability import inspect, keep
from roark_producer.files.unpacking import is_packed, unpacked
from roark_producer.servers import Servers
from roark_producer.settings import IngestSettings
from roark_producer.tracing import Accepting, Traces
from roark_producer.vapi.properties import Scalar, gather
from roark_producer.vapi.report import OtherMessage, Report, read_message

BACKFILLED: Mapping[str, Scalar] = {"ingest_source": "backfill"}
"""Sent to Roark beside a report that was made from a Call object of Vapi's API."""

BATCH_REPORTS = 64
BATCH_BYTES = 5_000_000


@dataclass(frozen=True, slots=True)
class Receipt:
    """What happened to one report.

    `result` is one of

        accepted     a new call; it will be delivered
        duplicate    the same report again; nothing to do
        replaced     a newer report of a call that is still pending: it takes the older one's place
        revision     a newer report of a call that was delivered: kept beside it (see ROARK_INGEST_REVISIONS)
        rejected     unusable, and kept in the rejected bin; `reason` names the field and the problem
        erased       its call was erased, so the report is refused
        ignored      a Vapi message of another type

    `call_id` is None where there is none: rejected and ignored.
    """

    call_id: str | None
    result: str
    reason: str = ""


class Intake:
    """From bytes to what the ledger accepts, or to the receipt of what it does not take. Pure but for packing."""

    def __init__(self, settings: IngestSettings) -> None:
        self._rules = settings.property_rules()
        self._max_bytes = settings.max_report_bytes
        self._rejected_max = settings.rejected_max
        # The largest one that is taken must fit in by itself.
        self._rejected_bytes = max(settings.rejected_max_bytes, settings.max_report_bytes)

    def prepare(
        self,
        body: bytes,
        *,
        query: Mapping[str, str] | None = None,
        properties: Mapping[str, Scalar] | None = None,
        trace: bytes = b"",
    ) -> Acceptable | OtherMessage:
        """Return a report ready for `accept`, or the message that is none. `trace` is kept with the report.

        Raises InvalidReport when it cannot be used.
        """
        if is_packed(body):
            body = unpacked(body, most_bytes=self._max_bytes)
        if len(body) > self._max_bytes:
            raise TooLarge(
                "body", f"has more than {self._max_bytes} bytes; ROARK_INGEST_MAX_REPORT_BYTES is {self._max_bytes}"
            )
        message = read_message(body)
        match message:
            case OtherMessage():
                return message
            case Report(call_id, payload, fingerprint, expires_ms):
                packed = pack(payload, gather(self._rules, payload, query, properties), trace)
                return Acceptable(call_id, fingerprint, packed, expires_ms)

    def rejection(self, body: bytes, error: InvalidReport, *, source: str) -> operation.Operation[bool]:
        """Return the operation that keeps what is unusable in the rejected bin, within the bounds that are set."""
        return rejection(body, error, source=source, most=self._rejected_max, most_bytes=self._rejected_bytes)


def rejection(
    body: bytes, error: InvalidReport, *, source: str, most: int, most_bytes: int = REJECTED_BYTES
) -> operation.Operation[bool]:
    """Return the operation that keeps an unusable report, once per content.

    A line of a file still stands in the file, and a message of Vapi's that nobody knows is no report: these make room
    for what exists nowhere else.
    """
    meta = {"field": error.field, "problem": error.problem, "source": source, "bytes": len(body)}
    return intake.reject(
        digest=hashlib.sha256(body).hexdigest()[:16],
        meta=msgspec.json.encode(meta),
        packed=pack(body),
        most=most,
        most_bytes=most_bytes,
        spare=source == "cli" or isinstance(error, UnknownMessage),
    )


class Producer:
    """Submits reports from Python. Threads may share one; close it, or use it as a context manager."""

    def __init__(
        self,
        ledger: Ledger,
        settings: IngestSettings,
        wake: Callable[[], object],
        *,
        source: str = "python",
        keeps_rejected: bool = True,
        close_too: Callable[[], object] = lambda: None,
        traces: Traces | None = None,
    ) -> None:
        self.ledger = ledger
        self._settings = settings
        self._wake = wake
        self._close_too = close_too
        self._intake = Intake(settings)
        self._source = source
        self._keeps_rejected = keeps_rejected
        self._traces = traces

    @classmethod
    def from_env(cls, *, source: str = "python") -> Self:
        """Return a producer configured by environment variables and `.env`.

        Raises ConfigurationError when a setting is wrong or the server cannot keep the durability you asked for, and
        LedgerUnavailable when Redis is unreachable.
        """
        return cls.from_settings(IngestSettings(), source=source)

    @classmethod
    def from_settings(cls, settings: IngestSettings, *, source: str = "python", keeps_rejected: bool = True) -> Self:
        """Return a producer with these settings; raises what `from_env` raises.

        With `keeps_rejected` unusable reports go to the rejected bin; otherwise they are only counted.
        """
        traces = Traces.wanted(settings)
        servers = Servers(settings)
        client = servers.ledger().client
        ledger = servers.ledger(client, keep(settings.durability, inspect(client)).after_write)
        if settings.data_dir.is_dir():
            _lay_beside(ledger, servers.keeper())
        wake_ups = servers.wake_ups()
        return cls(
            ledger,
            settings,
            wake_ups.publish,
            source=source,
            keeps_rejected=keeps_rejected,
            close_too=wake_ups.close,
            traces=traces,
        )

    def submit(
        self, report: bytes | str | Mapping[str, Any], properties: Mapping[str, Scalar] | None = None
    ) -> Receipt:
        """Submit one report and return once it is durable.

        `properties` go to Roark beside the report. An unusable report raises nothing: it is kept in the rejected bin,
        and the receipt says so. Raises LedgerUnavailable (LedgerFull when Redis is full) when the report may not be
        stored: then, as after a crash, submit it again; repeats do no harm.
        """
        return next(self.submit_many([report], properties))

    def submit_many(
        self,
        reports: Iterable[bytes | str | Mapping[str, Any]],
        properties: Mapping[str, Scalar] | None = None,
    ) -> Iterator[Receipt]:
        """Submit reports in batches; yield a receipt for each, in order, once it is durable.

        Lazy: it takes reports from the iterable as you take receipts, so a source of any length needs constant memory,
        and nothing is submitted that you do not iterate over. When it raises, the batch in flight may or may not be
        stored: submit again from the first report without a receipt.
        """
        documents = map(as_bytes, reports)
        while batch := list(islice(_up_to(documents, BATCH_BYTES), BATCH_REPORTS)):
            yield from self._submit_batch(batch, properties)

    def _submit_batch(self, bodies: list[bytes], properties: Mapping[str, Scalar] | None) -> Iterator[Receipt]:
        receipts: list[Receipt | None] = [None] * len(bodies)
        acceptable: dict[int, Acceptable] = {}
        rejected: list[operation.Operation[bool]] = []
        spans: dict[int, Accepting] = {}
        for place, body in enumerate(bodies):
            span = self._traces.accept() if self._traces else None
            try:
                prepared = self._intake.prepare(body, properties=properties, trace=span.context if span else b"")
            except InvalidReport as error:
                rejected.append(self._intake.rejection(body, error, source=self._source))
                receipts[place] = Receipt(None, "rejected", str(error))
                continue
            if isinstance(prepared, OtherMessage):
                receipts[place] = Receipt(None, "ignored", f"type is {prepared.type}")
            else:
                acceptable[place] = prepared
                spans |= {place: span} if span else {}
        ignored = sum(1 for receipt in receipts if receipt and receipt.result == "ignored")
        self._keep(rejected, ignored)
        for place, result in zip(acceptable, self._accept(acceptable, spans), strict=True):
            receipts[place] = Receipt(acceptable[place].call_id, result.value)
        yield from (receipt for receipt in receipts if receipt)

    def _accept(self, acceptable: Mapping[int, Acceptable], spans: Mapping[int, Accepting]) -> tuple[Result, ...]:
        try:
            results = self.accept(list(acceptable.values()))
        except IngestError as error:
            for span in spans.values():
                span.fail(error)
            raise
        for (place, report), result in zip(acceptable.items(), results, strict=True):
            if place in spans:
                spans[place].end(report.call_id, result.value)
        return results

    def _keep(self, rejected: list[operation.Operation[bool]], ignored: int) -> None:
        counted = {"ignored": ignored}
        if rejected and self._keeps_rejected:
            self.ledger.run_all(rejected, durably=True)
        elif rejected:
            counted["rejected"] = len(rejected)
        if any(counted.values()):
            self.ledger.run(intake.tally(counted))

    def backfill(self, report: bytes, source: str, properties: Mapping[str, Scalar] | None = None) -> Receipt:
        """Submit a report made from a Call object; it is a duplicate if the ledger knows the call.

        Raises InvalidReport when it cannot be used.
        """
        prepared = self._intake.prepare(report, properties={**(properties or {}), **BACKFILLED})
        if isinstance(prepared, OtherMessage):
            raise InvalidReport("type", "is not that of a report")
        detail = msgspec.json.encode({"source": source})
        (answer,) = self.ledger.run_durably(reconciled.backfill([prepared], detail=detail))
        return Receipt(prepared.call_id, answer if answer in {"accepted", "erased"} else "duplicate")

    def accept(self, reports: Sequence[Acceptable]) -> tuple[Result, ...]:
        """Accept packed reports in one batch and wake a worker; return once they are durable."""
        if not reports:
            return ()
        accepted = self.ledger.run_durably(
            intake.accept(
                reports,
                revisions=self._settings.revisions,
                per_wakeup=self._settings.reports_per_wakeup,
            )
        )
        if accepted.wake:
            self._wake()
        return accepted.results

    def close(self) -> None:
        """Close the connections."""
        self._close_too()
        self.ledger.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def as_bytes(report: bytes | str | Mapping[str, Any]) -> bytes:
    """Return a report's JSON; integers of any size and half surrogate pairs stay what they are."""
    match report:
        case bytes():
            return report
        case str():
            return report.encode("utf-8", "surrogatepass")
        case _:
            try:
                return msgspec.json.encode(report)
            except UnicodeEncodeError:
                # Half a surrogate pair, which JavaScript cuts texts into. It can only be written as an escape.
                return json.dumps(report).encode()


def _up_to(documents: Iterator[bytes], most_bytes: int) -> Iterator[bytes]:
    size = 0
    while size < most_bytes:
        document = next(documents, None)
        if document is None:
            return
        size += len(document)
        yield document


def _lay_beside(ledger: Ledger, keeper: Keeper) -> None:
    # What is missing is noted in the ledger, and logged; nobody is kept from handing in for that.
    keeper.note(ledger.run_durably(keeper.operation()))
