"""The sandbox over real connections: what it accepts, what it remembers, and how it fails on demand."""

import asyncio
import contextlib
import hashlib
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from roark_sandbox.app import create_app
from roark_sandbox.options import SandboxOptions
from roark_sandbox.server import background

DEADLINE_SECONDS = 10
IMPATIENT = httpx.Timeout(DEADLINE_SECONDS, read=0.2)
REPORT = "vapiEndOfCallReportPayload"


@contextlib.contextmanager
def sandbox(**options: Any) -> Iterator[httpx.Client]:
    with (
        background(SandboxOptions(port=0, **options)) as url,
        httpx.Client(base_url=url, timeout=DEADLINE_SECONDS, trust_env=False) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def shared() -> Iterator[httpx.Client]:
    """One sandbox for the tests that only look at refusals: starting one for each would take most of their time."""
    with sandbox() as client:
        yield client


def report(call_id: str, **rest: object) -> dict[str, object]:
    return {"type": "end-of-call-report", "call": {"id": call_id}, **rest}


def upload(client: httpx.Client, call_id: str, *, skip: bool = True, **kwargs: Any) -> httpx.Response:
    body = {"vapiEndOfCallReportPayload": report(call_id), "skipAlreadyImported": skip}
    return client.post("/v1/vapi/call", json=body, **kwargs)


def upload_bytes(client: httpx.Client, body: bytes, **kwargs: Any) -> httpx.Response:
    return client.post("/v1/vapi/call", content=body, headers={"content-type": "application/json"}, **kwargs)


def calls(client: httpx.Client, **query: Any) -> dict[str, Any]:
    seen: dict[str, Any] = client.get("/_sandbox/calls", params=query).json()["calls"]
    return seen


def stats(client: httpx.Client) -> dict[str, Any]:
    seen: dict[str, Any] = client.get("/_sandbox/stats").json()
    return seen


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"


async def until_soon(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not condition():  # noqa: ASYNC110 each look is a request to another thread
            await asyncio.sleep(0)


class Clock:
    """Time that stands still until a test moves it."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def in_process(options: SandboxOptions, clock: Clock, client_host: str = "127.0.0.1") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(create_app(options, clock), client=(client_host, 4000))
    return httpx.AsyncClient(transport=transport, base_url="http://sandbox")


def test_an_accepted_call_is_remembered_with_the_hash_of_the_very_bytes_that_came() -> None:
    # given a report whose bytes do not survive being parsed and printed again
    payload = (
        b'{"type" : "end-of-call-report","call":{"id":"call-1"}, "n":12345678901234567890, "e":1.50,"u":"\\u00e9"}'
    )
    with sandbox() as client:
        # when it is uploaded
        answer = upload_bytes(client, b'{"vapiEndOfCallReportPayload":  ' + payload + b" }")

        # then Roark's documented answer comes and the bytes are accounted for
        assert answer.status_code == 200
        assert calls(client) == {
            "call-1": {
                "received": 1,
                "imported": 1,
                "skipped": 0,
                "sha256": [hashlib.sha256(payload).hexdigest()],
                "lastStatus": 200,
                "callId": answer.json()["data"]["callId"],
            }
        }


def test_a_call_seen_again_is_skipped_and_keeps_its_id_when_the_request_says_so() -> None:
    with sandbox() as client:
        first, second = upload(client, "call-1"), upload(client, "call-1")

        assert second.json() == first.json()
        seen = calls(client)["call-1"]
        assert (seen["received"], seen["imported"], seen["skipped"]) == (2, 1, 1)


def test_a_call_seen_again_is_imported_anew_when_the_request_does_not_ask_to_skip_it() -> None:
    with sandbox() as client:
        first, second = upload(client, "call-1"), upload(client, "call-1", skip=False)

        assert second.json() != first.json()
        seen = calls(client)["call-1"]
        assert (seen["received"], seen["imported"], seen["skipped"]) == (2, 2, 0)


def test_without_deduplication_every_accepted_upload_shows_as_imported() -> None:
    with sandbox(dedup=False) as client:
        upload(client, "call-1")
        upload(client, "call-1")

        seen = calls(client)["call-1"]
        assert (seen["received"], seen["imported"], seen["skipped"]) == (2, 2, 0)
        assert len(seen["sha256"]) == 2


async def test_uploads_of_one_call_at_the_same_moment_import_it_once() -> None:
    with background(SandboxOptions(port=0, latency_ms=20)) as url:
        body = {"vapiEndOfCallReportPayload": report("call-1"), "skipAlreadyImported": True}
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            answers = await asyncio.gather(*(client.post("/v1/vapi/call", json=body) for _ in range(10)))
            seen = (await client.get("/_sandbox/calls")).json()["calls"]["call-1"]

    assert len({answer.json()["data"]["callId"] for answer in answers}) == 1
    assert (seen["received"], seen["imported"], seen["skipped"]) == (10, 1, 9)


def test_the_last_payload_is_handed_back_when_payloads_are_kept() -> None:
    with sandbox(keep_payloads=True) as client:
        upload(client, "call/1")
        upload_bytes(
            client,
            b'{"vapiEndOfCallReportPayload":{"call":{"id":"call/1"},"type":"end-of-call-report","x":1e2}}',
        )

        kept = client.get("/_sandbox/report/call/1")
        assert kept.content == b'{"call":{"id":"call/1"},"type":"end-of-call-report","x":1e2}'
        assert client.get("/_sandbox/report/never-seen").status_code == 404


def test_payloads_are_not_kept_unless_asked_for() -> None:
    with sandbox() as client:
        upload(client, "call-1")
        assert client.get("/_sandbox/report/call-1").status_code == 404


def test_calls_come_in_pages_in_the_order_of_arrival() -> None:
    with sandbox() as client:
        ids = [f"call-{number}" for number in (3, 1, 5, 2, 4)]
        for call_id in ids:
            upload(client, call_id)

        assert list(calls(client)) == ids
        assert list(calls(client, limit=2)) == ids[:2]
        assert list(calls(client, limit=2, after=ids[1])) == ids[2:4]
        assert list(calls(client, limit=2, after=ids[4])) == []


@pytest.mark.parametrize(
    ("query", "parameter"),
    [({"limit": "many"}, "limit"), ({"limit": "-1"}, "limit"), ({"after": "never-seen"}, "after")],
)
def test_a_page_that_cannot_be_is_refused(shared: httpx.Client, query: dict[str, str], parameter: str) -> None:
    answer = shared.get("/_sandbox/calls", params=query)
    assert (answer.status_code, answer.json()["parameter"]) == (400, parameter)


def test_stats_add_up_what_came_and_how_it_was_answered() -> None:
    with sandbox(fail=("503:calls=call-2", "html:calls=call-3")) as client:
        for call_id in ("call-1", "call-1", "call-2", "call-3"):
            upload(client, call_id)
        upload_bytes(client, b"[]")

        seen = stats(client)
        assert seen["requests"] == 5
        assert seen["by_status"] == {"200": 3, "400": 1, "503": 1}
        assert seen["faults"] == {"503": 1, "html": 1}
        assert (seen["calls"], seen["imported"], seen["skipped"]) == (3, 1, 1)
        assert (seen["in_flight"], seen["in_flight_max"], seen["hung_up"]) == (0, 1, 0)
        assert seen["bytes"] > 300
        assert seen["seconds_up"] >= 0


async def test_stats_show_the_most_requests_that_were_in_flight_at_once() -> None:
    with sandbox(fail=("timeout:1.0",)) as client:
        # given eight requests that are not answered
        async with httpx.AsyncClient(base_url=client.base_url, trust_env=False) as uploader:
            body = {REPORT: report("call-1")}
            waiting = [asyncio.create_task(uploader.post("/v1/vapi/call", json=body)) for _ in range(8)]
            await until_soon(lambda: stats(client)["in_flight"] == 8)

            # when they are given up
            for request in waiting:
                request.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

        # then the high-water mark stays
        until(lambda: stats(client)["in_flight"] == 0)
        assert stats(client)["in_flight_max"] == 8


def test_reset_forgets_calls_and_counters_but_goes_on_failing() -> None:
    with sandbox(fail=("400:calls=call-2",)) as client:
        first = upload(client, "call-1")
        client.post("/_sandbox/reset")

        assert calls(client) == {}
        assert stats(client)["requests"] == 0
        assert upload(client, "call-1").json() != first.json()
        assert upload(client, "call-2").status_code == 400


@pytest.mark.parametrize(
    "authorization", [None, "Bearer wrong", "Bearer", "Basic right", "right", "Bearer right!", "Bearer r\xefght"]
)
def test_an_upload_without_the_right_token_is_refused_and_not_remembered(authorization: str | None) -> None:
    with sandbox(token="right") as client:
        headers = httpx.Headers({"authorization": authorization} if authorization else {}, encoding="latin-1")
        answer = upload(client, "call-1", headers=headers)

        assert answer.status_code == 401
        assert (answer.json()["type"], answer.json()["code"]) == ("authentication", "unauthorized")
        assert calls(client) == {}
        for path in ("/health", "/v1/me"):
            assert client.get(path, headers=headers).status_code == 401


def test_the_right_token_opens_every_route_of_roark() -> None:
    with sandbox(token="right") as client:
        headers = {"authorization": "Bearer right"}

        assert upload(client, "call-1", headers=headers).status_code == 200
        assert client.get("/health", headers=headers).json()["data"]["status"] == "healthy"
        assert client.get("/v1/me", headers=headers).json()["data"]["scopes"] == ["READ", "WRITE"]


def test_the_token_does_not_show_when_the_options_are_printed() -> None:
    assert "hush" not in repr(SandboxOptions(token="hush"))


VALID = '{"type":"end-of-call-report","call":{"id":"call-1"}}'


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        (b"", "body"),
        (b"hello", "body"),
        (b"[]", "body"),
        (f'{{"{REPORT}":{VALID}'.encode(), "body"),
        (b'{"vapiEndOfCallReportPayload":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "body"),
        (b"{}", REPORT),
        (f'{{"{REPORT}":null}}'.encode(), REPORT),
        (f'{{"{REPORT}":"text"}}'.encode(), REPORT),
        (f'{{"{REPORT}":[{VALID}]}}'.encode(), REPORT),
        (f'{{"{REPORT}":{{"message":{VALID}}}}}'.encode(), f"{REPORT}.type"),
        (f'{{"{REPORT}":{{"type":"status-update","call":{{"id":"1"}}}}}}'.encode(), f"{REPORT}.type"),
        (f'{{"{REPORT}":{{"type":"end-of-call-report"}}}}'.encode(), f"{REPORT}.call.id"),
        (f'{{"{REPORT}":{{"type":"end-of-call-report","call":{{"id":7}}}}}}'.encode(), f"{REPORT}.call.id"),
        (f'{{"{REPORT}":{{"type":"end-of-call-report","call":{{"id":""}}}}}}'.encode(), f"{REPORT}.call.id"),
        (f'{{"{REPORT}":{{"type":"end-of-call-report","call":"1"}}}}'.encode(), f"{REPORT}.call"),
        (f'{{"{REPORT}":{{"type":"end-of-call-report","call":{{"id":"\xff"}}}}}}'.encode("latin-1"), REPORT),
        (f'{{"{REPORT}":{VALID},"properties":[]}}'.encode(), "properties"),
        (f'{{"{REPORT}":{VALID},"properties":null}}'.encode(), "properties"),
        (f'{{"{REPORT}":{VALID},"skipAlreadyImported":"true"}}'.encode(), "skipAlreadyImported"),
        (f'{{"{REPORT}":{VALID},"skipAlreadyImported":1}}'.encode(), "skipAlreadyImported"),
    ],
)
def test_a_body_that_roark_could_not_import_is_refused_with_the_field_to_blame(
    shared: httpx.Client, body: bytes, parameter: str
) -> None:
    answer = upload_bytes(shared, body)

    assert (answer.status_code, answer.json()["parameter"]) == (400, parameter)
    assert answer.json()["type"] == "validation"
    assert stats(shared)["imported"] == 0


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_body_that_does_not_call_itself_json_is_refused(shared: httpx.Client, content_type: str) -> None:
    answer = upload(shared, "call-1", headers={"content-type": content_type})

    assert (answer.status_code, answer.json()["parameter"]) == (400, "content-type")
    assert stats(shared)["imported"] == 0


def test_a_charset_beside_the_content_type_does_no_harm() -> None:
    with sandbox() as client:
        answer = upload(client, "call-1", headers={"content-type": "application/json; charset=utf-8"})
        assert answer.status_code == 200


def test_a_body_above_the_limit_is_refused_whether_or_not_its_length_was_announced() -> None:
    with sandbox(max_body_bytes=100_000) as client:
        body = json.dumps({REPORT: report("call-1", text="x" * 3_000_000)}).encode()

        announced = upload_bytes(client, body)
        in_chunks = client.post(
            "/v1/vapi/call",
            content=(body[start : start + 65536] for start in range(0, len(body), 65536)),
            headers={"content-type": "application/json"},
        )

        assert (announced.status_code, in_chunks.status_code) == (413, 413)
        assert calls(client) == {}
        assert upload(client, "call-2").status_code == 200


def test_a_body_of_exactly_the_limit_is_accepted() -> None:
    body = json.dumps({REPORT: report("call-1")}).encode()
    with sandbox(max_body_bytes=len(body)) as client:
        assert upload_bytes(client, body).status_code == 200
        assert upload_bytes(client, body + b" ").status_code == 413


def test_an_unknown_route_and_a_wrong_method_are_answered_in_roarks_error_shape() -> None:
    with sandbox() as client:
        unknown, wrong = client.get("/v2/call"), client.get("/v1/vapi/call")

        assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")
        assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")
        assert wrong.headers["allow"] == "POST"


def test_the_upload_path_can_be_elsewhere() -> None:
    with sandbox(path="/v2/imports/vapi") as client:
        body = {REPORT: report("call-1")}
        assert client.post("/v2/imports/vapi", json=body).status_code == 200
        assert client.post("/v1/vapi/call", json=body).status_code == 404


def test_a_fault_with_a_status_answers_with_its_hints_and_imports_nothing() -> None:
    spec = "429:1.0:retry-after=1.5:retry-after-ms=1500:should-retry=false:message=Slow down: please"
    with sandbox(fail=(spec,)) as client:
        answer = upload(client, "call-1")

        assert answer.status_code == 429
        assert answer.headers["retry-after"] == "1.5"
        assert answer.headers["retry-after-ms"] == "1500"
        assert answer.headers["x-should-retry"] == "false"
        assert answer.json() == {
            "type": "rate_limit",
            "code": "too_many_requests",
            "message": "Slow down: please",
        }
        seen = calls(client)["call-1"]
        assert (seen["received"], seen["imported"], seen["lastStatus"]) == (1, 0, 429)


def test_a_chosen_call_is_refused_each_time_and_the_others_pass() -> None:
    with sandbox(fail=("400:calls=call-1+call-3",)) as client:
        statuses = [upload(client, call_id).status_code for call_id in ("call-1", "call-2", "call-3", "call-1")]
        assert statuses == [400, 200, 400, 400]


def test_the_same_seed_fails_the_same_requests() -> None:
    def run() -> list[int]:
        with sandbox(fail=("503:0.5",), jitter_ms=1, seed=7) as client:
            return [upload(client, f"call-{number}").status_code for number in range(30)]

    first, second = run(), run()

    assert first == second
    assert set(first) == {200, 503}


def test_a_request_that_is_never_answered_ends_when_the_client_gives_up() -> None:
    with sandbox(fail=("timeout:calls=call-1",)) as client:
        with pytest.raises(httpx.ReadTimeout):
            upload(client, "call-1", timeout=IMPATIENT)

        until(lambda: stats(client)["faults"] == {"timeout": 1} and stats(client)["in_flight"] == 0)
        seen = calls(client)["call-1"]
        assert (seen["received"], seen["imported"], seen["lastStatus"]) == (1, 0, None)
        assert stats(client)["by_status"] == {}


def test_a_reset_connection_gives_no_answer_and_the_next_request_passes() -> None:
    with sandbox(fail=("reset:calls=call-1",)) as client:
        with pytest.raises(httpx.ReadError):
            upload(client, "call-1")

        assert upload(client, "call-2").status_code == 200
        assert calls(client)["call-1"]["imported"] == 0


def test_a_proxy_page_is_a_success_that_is_not_json_and_imports_nothing() -> None:
    with sandbox(fail=("html:1",)) as client:
        answer = upload(client, "call-1")

        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert answer.text.startswith("<!DOCTYPE html>")
        assert calls(client)["call-1"]["imported"] == 0


def test_an_answer_cut_short_breaks_off_though_the_call_was_imported() -> None:
    with sandbox(fail=("cut:calls=call-1",)) as client:
        with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
            upload(client, "call-1")

        assert calls(client)["call-1"]["imported"] == 1
        assert upload(client, "call-2").status_code == 200


@pytest.mark.parametrize("what", ["timeout", "reset", "html", "503"])
def test_a_fault_may_lose_only_the_answer_to_a_call_that_was_imported(what: str) -> None:
    with sandbox(fail=(f"{what}:calls=call-1:imported=true",)) as client:
        with contextlib.suppress(httpx.TransportError):
            upload(client, "call-1", timeout=IMPATIENT)

        until(lambda: stats(client)["faults"] == {what: 1})
        assert calls(client)["call-1"]["imported"] == 1


def test_latency_and_slowness_delay_an_answer() -> None:
    with sandbox(latency_ms=100, scenario="slow:200ms") as client:
        assert upload(client, "call-1").elapsed.total_seconds() >= 0.3


async def test_an_outage_is_over_when_its_time_is_up_and_spares_the_control_routes() -> None:
    clock = Clock()
    async with in_process(SandboxOptions(scenario="outage:30s", token="right"), clock) as client:
        body = {REPORT: report("call-1")}
        headers = {"authorization": "Bearer right"}

        # given an outage, everything of Roark's is down
        for request in (
            client.post("/v1/vapi/call", json=body, headers=headers),
            client.get("/health", headers=headers),
            client.get("/v1/me", headers=headers),
        ):
            assert (await request).status_code == 503
        assert (await client.get("/_sandbox/stats")).status_code == 200

        # when its time is up
        clock.now = 30.0

        # then everything is back
        assert (await client.post("/v1/vapi/call", json=body, headers=headers)).status_code == 200
        assert (await client.get("/health", headers=headers)).status_code == 200


async def test_a_scenario_set_at_run_time_begins_at_that_moment() -> None:
    clock = Clock()
    async with in_process(SandboxOptions(), clock) as client:
        body = {REPORT: report("call-1")}
        clock.now = 1000.0
        await client.put("/_sandbox/faults", json={"scenario": "outage:30s"})

        clock.now = 1029.0
        assert (await client.post("/v1/vapi/call", json=body)).status_code == 503
        clock.now = 1030.0
        assert (await client.post("/v1/vapi/call", json=body)).status_code == 200


def test_faults_are_mended_while_it_runs_and_what_is_left_out_stays() -> None:
    with sandbox(fail=("503:1.0",), scenario="outage:1h@1h", latency_ms=5, jitter_ms=1, limit=("100",)) as client:
        assert upload(client, "call-1").status_code == 503

        mended = client.put("/_sandbox/faults", json={"fail": []})

        rest = {"latency_ms": 5, "jitter_ms": 1, "limit": ["100"], "refuse": []}
        assert mended.json() == {"fail": [], "scenario": "outage:1h@1h", **rest}
        assert client.get("/_sandbox/faults").json() == mended.json()
        assert upload(client, "call-1").status_code == 200
        calm = client.put("/_sandbox/faults", json={"scenario": None, "latency_ms": 0, "jitter_ms": 0, "limit": []})
        assert calm.json() == {"fail": [], "scenario": None, "latency_ms": 0, "jitter_ms": 0, "limit": [], "refuse": []}


async def test_a_value_that_it_does_not_accept_is_refused_by_name_until_that_is_mended() -> None:
    async with in_process(SandboxOptions(refuse=("call.kind=odd", "cost=1")), time.monotonic) as client:
        odd = {REPORT: report("call-1") | {"call": {"id": "call-1", "kind": "odd"}}}

        answer = await client.post("/v1/vapi/call", json=odd)
        others = [await client.post("/v1/vapi/call", json={REPORT: report(f"call-{x}", cost=x)}) for x in (1, "1", 2)]
        await client.put("/_sandbox/faults", json={"refuse": []})
        mended = await client.post("/v1/vapi/call", json=odd)

        assert (answer.status_code, answer.json()["parameter"]) == (400, f"{REPORT}.call.kind")
        assert [other.status_code for other in others] == [400, 400, 200]
        assert mended.status_code == 200


async def test_what_is_above_a_limit_is_refused_and_may_come_again() -> None:
    clock = Clock()
    async with in_process(SandboxOptions(limit=("2/s",)), clock) as client:
        statuses = []
        for number, now in enumerate((10.0, 10.0, 10.5, 11.0)):
            clock.now = now
            answer = await client.post("/v1/vapi/call", json={REPORT: report(f"call-{number}")})
            statuses.append((answer.status_code, answer.headers.get("retry-after")))

        assert statuses == [(200, None), (200, None), (429, "1"), (200, None)]


async def test_more_uploads_at_once_than_it_can_take_are_refused_at_once() -> None:
    async with in_process(SandboxOptions(limit=("2",), latency_ms=200), time.monotonic) as client:
        bodies = [{REPORT: report(f"call-{number}")} for number in range(3)]

        answers = await asyncio.gather(*(client.post("/v1/vapi/call", json=body) for body in bodies))

        assert sorted(answer.status_code for answer in answers) == [200, 200, 503]
        totals = (await client.get("/_sandbox/stats")).json()
        assert totals["faults"] == {"busy": 1}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"fail": ["503:often"]}, "rate 'often'"),
        ({"fail": [], "scenario": "storm:1s"}, "'storm'"),
        ({"fail": ["503:often"], "scenario": None}, "rate 'often'"),
        ({"fail": [], "latency_ms": -1}, "latency_ms"),
        ({"fial": []}, "fial"),
    ],
)
def test_a_wrong_change_is_refused_and_nothing_changes(change: dict[str, object], reason: str) -> None:
    with sandbox(fail=("503:1.0",), scenario="slow:1ms") as client:
        before = client.get("/_sandbox/faults").json()

        answer = client.put("/_sandbox/faults", json=change)

        assert answer.status_code == 400
        assert reason in answer.json()["message"]
        assert client.get("/_sandbox/faults").json() == before


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1", 200), ("::1", 200), ("::ffff:127.0.0.1", 200), ("203.0.113.7", 403), ("2001:db8::7", 403)],
)
async def test_control_routes_answer_to_this_machine_only(host: str, status: int) -> None:
    async with in_process(SandboxOptions(), Clock(), client_host=host) as client:
        assert (await client.get("/_sandbox/stats")).status_code == status
        assert (await client.get("/health")).status_code == 200


def test_a_client_that_hangs_up_in_the_middle_of_its_body_is_counted_and_imports_nothing() -> None:
    with sandbox() as client:
        with socket.create_connection((client.base_url.host, client.base_url.port or 0)) as half_written:
            half_written.sendall(b"POST /v1/vapi/call HTTP/1.1\r\nhost: sandbox\r\ncontent-length: 99\r\n\r\n{")
            until(lambda: stats(client)["in_flight"] == 1)

        until(lambda: stats(client)["hung_up"] == 1)
        assert stats(client)["in_flight"] == 0
        assert calls(client) == {}


@contextlib.contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-W", "error", "-m", "roark_sandbox", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as started:
        try:
            yield started
        finally:
            started.kill()


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_the_command_says_where_it_listens_and_ends_well_when_told(stop: signal.Signals) -> None:
    with process("--port", "0", "--token", "hush") as started:
        assert started.stdout is not None
        line = started.stdout.readline()
        prefix, _, url = line.strip().partition("http://")
        assert prefix == "sandbox listening on "
        assert httpx.get(f"http://{url}/health", trust_env=False).status_code == 401

        started.send_signal(stop)
        out, err = started.communicate(timeout=DEADLINE_SECONDS)
        assert (started.returncode, out, err) == (0, "", "")


def test_the_command_says_where_it_listens_as_json_too() -> None:
    with process("--port", "0", "--json") as started:
        assert started.stdout is not None
        url = json.loads(started.stdout.readline())["listening"]
        assert httpx.get(f"{url}/health", trust_env=False).status_code == 200


def test_the_command_ends_at_once_though_a_request_is_never_answered() -> None:
    with process("--port", "0", "--fail", "timeout:1.0") as started:
        assert started.stdout is not None
        port = int(started.stdout.readline().rpartition(":")[2])
        with (
            httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as control,
            socket.create_connection(("127.0.0.1", port)) as waiting,
        ):
            waiting.sendall(b"POST /v1/vapi/call HTTP/1.1\r\nhost: sandbox\r\ncontent-length: 2\r\n\r\n{}")
            until(lambda: stats(control)["faults"] == {"timeout": 1})

            started.send_signal(signal.SIGTERM)
            _, err = started.communicate(timeout=DEADLINE_SECONDS)

            assert (started.returncode, err) == (0, "")
            assert waiting.recv(1) == b""


def test_the_command_says_so_when_the_port_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with process("--port", str(port)) as started:
            _, err = started.communicate(timeout=DEADLINE_SECONDS)

    assert started.returncode == 1
    assert f"can't listen on 127.0.0.1:{port}: Address already in use" in err


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("--fail", "503:often", "rate 'often'"),
        ("--scenario", "storm:1s", "'storm'"),
        ("--path", "v1/vapi/call", "must start with /"),
    ],
)
def test_the_command_refuses_a_wrong_option_as_a_matter_of_usage(option: str, value: str, reason: str) -> None:
    with process("--port", "0", option, value) as started:
        out, err = started.communicate(timeout=DEADLINE_SECONDS)

    assert (started.returncode, out) == (2, "")
    assert reason in err
