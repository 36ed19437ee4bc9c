"""A report's trace through a producer and a worker in one process: what it belongs to, what is kept, who is told."""

import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest
from delivering import Bench, report
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import StatusCode, Tracer
from servers import Server

from roark_ledger.errors import ConfigurationError, LedgerUnavailable
from roark_ledger.packing import TRACE_BYTES, pack, trace_of
from roark_producer.producer import Producer
from roark_producer.settings import IngestSettings
from roark_producer.tracing import Traces


class Traced:
    """A tracer that keeps its spans."""

    def __init__(self, provider: TracerProvider) -> None:
        self._kept = InMemorySpanExporter()
        provider.add_span_processor(SimpleSpanProcessor(self._kept))
        self.tracer: Tracer = provider.get_tracer("test")
        self.traces = Traces(self.tracer)

    def spans(self, name: str) -> list[ReadableSpan]:
        return [span for span in self._kept.get_finished_spans() if span.name == name]


@pytest.fixture
def traced() -> Traced:
    return Traced(TracerProvider(shutdown_on_exit=False))


@pytest.fixture
def bench(valkey: Server, prefix: str) -> Iterator[Bench]:
    bench = Bench(valkey.url, prefix)
    yield bench
    bench.close()


def producer(bench: Bench, traced: Traced | None) -> Producer:
    settings = IngestSettings(_env_file=None, redis_url=bench.url, prefix=bench.prefix)
    return Producer(bench.ledger, settings, lambda: None, traces=traced.traces if traced else None)


def test_a_report_belongs_to_the_span_of_the_program_that_submits_it(bench: Bench, traced: Traced) -> None:
    with traced.tracer.start_as_current_span("the program") as program:
        producer(bench, traced).submit(report("call-1"))

    (accept,) = traced.spans("roark.accept")
    assert accept.parent
    assert accept.parent.span_id == program.get_span_context().span_id
    assert accept.attributes == {"roark_ingest.call_id": "call-1", "roark_ingest.result": "accepted"}


def test_what_is_kept_is_25_bytes_and_nothing_without_traces(bench: Bench, traced: Traced) -> None:
    untraced = Traced(TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False))
    producer(bench, traced).submit(report("call-1"))
    producer(bench, untraced).submit(report("call-2"))
    producer(bench, None).submit(report("call-3"))

    kept = {one.call_id: one.packed for one in bench.claim(3).reports}

    assert len(trace_of(kept["call-1"])) == TRACE_BYTES
    assert len(kept["call-1"]) == len(pack(report("call-1"))) + TRACE_BYTES
    assert kept["call-2"] == pack(report("call-2"))
    assert kept["call-3"] == pack(report("call-3"))


@pytest.mark.parametrize("told", [False, True])
async def test_roark_is_told_the_trace_only_where_that_is_wanted(bench: Bench, traced: Traced, told: bool) -> None:
    requests: list[httpx.Request] = []

    def roark(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, json={})

    producer(bench, traced).submit(report("call-1"))
    producer(bench, None).submit(report("call-2"))
    async with bench.delivery(handler=roark, traces=traced.traces, traceparent_to_roark=told) as delivery:
        await bench.settle_all(delivery)

    (upload,) = traced.spans("roark.upload")
    context = upload.get_span_context()
    sent = [request.headers["traceparent"] for request in requests if "traceparent" in request.headers]
    assert sent == ([f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"] if told else [])
    assert len(requests) == 2


def test_a_report_that_is_not_known_to_be_stored_is_a_failed_span(
    bench: Bench, traced: Traced, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise LedgerUnavailable("away")

    monkeypatch.setattr(bench.ledger, "run_durably", away)
    with pytest.raises(LedgerUnavailable):
        producer(bench, traced).submit(report("call-1"))

    (accept,) = traced.spans("roark.accept")
    assert accept.status.status_code is StatusCode.ERROR
    assert accept.status.description == "LedgerUnavailable"


def test_an_odd_traceparent_is_none(traced: Traced) -> None:
    for odd in ("", "00-zz", "ÿ", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "x" * 10_000):
        traced.traces.accept(odd).end("call-1", "accepted")
    assert [span.parent for span in traced.spans("roark.accept")] == [None] * 5


def test_off_means_that_nothing_is_made_nor_imported() -> None:
    assert Traces.wanted(IngestSettings(_env_file=None)) is None
    # redis-py imports the API by itself where it is installed; the SDK's tracing is ours alone
    code = "import sys, roark_worker.app, roark_producer.webhook.serving.server\n"
    code += "sys.exit('opentelemetry.sdk.trace' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_the_extra_the_setting_is_refused_and_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'roark-ingest\[otel\]'"):
        Traces.wanted(IngestSettings(_env_file=None, traces="on"))
