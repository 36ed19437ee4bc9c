"""Optional traces (OpenTelemetry): one for each report, from whoever sent it over accept to every claim and upload.

    roark.accept   child of the sender's span (W3C `traceparent`), or of the program's that submits the report
    kept           its context, 25 bytes in front of the packed report (`packing.py`): not in a Celery message
    roark.claim    in the worker, child of accept: from the question for work to the report under its lease
    roark.upload   in the worker, child of accept: from the claim until the outcome is decided; one pair an attempt

Off by default: then nothing is imported and nothing is kept, and a `Traces | None` is None. Nor is anything kept of a
report that the sampler leaves out. Attributes are ids, counts and reasons' codes; nothing that a report holds.

Spans go to the provider of the program, where it has set one, else by OTLP over HTTP to where
OTEL_EXPORTER_OTLP_ENDPOINT says; OpenTelemetry's own OTEL_* variables are obeyed.
"""

import os
import struct
import time
from typing import TYPE_CHECKING, Self

from roark_ledger.errors import ConfigurationError

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer

    from roark_producer.settings import IngestSettings

_CONTEXT = struct.Struct(">16s8sB")


class Accepting:
    """The span of a report that is being taken in. `context` is what is to be kept with the report, or empty."""

    def __init__(self, span: "Span") -> None:
        self._span = span
        found = span.get_span_context()
        self.context = b""
        if found.is_valid and found.trace_flags.sampled:
            trace_id, span_id = found.trace_id.to_bytes(16, "big"), found.span_id.to_bytes(8, "big")
            self.context = _CONTEXT.pack(trace_id, span_id, found.trace_flags)

    def end(self, call_id: str, result: str) -> None:
        """Say what became of the report."""
        self._span.set_attributes({"roark_ingest.call_id": call_id, "roark_ingest.result": result})
        self._span.end()

    def fail(self, error: Exception) -> None:
        """Say that it is not known to be stored."""
        _mark_failed(self._span, type(error).__name__)
        self._span.end()


class Uploading:
    """The span of one upload. `traceparent` names it to whom it is sent."""

    def __init__(self, span: "Span") -> None:
        self._span = span

    @property
    def traceparent(self) -> str:
        """The W3C header's value."""
        found = self._span.get_span_context()
        return f"00-{found.trace_id:032x}-{found.span_id:016x}-{found.trace_flags:02x}"

    def end(self, outcome: str, *, status: int, reason: str, at: float) -> None:
        """Say how it ended: deliver, defer, bury or release; `status` is 0 without an answer, `reason` a code.

        `at` is when, in Unix time.
        """
        self._span.set_attribute("roark_ingest.outcome", outcome)
        if status:
            self._span.set_attribute("http.response.status_code", status)
        if reason:
            self._span.set_attribute("roark_ingest.reason", reason)
            _mark_failed(self._span, reason)
        self._span.end(round(at * 1e9))


class Traces:
    """Makes the spans of reports. Safe to share between threads."""

    def __init__(self, tracer: "Tracer") -> None:
        self._tracer = tracer

    @classmethod
    def wanted(cls, settings: "IngestSettings") -> Self | None:
        """Return what makes spans, or None where nobody wants them.

        Raises ConfigurationError when OpenTelemetry is not installed.
        """
        if settings.traces == "off":
            return None
        try:
            from opentelemetry import trace

            _provide()
        except ImportError:
            raise ConfigurationError(
                "ROARK_INGEST_TRACES is on, but OpenTelemetry is not installed: pip install 'roark-ingest[otel]'"
            ) from None
        return cls(trace.get_tracer("roark_ingest"))

    def accept(self, traceparent: str | None = None) -> Accepting:
        """Begin to take a report in. Without a `traceparent` ("" for none) it belongs to the program's own span."""
        from opentelemetry.trace import SpanKind

        parent = None if traceparent is None else _sent(traceparent)
        return Accepting(self._tracer.start_span("roark.accept", context=parent, kind=SpanKind.CONSUMER))

    def claimed(self, kept: bytes, call_id: str, *, attempt: int, age_ms: int, asked_ns: int) -> Uploading:
        """Begin to upload a report that was claimed just now; `asked_ns` is when it was asked for, in Unix time."""
        from opentelemetry.trace import SpanKind

        parent = _kept(kept)
        facts: dict[str, str | int] = {
            "roark_ingest.call_id": call_id,
            "roark_ingest.attempt": attempt,
            "roark_ingest.age_ms": age_ms,
        }
        now = time.time_ns()
        claim = self._tracer.start_span(
            "roark.claim", context=parent, kind=SpanKind.INTERNAL, attributes=facts, start_time=asked_ns
        )
        claim.end(now)
        return Uploading(
            self._tracer.start_span(
                "roark.upload", context=parent, kind=SpanKind.CLIENT, attributes=facts, start_time=now
            )
        )


def _sent(traceparent: str) -> "Context":
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({"traceparent": traceparent}, context=Context())


def _kept(context: bytes) -> "Context":
    from opentelemetry.context import Context
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

    trace_id, span_id, flags = _CONTEXT.unpack(context)
    found = SpanContext(
        int.from_bytes(trace_id, "big"), int.from_bytes(span_id, "big"), is_remote=True, trace_flags=TraceFlags(flags)
    )
    return set_span_in_context(NonRecordingSpan(found), Context())


def _mark_failed(span: "Span", why: str) -> None:
    from opentelemetry.trace import Status, StatusCode

    span.set_status(Status(StatusCode.ERROR, why))


def _provide() -> None:
    """Send spans by OTLP, unless the program has said already where they go."""
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return
    name = os.environ.get("OTEL_SERVICE_NAME") or "roark-ingest"
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
