"""No body, whatever it is, brings about an error of ours. The application in this process, on a real Valkey."""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from webhook_process import Valkey

from roark_ledger.ledger import AsyncLedger
from roark_ledger.server.connection import connect, connect_async
from roark_ledger.server.durability import inspect, keep
from roark_producer.settings import IngestSettings
from roark_producer.webhook.accepting import GroupCommit
from roark_producer.webhook.app import create_app
from roark_producer.webhook.door.open_gate import OpenGate
from roark_producer.webhook.metrics import WebhookMetrics
from roark_producer.webhook.promise import PromisedLedger
from roark_producer.webhook.tally import Tally
from roark_samples import sample_reports

SAMPLES = [sample.body(wrap=wrap) for sample in sample_reports(8, seed=5, odd=0.5, dup=0) for wrap in (True, False)]
BITS = [
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b"\\",
    b",",
    b":",
    b"null",
    b"\\ud800",
    b"\xed\xa0\x80",
    b"\xff",
    b"\x00",
    b"1e999",
    b"-",
    b"\r\n\t ",
]
NAMES = [
    "type",
    "call",
    "id",
    "message",
    "artifact",
    "timestamp",
    "endedReason",
    "metadata",
    "tenant",
    "presignedUrlsExpiresAt",
]


@pytest.fixture(scope="module")
def post(valkey: Valkey) -> Iterator[Callable[[bytes, str], httpx.Response]]:
    """The application in this process, on the real server."""
    with connect(valkey.url) as checker, asyncio.Runner() as runner:
        client = connect_async(valkey.url)
        promised = PromisedLedger(
            lambda: keep("fsync", inspect(checker)),
            lambda after_write: AsyncLedger(client, prefix="fuzz", after_write=after_write),
        )
        ingest = IngestSettings(
            _env_file=None,
            properties_from_query="tenant",
            properties_from_report={"deep": "call.metadata.tenant", "ended": "endedReason"},
        )
        tally = Tally(promised)
        app = create_app(
            path="/vapi",
            settings=ingest,
            body_seconds=5,
            gate=OpenGate(),
            ledger=promised,
            commit=GroupCommit(promised, tally, revisions="record", reports_per_wakeup=64, wake=lambda: None),
            tally=tally,
            metrics=WebhookMetrics(),
        )
        http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")
        yield lambda body, query: runner.run(http.post("/vapi?" + query, content=body))
        runner.run(http.aclose())
        runner.run(client.aclose())


@settings(max_examples=300)
@given(body=st.binary(max_size=300), query=st.text("abtenant=&%+ü", max_size=20))
def test_no_bytes_bring_about_an_error_of_ours(
    body: bytes, query: str, post: Callable[[bytes, str], httpx.Response]
) -> None:
    assert post(body, query).status_code in {200, 422}


@settings(max_examples=300)
@given(data=st.data())
def test_no_damage_to_a_report_brings_about_an_error_of_ours(
    data: st.DataObject, post: Callable[[bytes, str], httpx.Response]
) -> None:
    body = bytearray(data.draw(st.sampled_from(SAMPLES)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body) - 1))
        length = data.draw(st.integers(0, 30))
        body[at : at + length] = data.draw(st.one_of(st.binary(max_size=6), st.sampled_from(BITS)))
    assert post(bytes(body), "tenant=%ff%00").status_code in {200, 422}


@settings(max_examples=200)
@given(
    message=st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=3), inner, max_size=6)
        ),
        max_leaves=20,
    )
)
def test_no_shape_of_a_report_brings_about_an_error_of_ours(
    message: Any, post: Callable[[bytes, str], httpx.Response]
) -> None:
    shaped = {"type": "end-of-call-report", "call": {"id": "shaped"}} | (message if isinstance(message, dict) else {})
    for body in (json.dumps(message), json.dumps({"message": message}), json.dumps({"message": shaped})):
        assert post(body.encode("utf-8", "surrogatepass"), "").status_code in {200, 422}


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"message":' * 50_000,
        b'{"type":"end-of-call-report","call":{"id":"x"},"deep":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"type":"end-of-call-report","call":{"id":"x"},"number":' + b"9" * 100_000 + b"}",
        b'{"type":"end-of-call-report","call":{"id":"x"},"number":1e' + b"9" * 1000 + b"}",
        b'{"type":"end-of-call-report","call":{"id":"\\ud800"}}',
        b'{"type":"\\ud800"}',
        b'{"type":"end-of-call-report","call":{"id":"x"},"\\ud800":"\\udfff"}',
        b'{"type":"end-of-call-report","call":{"id":"x"},"artifact":{"presignedUrlsExpiresAt":"9999-12-31T23:59:59.999-23:59"}}',
        b"\xef\xbb\xbf{}",
        b"\x00" * 1000,
    ],
)
def test_bodies_made_to_break_a_parser_do_not(body: bytes, post: Callable[[bytes, str], httpx.Response]) -> None:
    assert post(body, "").status_code in {200, 422}
