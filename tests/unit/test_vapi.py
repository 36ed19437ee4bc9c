"""Vapi's API as it is asked: slowly, again where that helps, and with words where it does not."""

import json
from collections.abc import Callable
from typing import cast

import httpx
import pytest
from pydantic import SecretStr

from roark_ledger.errors import ConfigurationError, LedgerRefuses
from roark_ledger.ledger import Ledger
from roark_worker.calls.vapi import Vapi, VapiFailed
from roark_worker.calls.vapi_settings import VapiSettings

KEY = "private-key-that-nobody-may-see"


class Time:
    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def vapi(
    handle: Callable[[httpx.Request], httpx.Response],
    time: Time | None = None,
    ledger: Ledger | None = None,
    **settings: object,
) -> Vapi:
    time = time or Time()
    return Vapi(
        VapiSettings(vapi_api_key=SecretStr(KEY), **settings),
        ledger=ledger,
        sleep=time.sleep,
        clock=lambda: time.now,
        transport=httpx.MockTransport(handle),
    )


def answering(*answers: httpx.Response | Exception) -> tuple[Callable[[httpx.Request], httpx.Response], list[str]]:
    left, asked = list(answers), []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return handle, asked


def test_calls_of_a_window_come_as_vapi_wrote_them() -> None:
    handle, asked = answering(httpx.Response(200, content=b' [ {"id":"a","cost":1.10} ,{"id":"\\ud83d"}] '))

    with vapi(handle) as client:
        found = client.calls(from_ms=1793527320500, to_ms=1793527320501, updated_from_ms=5)

    assert found == [b'{"id":"a","cost":1.10}', b'{"id":"\\ud83d"}']
    assert asked[0] == (
        "https://api.vapi.ai/call?createdAtGe=2026-11-01T10%3A02%3A00.500Z&createdAtLt=2026-11-01T10%3A02%3A00.501Z"
        "&limit=100&updatedAtGe=1970-01-01T00%3A00%3A00.005Z"
    )


def test_the_key_is_sent_and_never_told() -> None:
    sent: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers["authorization"])
        return httpx.Response(401, json={"message": KEY})

    with vapi(handle) as client, pytest.raises(VapiFailed, match="private key") as failed:
        client.call("c-1")

    assert sent == [f"Bearer {KEY}"]
    assert failed.value.code == "key"
    assert "api.eu.vapi.ai" in str(failed.value)
    assert KEY not in str(failed.value)


def test_no_more_than_two_requests_a_second_go_out() -> None:
    time = Time()
    handle, _ = answering(httpx.Response(200, json=[]))

    with vapi(handle, time) as client:
        began = time.now
        for _ in range(5):
            client.calls(from_ms=0, to_ms=1)

    assert time.now - began == pytest.approx(2.0)


class MayOnlyLook:
    """A ledger whose Redis user writes nothing."""

    asked = 0

    def run(self, _: object) -> None:
        self.asked += 1
        raise LedgerRefuses("Redis refuses commands", "NOPERM")


def test_who_may_only_look_at_the_ledger_keeps_a_pace_of_its_own() -> None:
    time, ledger = Time(), MayOnlyLook()
    handle, _ = answering(httpx.Response(200, json=[]))

    with vapi(handle, time, ledger=cast("Ledger", ledger)) as client:
        began = time.now
        for _ in range(3):
            client.calls(from_ms=0, to_ms=1)

    assert time.now - began == pytest.approx(1.0)
    assert ledger.asked == 1


def test_what_passes_is_tried_again_after_as_long_as_vapi_says() -> None:
    time = Time()
    busy = httpx.Response(429, headers={"retry-after": "7"})
    handle, asked = answering(busy, httpx.ConnectError("refused"), httpx.Response(503), httpx.Response(200, json=[]))

    with vapi(handle, time) as client:
        assert client.calls(from_ms=0, to_ms=1) == []

    assert len(asked) == 4
    assert max(time.slept) == 7


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (httpx.Response(429), "busy"),
        (httpx.Response(500), "status"),
        (httpx.Response(400), "status"),
        (httpx.ReadTimeout("late"), "unreachable"),
        (httpx.Response(200, json={"calls": []}), "odd_answer"),
        (httpx.Response(200, text="<html>"), "odd_answer"),
        (httpx.Response(404), "status"),
    ],
)
def test_what_does_not_pass_has_a_code(answer: httpx.Response | Exception, code: str) -> None:
    handle, asked = answering(answer)

    with vapi(handle) as client, pytest.raises(VapiFailed) as failed:
        client.calls(from_ms=0, to_ms=1)

    assert failed.value.code == code
    assert len(asked) <= 8


def test_what_vapi_knows_no_more_is_none() -> None:
    handle, asked = answering(httpx.Response(404))

    with vapi(handle) as client:
        assert (client.call("a/b"), client.assistant("x"), client.phone_number("y")) == (None, None, None)

    assert asked[0] == "https://api.vapi.ai/call/a%2Fb"


def test_one_thing_comes_as_vapi_wrote_it() -> None:
    handle, _ = answering(httpx.Response(200, content=b'{"id": "a-1"}'))

    with vapi(handle, vapi_base_url="https://api.eu.vapi.ai/") as client:
        assert json.loads(client.assistant("a-1") or b"") == {"id": "a-1"}


@pytest.mark.parametrize("key", [None, SecretStr(""), SecretStr("two words"), SecretStr("schlüssel")])
def test_a_key_that_cannot_be_sent_is_refused_with_words(key: SecretStr | None) -> None:
    with pytest.raises(ConfigurationError, match="VAPI_API_KEY"):
        VapiSettings(vapi_api_key=key).require_key()


@pytest.mark.parametrize("url", ["http://api.vapi.ai", "api.vapi.ai", "ftp://x"])
def test_the_key_does_not_travel_in_the_clear(url: str) -> None:
    with pytest.raises(ConfigurationError, match="VAPI_BASE_URL"):
        VapiSettings(vapi_base_url=url)
