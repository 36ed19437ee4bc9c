"""What becomes of reports before the ledger sees them, and the receipts: what both producers have in common.

batch = intake.batch(bodies, properties)       parsed, packed; what is unusable, and what is no report
batch.rejections, batch.ignored                what a producer keeps and counts first
batch.reports                                  what it lets the ledger accept
batch.receipts(results)                        one for each body, in order
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from roark_ledger.errors import InvalidReport, TooLarge, UnknownMessage
from roark_ledger.moves import intake, operation
from roark_ledger.moves.intake import REJECTED_BYTES, Acceptable, Result
from roark_ledger.packing import pack
from roark_producer.files.unpacking import is_packed, unpacked
from roark_producer.tracing import Accepting, Traces
from roark_producer.vapi.properties import Scalar, check_given, gather
from roark_producer.vapi.report import OtherMessage, Report, read_message

if TYPE_CHECKING:
    from roark_producer.settings import IngestSettings

AnyReport = bytes | bytearray | memoryview | str | Mapping[str, Any]
"""A report as a program has it: its JSON as bytes or text, or parsed."""

BATCH_REPORTS = 64
BATCH_BYTES = 5_000_000
_SOON_MS = 600_000


@dataclass(frozen=True, slots=True)
class Receipt:
    """What happened to one report.

    Attributes:
        call_id: Vapi's `call.id`; None where there is none, as for what was rejected or ignored.
        result: What became of it. A `Result`, which compares with texts: `receipt.result == "accepted"`.
        reason: Why it was rejected or ignored; names the field and the problem. Else empty.
    """

    call_id: str | None
    result: Result
    reason: str = ""


@dataclass(slots=True)
class Batch:
    """Some reports on their way into the ledger."""

    reports: dict[int, Acceptable] = field(default_factory=dict)
    rejections: list[operation.Operation[bool]] = field(default_factory=list)
    ignored: int = 0
    _known: dict[int, Receipt] = field(default_factory=dict)
    _spans: dict[int, Accepting] = field(default_factory=dict)

    def refuse(self, place: int, receipt: Receipt) -> None:
        """Take note of what the ledger is not to see."""
        self._known[place] = receipt

    def accept(self, place: int, report: Acceptable, span: Accepting | None) -> None:
        """Take note of a report for the ledger."""
        self.reports[place] = report
        if span:
            self._spans[place] = span

    def receipts(self, results: Sequence[Result]) -> list[Receipt]:
        """Return the receipts in order; `results` are the ledger's, for `reports`."""
        for (place, report), result in zip(self.reports.items(), results, strict=True):
            self._known[place] = Receipt(report.call_id, result)
            if span := self._spans.get(place):
                span.end(report.call_id, result.value)
        return [self._known[place] for place in sorted(self._known)]

    def fail(self, error: Exception) -> None:
        """Say that none is known to be stored."""
        for span in self._spans.values():
            span.fail(error)


class Intake:
    """From bytes to what the ledger accepts, or to the receipt of what it does not take.

    A report that comes soon after its call's end is due at Roark in time; others are imported, or brought in.
    """

    def __init__(
        self,
        settings: "IngestSettings",
        *,
        source: str = "python",
        traces: Traces | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._now = now
        self._rules = settings.property_rules()
        self._max_bytes = settings.max_report_bytes
        self._rejected_max = settings.rejected_max
        # The largest one that is taken must fit in by itself.
        self._rejected_bytes = max(settings.rejected_max_bytes, settings.max_report_bytes)
        self._source = source
        self._traces = traces

    def check(self, properties: Mapping[str, Scalar] | None) -> None:
        """Raise InvalidProperties when these could go beside no report."""
        check_given(self._rules, properties)

    def batch(self, bodies: Sequence[bytes], properties: Mapping[str, Scalar] | None) -> Batch:
        """Return reports made ready for the ledger, and the receipts of what it is not to see."""
        found = Batch()
        for place, body in enumerate(bodies):
            span = self._traces.accept() if self._traces else None
            try:
                prepared = self.prepare(body, properties=properties, trace=span.context if span else b"")
            except InvalidReport as error:
                found.rejections.append(self.rejection(body, error, source=self._source))
                found.refuse(place, Receipt(None, Result.REJECTED, str(error)))
                continue
            if isinstance(prepared, OtherMessage):
                found.ignored += 1
                found.refuse(place, Receipt(None, Result.IGNORED, f"type is {prepared.type}"))
            else:
                found.accept(place, prepared, span)
        return found

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
            case Report(call_id, payload, fingerprint, expires_ms, ended_ms):
                ended_ms = ended_ms if abs(self._now() * 1000 - ended_ms) < _SOON_MS else 0
                packed = pack(payload, gather(self._rules, payload, query, properties), trace, ended_ms)
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


def check_several(reports: object) -> None:
    """Raise TypeError where one report was given instead of several: its characters or keys are no reports."""
    if isinstance(reports, bytes | bytearray | memoryview | str | Mapping):
        raise TypeError("these are to be several reports, in a list or an iterator; `submit` takes one")


def batches(reports: Iterable[AnyReport]) -> Iterator[list[bytes]]:
    """Yield reports by as many as go to the ledger at once; takes no more than that from the iterable."""
    documents = map(as_bytes, reports)
    while batch := list(islice(_up_to(documents, BATCH_BYTES), BATCH_REPORTS)):
        yield batch


def as_bytes(report: AnyReport) -> bytes:
    """Return a report's JSON; integers of any size and half surrogate pairs stay what they are.

    Raises TypeError for what is neither JSON nor can be written as JSON.
    """
    match report:
        case bytes():
            return report
        case str():
            return report.encode("utf-8", "surrogatepass")
        case bytearray() | memoryview():
            return bytes(report)
        case Mapping():
            return _written(dict(report))
        case _:
            raise TypeError(f"a report is bytes, a str or a dict, not {type(report).__name__}")


def _written(report: dict[str, Any]) -> bytes:
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
