"""What the worker really sends, against a mock server that others have written the judge of: openapi-core.

It knows nothing but `tests/contract/roark-openapi.yaml`. Each request must be one of the document's, with the token,
the headers and a body that it allows; each answer is the smallest that the document promises.
"""

import json
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from call_objects import CALLS
from delivering import TOKEN, Bench, worker_settings
from hypothesis import HealthCheck, given, settings
from openapi_core import OpenAPI
from openapi_core.testing import MockRequest
from pydantic import SecretStr
from servers import Server

from roark_ledger.lifecycle import State
from roark_ledger.packing import Unpacked
from roark_ledger.routes import Route
from roark_producer.vapi.calls import report_of
from roark_samples import sample_reports
from roark_worker.calls.roark_calls import RoarkCalls
from roark_worker.upload.call_route import NotForThisRoute
from roark_worker.upload.roark import Token, upload_body

DOCUMENT = OpenAPI.from_file_path(str(Path(__file__).parents[1] / "contract" / "roark-openapi.yaml"))
PATHS: dict[Route, str] = {"vapi": "/v1/vapi/call", "call": "/v1/call"}
CALL = {
    "id": "c-1", "projectId": "p", "status": "ENDED", "startedAt": "2026-11-01T10:00:00Z", "externalId": None,
    "agents": [], "customers": [], "createdAt": "2026-11-01T10:00:00Z",
}  # fmt: skip
ME = {"organization": {}, "defaultProject": None, "scopes": [], "grantedPermissions": [], "tokenScope": "PROJECT"}


def judge(method: str, path: str, headers: dict[str, str], body: bytes) -> None:
    """Raise openapi-core's error for what the document does not allow."""
    content_type = headers.get("content-type", "")
    asked = MockRequest(
        "https://api.roark.ai", method, path, headers=headers, data=body or None, content_type=content_type
    )
    DOCUMENT.validate_request(asked)


class Mock(ThreadingHTTPServer):
    """Answers on a port of its own, and keeps what was wrong."""

    wrong: list[str]

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.wrong = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """One request: judged, then answered as the document says."""

    server: Mock

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["content-length"])))

    def do_GET(self) -> None:
        self._answer(b"")

    def _answer(self, body: bytes) -> None:
        try:
            judge(self.command.lower(), self.path, {name.lower(): value for name, value in self.headers.items()}, body)
        except Exception as error:  # noqa: BLE001 whatever openapi-core says
            self.server.wrong.append(f"{self.command} {self.path}: {error!r} {error.__cause__!r}")
        data = {"/v1/vapi/call": {"callId": "c-1"}, "/v1/me": ME}.get(self.path, CALL)
        told = json.dumps({"data": data}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, *_: Any) -> None:
        """Nothing is told."""


@pytest.fixture
def mock() -> Iterator[Mock]:
    with Mock() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
async def bench(valkey: Server, prefix: str) -> AsyncIterator[Bench]:
    made = Bench(valkey.url, prefix)
    yield made
    made.close()


@pytest.mark.parametrize("route", ["vapi", "call"])
@pytest.mark.parametrize("transport", ["pyreqwest", "httpx"])
async def test_what_a_worker_uploads_is_what_the_document_allows(
    bench: Bench, mock: Mock, route: Route, transport: str
) -> None:
    bench.submit([one.body(wrap=False) for one in sample_reports(20, seed=7, dup=0)])
    async with bench.delivery(
        roark_base_url=mock.url, route=route, transport=transport, roark_project_id="p-1"
    ) as delivery:
        await bench.settle_all(delivery)

    assert mock.wrong == []
    assert bench.count(State.DELIVERED) + bench.count(State.DEAD) == 20
    assert bench.count(State.DELIVERED) >= 15


def test_so_is_what_is_looked_up(mock: Mock) -> None:
    with RoarkCalls(worker_settings(roark_base_url=mock.url), Token(SecretStr(TOKEN)), per_second=0) as roark:
        assert roark.is_visible("c-1")
        assert roark.me()["tokenScope"] == "PROJECT"

    assert mock.wrong == []


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        ("/v1/call", {"recordingUrl": "https://s/a"}, {"authorization": "Bearer t"}),
        ("/v1/vapi/call", {"properties": {}}, {"authorization": "Bearer t"}),
        ("/v1/vapi/call", {"vapiEndOfCallReportPayload": {}}, {}),
        ("/v1/fax", {}, {"authorization": "Bearer t"}),
    ],
)
def test_the_judge_sees_what_is_wrong(path: str, body: Any, headers: dict[str, str]) -> None:
    with pytest.raises(Exception, match=r"."):
        judge("post", path, headers | {"content-type": "application/json"}, json.dumps(body).encode())


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(call=CALLS)
def test_any_call_object_makes_requests_that_the_document_allows(call: dict[str, Any]) -> None:
    payload = report_of(json.dumps(call).encode())
    headers = {"authorization": "Bearer t", "content-type": "application/json"}
    for route, path in PATHS.items():
        try:
            body = upload_body(Unpacked(payload, b'{"tenant":"a"}'), revision=False, route=route)
        except NotForThisRoute:
            continue
        judge("post", path, headers, body)
