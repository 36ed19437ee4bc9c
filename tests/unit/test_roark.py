"""The door to Roark: the request that goes out, the token, quick tries, and every way of getting no answer."""

import asyncio
import json
import logging
import os
import traceback
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from pyreqwest import exceptions as reqwest

from roark_ledger.errors import ConfigurationError
from roark_ledger.packing import Unpacked
from roark_worker.answers.verdict import Answer
from roark_worker.settings import WorkerSettings
from roark_worker.upload.roark import Roark, Token, UploadFailed, upload_body

TOKEN = "rk_live_0123456789"
OK = httpx.Response(200, json={"data": {"callId": "roark-1"}})

Handler = Callable[[httpx.Request], httpx.Response]


def settings(**values: Any) -> WorkerSettings:
    chosen: dict[str, Any] = {"roark_api_bearer_token": TOKEN, "roark_base_url": "http://localhost", **values}
    return WorkerSettings(_env_file=None, **chosen)


def roark(handler: Handler, **values: Any) -> Roark:
    chosen = settings(**values)
    return Roark(chosen, Token(SecretStr(TOKEN)), httpx.AsyncClient(transport=httpx.MockTransport(handler)))


async def answer_of(handler: Handler, **values: Any) -> Answer:
    async with roark(handler, **values) as door:
        return await door.upload(b"{}")


async def failure_of(handler: Handler, **values: Any) -> UploadFailed:
    async with roark(handler, **values) as door:
        with pytest.raises(UploadFailed) as failed:
            await door.upload(b"{}")
    return failed.value


def raising(error: Exception) -> Handler:
    def handler(_request: httpx.Request) -> httpx.Response:
        raise error

    return handler


def one_after_the_other(*outcomes: httpx.Response | Exception) -> tuple[Handler, list[httpx.Request]]:
    """Answer each request with the next outcome, the last one for ever; collect the requests."""
    requests: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        outcome = outcomes[min(len(requests), len(outcomes) - 1)]
        requests.append(request)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return handler, requests


def from_reqwest(error: type[httpx.RequestError], *causes: str) -> httpx.RequestError:
    """An error as pyreqwest's httpx transport raises it."""
    mapped = error("connection error")
    mapped.__cause__ = reqwest.ConnectError("connection error", {"causes": [{"message": cause} for cause in causes]})
    return mapped


SENDING = ("error sending request for url (https://api.roark.ai/v1/vapi/call)", "client error (SendRequest)")
CONNECTING = ("error sending request for url (https://api.roark.ai/v1/vapi/call)", "client error (Connect)")


class TestBody:
    @given(st.binary(), st.booleans())
    def test_the_payload_goes_out_byte_for_byte(self, payload: bytes, revision: bool) -> None:
        body = upload_body(Unpacked(payload, b""), revision=revision)

        last = b"false" if revision else b"true"
        assert body == b'{"vapiEndOfCallReportPayload":' + payload + b',"skipAlreadyImported":' + last + b"}"

    @given(st.binary(), st.binary(min_size=1))
    def test_properties_go_out_byte_for_byte(self, payload: bytes, properties: bytes) -> None:
        body = upload_body(Unpacked(payload, properties), revision=False)

        middle = b',"properties":' + properties
        assert body == b'{"vapiEndOfCallReportPayload":' + payload + middle + b',"skipAlreadyImported":true}'

    def test_what_python_could_not_print_again_survives(self) -> None:
        payload = b'{ "n":12345678901234567890.10,"e":1E400,"half":"\\ud83d","k":1,"k":2}'

        assert payload in upload_body(Unpacked(payload, b'{"a":1.0}'), revision=False)

    def test_it_is_the_json_that_roark_documents(self) -> None:
        body = upload_body(Unpacked(b'{"call":{"id":"call-1"}}', b'{"plan":"pro"}'), revision=True)

        assert json.loads(body) == {
            "vapiEndOfCallReportPayload": {"call": {"id": "call-1"}},
            "properties": {"plan": "pro"},
            "skipAlreadyImported": False,
        }


class TestRequest:
    async def test_it_is_posted_with_the_token_to_the_address_in_the_settings(self) -> None:
        handler, requests = one_after_the_other(OK)

        answer = await answer_of(handler, upload_path="/v9/call")

        assert answer.status == 200
        assert answer.body == b'{"data":{"callId":"roark-1"}}'
        assert requests[0].method == "POST"
        assert str(requests[0].url) == "http://localhost/v9/call"
        assert requests[0].headers["authorization"] == f"Bearer {TOKEN}"
        assert requests[0].headers["content-type"] == "application/json"

    @pytest.mark.parametrize("status", [302, 401, 429, 503])
    async def test_any_answer_is_an_answer_and_no_redirect_is_followed(self, status: int) -> None:
        handler, requests = one_after_the_other(httpx.Response(status, headers={"Location": "/other", "X-Y": "z"}))

        answer = await answer_of(handler)

        assert answer.status == status
        assert answer.headers["x-y"] == "z"
        assert len(requests) == 1

    @pytest.mark.parametrize(("length", "cut"), [(65_535, False), (65_536, False), (65_537, True), (10_000_000, True)])
    async def test_an_answer_is_read_up_to_64_kb(self, length: int, cut: bool) -> None:
        answer = await answer_of(lambda _request: httpx.Response(200, content=b"x" * length))

        assert len(answer.body) == min(length, 65_536)
        assert answer.cut is cut


class TestToken:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        path = tmp_path / "token"
        path.write_text("first\n")
        return path

    def test_a_changed_file_is_read_again(self, file: Path) -> None:
        token = Token(SecretStr("first"), file)
        assert token.current() == "first"

        file.write_text("  second\n")

        assert token.current() == "second"

    def test_a_file_that_is_swapped_for_one_of_the_same_age_and_length_is_read_again(self, file: Path) -> None:
        token = Token(SecretStr("first"), file)
        assert token.current() == "first"
        other = file.with_name("other")
        other.write_text("other\n")
        found = file.stat()
        os.utime(other, ns=(found.st_atime_ns, found.st_mtime_ns))

        other.rename(file)

        assert token.current() == "other"

    @pytest.mark.parametrize("content", [b"", b" \n", b"two words", b"line\nbreak", b"\xff\xfe", "umläut".encode()])
    def test_a_file_without_a_usable_token_changes_nothing(self, file: Path, content: bytes) -> None:
        token = Token(SecretStr("first"), file)
        token.current()

        file.write_bytes(content)

        assert token.current() == "first"

    def test_a_file_that_is_gone_changes_nothing_and_counts_again_when_it_is_back(self, file: Path) -> None:
        token = Token(SecretStr("first"), file)
        token.current()

        file.unlink()
        assert token.current() == "first"

        file.write_text("back")
        assert token.current() == "back"

    def test_a_file_is_not_read_when_the_variable_itself_is_set(
        self, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ROARK_API_BEARER_TOKEN", "direct")
        monkeypatch.setenv("ROARK_API_BEARER_TOKEN_FILE", str(file))

        assert Token.of(WorkerSettings(_env_file=None)).current() == "direct"

    def test_the_token_comes_from_the_file_that_a_variable_names(
        self, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("ROARK_API_BEARER_TOKEN", raising=False)
        monkeypatch.setenv("ROARK_API_BEARER_TOKEN_FILE", str(file))
        token = Token.of(WorkerSettings(_env_file=None))
        assert token.current() == "first"

        file.write_text("second")

        assert token.current() == "second"

    def test_blanks_around_a_token_do_not_count(self) -> None:
        assert Token.of(settings(roark_api_bearer_token=" abc\n")).current() == "abc"

    @pytest.mark.parametrize("unusable", ["two words", "line\nbreak", "umläut", "tab\there"])
    def test_a_token_that_no_header_can_carry_is_refused_without_being_shown(self, unusable: str) -> None:
        with pytest.raises(ConfigurationError, match="is not a valid header value") as refused:
            settings(roark_api_bearer_token=unusable).require_token()

        assert unusable not in str(refused.value)

    @pytest.mark.parametrize("missing", [None, "", " "])
    def test_without_a_token_the_message_says_what_to_do(self, missing: str | None) -> None:
        with pytest.raises(ConfigurationError, match=r"neither ROARK_API_BEARER_TOKEN .* roark-ingest up --sandbox"):
            settings(roark_api_bearer_token=missing).require_token()

    async def test_a_new_token_goes_out_with_the_next_request(self, file: Path) -> None:
        handler, requests = one_after_the_other(OK)
        client = httpx.AsyncClient(transport=httpx.MockTransport(handler))
        async with Roark(settings(), Token(SecretStr("first"), file), client) as door:
            await door.upload(b"{}")
            file.write_text("second")  # noqa: ASYNC240 two bytes in a test
            await door.upload(b"{}")

        assert [request.headers["authorization"] for request in requests] == ["Bearer first", "Bearer second"]


class TestQuickTries:
    @pytest.mark.parametrize(
        "dropped",
        [
            httpx.ConnectError("refused"),
            httpx.ReadError("reset"),
            httpx.WriteError("broken pipe"),
            httpx.RemoteProtocolError("Server disconnected without sending a response."),
        ],
    )
    async def test_a_dropped_connection_is_tried_again_at_once(self, dropped: Exception) -> None:
        handler, requests = one_after_the_other(dropped, dropped, OK)

        answer = await answer_of(handler, quick_tries=2)

        assert answer.status == 200
        assert len(requests) == 3

    @pytest.mark.parametrize("quick_tries", [0, 1, 2])
    async def test_there_are_no_more_of_them_than_the_setting_says(self, quick_tries: int) -> None:
        handler, requests = one_after_the_other(httpx.ReadError("reset"))

        await failure_of(handler, quick_tries=quick_tries)

        assert len(requests) == 1 + quick_tries

    @pytest.mark.parametrize(
        "outcome",
        [httpx.ReadTimeout("late"), httpx.ConnectTimeout("late"), httpx.DecodingError("broken"), ValueError("odd")],
    )
    async def test_whatever_else_fails_waits_for_the_schedule(self, outcome: Exception) -> None:
        handler, requests = one_after_the_other(outcome)

        await failure_of(handler)

        assert len(requests) == 1

    @pytest.mark.parametrize("status", [429, 500, 503])
    async def test_an_answer_is_never_tried_again(self, status: int) -> None:
        handler, requests = one_after_the_other(httpx.Response(status))

        assert (await answer_of(handler)).status == status
        assert len(requests) == 1

    async def test_uploads_at_the_same_time_do_not_use_up_each_others_tries(self) -> None:
        tries: dict[bytes, Iterator[bool]] = {}

        def handler(request: httpx.Request) -> httpx.Response:
            fails = next(tries.setdefault(request.content, cycle([True, True, False])))
            if fails:
                raise httpx.ReadError("reset")
            return OK

        async with roark(handler, quick_tries=2) as door:
            answers = await asyncio.gather(*(door.upload(str(number).encode()) for number in range(100)))

        assert [answer.status for answer in answers] == [200] * 100


class TestNoAnswer:
    @pytest.mark.parametrize(
        ("error", "reason", "detail"),
        [
            (httpx.ConnectError("[Errno 111] refused"), "connect_refused", "[Errno 111] refused"),
            (from_reqwest(httpx.ConnectError, *CONNECTING, "Connection refused"), "connect_refused", "Connection"),
            (from_reqwest(httpx.ConnectError, *SENDING, "Connection reset by peer"), "network", "reset by peer"),
            (from_reqwest(httpx.DecodingError, "error decoding response body", "unexpected EOF"), "network", "EOF"),
            (httpx.ReadError(""), "network", "ReadError"),
            (httpx.WriteError("Broken pipe"), "network", "Broken pipe"),
            (httpx.CloseError("gone"), "network", "gone"),
            (httpx.RemoteProtocolError("illegal status line: b'+15550101234'"), "network", "RemoteProtocolError"),
            (httpx.DecodingError("incorrect header check"), "network", "DecodingError"),
            (httpx.ReadTimeout("late"), "timeout", "no answer within 60 s"),
            (httpx.WriteTimeout("late"), "timeout", "no answer within 60 s"),
            (httpx.PoolTimeout("late"), "timeout", "no answer within 60 s"),
            (httpx.ConnectTimeout("late"), "connect_timeout", "no connection within 5 s"),
            (TimeoutError(), "timeout", "no answer within 60 s"),
            (httpx.LocalProtocolError("Illegal header value"), "transport", "LocalProtocolError"),
            (httpx.ProxyError("502"), "connect_proxy", "ProxyError"),
            (httpx.UnsupportedProtocol("ftp"), "transport", "UnsupportedProtocol"),
            (httpx.TooManyRedirects("21"), "transport", "TooManyRedirects"),
            (httpx.InvalidURL("no"), "transport", "InvalidURL"),
            (httpx.StreamClosed(), "transport", "StreamClosed"),
            (reqwest.PyreqwestError("unmapped"), "transport", "PyreqwestError"),
            (RuntimeError("event loop is closed"), "transport", "RuntimeError"),
            (OSError(24, "Too many open files"), "transport", "OSError"),
        ],
        ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
    )
    async def test_every_failure_has_its_reason(self, error: Exception, reason: str, detail: str) -> None:
        failure = await failure_of(raising(error), quick_tries=0)

        assert failure.reason == reason
        assert detail in failure.detail

    async def test_a_connect_timeout_after_the_whole_time_means_that_no_answer_came(self) -> None:
        # given reqwest's name for it
        async def late(_request: httpx.Request) -> httpx.Response:
            await asyncio.sleep(0.3)
            raise httpx.ConnectTimeout("connection timeout")

        client = httpx.AsyncClient(transport=httpx.MockTransport(late))
        async with Roark(settings(upload_seconds=0.3), Token(SecretStr(TOKEN)), client) as door:
            with pytest.raises(UploadFailed, match=r"^timeout: no answer within 0\.3 s$"):
                await door.upload(b"{}")

    async def test_an_answer_that_never_comes_is_given_up_in_time_by_whatever_transport(self) -> None:
        async def never(_request: httpx.Request) -> httpx.Response:
            await asyncio.Event().wait()
            return OK

        client = httpx.AsyncClient(transport=httpx.MockTransport(never))
        async with Roark(settings(upload_seconds=0.05), Token(SecretStr(TOKEN)), client) as door:
            with pytest.raises(UploadFailed, match=r"^timeout: no answer within 0\.05 s$"):
                await door.upload(b"{}")

    async def test_who_cancels_an_upload_gets_no_failure_but_the_end_of_it(self) -> None:
        begun = asyncio.Event()

        async def never(_request: httpx.Request) -> httpx.Response:
            begun.set()
            await asyncio.Event().wait()
            return OK

        client = httpx.AsyncClient(transport=httpx.MockTransport(never))
        async with Roark(settings(), Token(SecretStr(TOKEN)), client) as door:
            upload = asyncio.create_task(door.upload(b"{}"))
            await begun.wait()
            upload.cancel()

            with pytest.raises(asyncio.CancelledError):
                await upload

    @pytest.mark.parametrize(
        "error",
        [
            httpx.LocalProtocolError(f"Illegal header value b'Bearer {TOKEN}'"),
            httpx.RemoteProtocolError(f"you said Bearer {TOKEN}"),
            httpx.DecodingError(TOKEN),
            httpx.InvalidURL(TOKEN),
            ValueError(f"header authorization: Bearer {TOKEN}"),
            UnicodeEncodeError("ascii", TOKEN, 0, 1, TOKEN),
        ],
        ids=lambda error: type(error).__name__,
    )
    async def test_the_token_is_in_no_exception_text_and_no_log(
        self, error: Exception, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)

        failure = await failure_of(raising(error), quick_tries=0)

        assert TOKEN not in str(failure)
        assert TOKEN not in repr(failure)
        assert TOKEN not in "".join(traceback.format_exception(failure))
        assert TOKEN not in caplog.text

    async def test_the_token_is_in_no_log_of_an_upload_that_works(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)

        await answer_of(lambda _request: OK)

        assert TOKEN not in caplog.text
