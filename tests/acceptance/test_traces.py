"""One trace for each report, through real processes: its sender, the webhook, the worker, Roark."""

import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from pipeline import Pipeline, wait_until

from roark_ledger.lifecycle import State

pytestmark = pytest.mark.acceptance

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PHONE, TRANSCRIPT = "+15550142233", "my card number is four two"


def report(call_id: str) -> bytes:
    call = {"id": call_id, "customer": {"number": PHONE}}
    return json.dumps({"type": "end-of-call-report", "call": call, "transcript": TRANSCRIPT}).encode()


class Collector:
    """Takes spans as an OpenTelemetry collector does."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.raw: list[bytes] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                collector.take(body)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def take(self, body: bytes) -> None:
        self.raw.append(body)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.spans += [span for scope in resource.scope_spans for span in scope.spans]

    def of(self, call_id: str) -> dict[str, list[Span]]:
        """The spans of a call, by name, as they began."""
        found: dict[str, list[Span]] = defaultdict(list)
        for span in sorted(self.spans, key=lambda span: span.start_time_unix_nano):
            if facts(span).get("roark_ingest.call_id") == call_id:
                found[span.name].append(span)
        return found


def facts(span: Span) -> dict[str, Any]:
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    collector = Collector()
    serving = threading.Thread(target=collector.server.serve_forever)
    serving.start()
    yield collector
    collector.server.shutdown()
    serving.join()
    collector.server.server_close()


@pytest.fixture(scope="module")
def line(collector: Collector) -> Iterator[Pipeline]:
    with Pipeline(
        ROARK_INGEST_TRACES="on",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_EXPORTER_OTLP_COMPRESSION="none",
        OTEL_BSP_SCHEDULE_DELAY="100",
    ) as line:
        yield line


def test_a_trace_goes_from_the_sender_through_webhook_and_worker(line: Pipeline, collector: Collector) -> None:
    line.start_sandbox("--fail", "503:calls=call-flaky", "--fail", "422:calls=call-dead")
    line.start_worker(ROARK_INGEST_MAX_ATTEMPTS="2")
    webhook = line.start("webhook", "-m", "roark_ops.cli", "webhook", "--port", "0")
    webhook.wait_for_line("webhook listening on")
    url = webhook.log.split("webhook listening on ")[1].split()[0]
    file = line.folder / "report.json"
    file.write_bytes(report("call-filed"))

    sender = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    for call_id in ("call-good", "call-flaky", "call-dead"):
        assert httpx.post(url, content=report(call_id), headers=sender, trust_env=False).status_code == 200
    assert httpx.post(url, content=report("call-alone"), trust_env=False).status_code == 200
    unsampled = {"traceparent": f"00-{TRACE}-{PARENT}-00"}
    assert httpx.post(url, content=report("call-unsampled"), headers=unsampled, trust_env=False).status_code == 200
    assert line.start("enqueue", "-m", "roark_ops.cli", "enqueue", str(file)).exit_code() == 0
    line.wait_until_settled()
    assert line.count(State.DELIVERED) == 4

    # then each call has its spans, all in one trace, and the sender's is above them
    calls = ("call-good", "call-flaky", "call-dead", "call-alone", "call-filed")
    wait_until(lambda: all(collector.of(call)["roark.upload"] for call in calls), "the uploads' spans")
    wait_until(lambda: len(collector.of("call-flaky")["roark.upload"]) == 2, "the second attempt's span")
    for call_id in calls:
        spans = collector.of(call_id)
        (accept,) = spans["roark.accept"]
        assert len({span.trace_id for each in spans.values() for span in each}) == 1
        for span in spans["roark.claim"] + spans["roark.upload"]:
            assert span.parent_span_id == accept.span_id
        assert len(spans["roark.claim"]) == len(spans["roark.upload"])
    (good,), (alone,) = collector.of("call-good")["roark.accept"], collector.of("call-alone")["roark.accept"]
    assert (good.trace_id.hex(), good.parent_span_id.hex()) == (TRACE, PARENT)
    assert alone.trace_id.hex() != TRACE
    assert alone.parent_span_id == b""

    # and they say what happened
    (first, second) = collector.of("call-flaky")["roark.upload"]
    assert facts(first) == {
        "roark_ingest.call_id": "call-flaky",
        "roark_ingest.attempt": 1,
        "roark_ingest.age_ms": facts(first)["roark_ingest.age_ms"],
        "roark_ingest.outcome": "defer",
        "roark_ingest.reason": "http_503",
        "http.response.status_code": 503,
    }
    assert (facts(second)["roark_ingest.attempt"], facts(second)["roark_ingest.outcome"]) == (2, "bury")
    (dead,) = collector.of("call-dead")["roark.upload"]
    assert facts(dead)["roark_ingest.reason"] == "http_422"

    # and a report that came while Redis was away goes on in its sender's trace
    line.valkey.stop()
    assert (
        httpx.post(url, content=report("call-spooled"), headers=sender, trust_env=False, timeout=30).status_code == 200
    )
    line.valkey.start()
    wait_until(lambda: collector.of("call-spooled")["roark.upload"], "the upload of what was spooled")
    (spooled,) = collector.of("call-spooled")["roark.upload"]
    assert spooled.trace_id.hex() == TRACE

    # and nothing of a report is in them, nor anything of one that its sender did not want to be traced
    told = b"".join(collector.raw)
    assert PHONE[1:].encode() not in told
    assert b"card number" not in told
    assert b"call-unsampled" not in told
