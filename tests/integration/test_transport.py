"""Every way in which an upload can fail on the wire, over both transports: what it means, how long it takes, and
that nothing is left open."""

import asyncio
import contextlib
import logging
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from roark_ledger.packing import Unpacked
from roark_sandbox.options import SandboxOptions
from roark_sandbox.server import background
from roark_worker.answers.verdict import Delivered, Passing, Verdict, judge
from roark_worker.settings import WorkerSettings
from roark_worker.upload.roark import Roark, Token, UploadFailed, upload_body

TOKEN = "test-token-0123456789"
SOON = 0.4
LONG = 30.0
SMALL = upload_body(Unpacked(b'{"type":"end-of-call-report","call":{"id":"call-1"}}', b""), revision=False)
LARGE = upload_body(
    Unpacked(b'{"type":"end-of-call-report","call":{"id":"call-1"},"t":"' + b"x" * 1_000_000 + b'"}', b""),
    revision=False,
)

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter
Way = Callable[[Reader, Writer], Awaitable[None]]


async def read_request(reader: Reader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(int(length.split(b":")[1]))


async def until_the_client_leaves(reader: Reader) -> None:
    while await reader.read(65_536):
        pass


def answering(*parts: bytes, then: str = "close") -> Way:
    """Take the whole request, answer with these bytes, then close or stay silent."""

    async def way(reader: Reader, writer: Writer) -> None:
        await read_request(reader)
        for part in parts:
            writer.write(part)
            await writer.drain()
        if then == "silence":
            await until_the_client_leaves(reader)

    return way


def repeating(head: bytes, part: bytes, pause: float = 0) -> Way:
    """Take the whole request and answer without end."""

    async def way(reader: Reader, writer: Writer) -> None:
        await read_request(reader)
        writer.write(head)
        while not writer.is_closing():
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)

    return way


async def answer_everything(reader: Reader, writer: Writer) -> None:
    while True:
        await read_request(reader)
        writer.write(OK + b"content-length: 2\r\n\r\n{}")


async def close_at_once(_reader: Reader, _writer: Writer) -> None:
    return


async def close_after_a_hundred_bytes(reader: Reader, _writer: Writer) -> None:
    await reader.readexactly(100)


async def reset_after_the_report(reader: Reader, writer: Writer) -> None:
    await read_request(reader)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def never_read(_reader: Reader, writer: Writer) -> None:
    writer.transport.pause_reading()  # type: ignore[attr-defined] # a stream's transport reads
    await asyncio.sleep(3 * SOON)


async def never_answer(reader: Reader, _writer: Writer) -> None:
    await until_the_client_leaves(reader)


async def answer_plainly(reader: Reader, writer: Writer) -> None:
    await reader.read(10)
    writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")


OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"

# A way of failing, and its reason.
BREAKING = [
    pytest.param(close_at_once, "network", id="closes at once"),
    pytest.param(close_after_a_hundred_bytes, "network", id="closes after a hundred bytes"),
    pytest.param(reset_after_the_report, "network", id="resets after it has the report"),
    pytest.param(answering(), "network", id="closes after it has the report"),
    pytest.param(answering(b"HTTP/1.1 200 OK\r\ncontent-le"), "network", id="half a head"),
    pytest.param(answering(OK, b'content-length: 30\r\n\r\n{"data":'), "network", id="half a body"),
    pytest.param(answering(OK, b"transfer-encoding: chunked\r\n\r\n5\r\n{"), "network", id="half a chunk"),
    pytest.param(answering(OK, b"transfer-encoding: chunked\r\n\r\nzz\r\n"), "network", id="a chunk of no size"),
    pytest.param(answering(b"\x00\xff SSH-2.0-hello\r\n\r\n"), "network", id="another protocol"),
    pytest.param(answering(OK, b"x: " + b"a" * 2_000_000 + b"\r\n\r\n"), "network", id="a header of 2 MB"),
    pytest.param(repeating(OK, b"x: " + b"a" * 1000 + b"\r\n"), "network", id="headers without end"),
    pytest.param(answering(OK, b"content-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}"), "network", id="no gzip"),
    pytest.param(answering(OK, b"content-length: 0\r\n\r\n"), "not_roark", id="an empty body"),
    pytest.param(repeating(b"HTTP/1.1 200 OK\r\n\r\n<p>", b"x" * 1000), "not_roark", id="a page without end"),
    pytest.param(answering(b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n"), "http_503", id="503 without words"),
    pytest.param(answering(b"HTTP/1.1 999 Go away\r\ncontent-length: 0\r\n\r\n"), "http_999", id="an odd status"),
]
SILENT = [
    never_answer,
    never_read,
    answering(OK, b"content-le", then="silence"),
    answering(OK, b'content-length: 30\r\n\r\n{"data":', then="silence"),
    repeating(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.01),
    repeating(OK + b"content-length: 1000000\r\n\r\n", b" ", 0.01),
]


@pytest.fixture(params=["pyreqwest", "httpx"])
def transport(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@contextlib.asynccontextmanager
async def serving(way: Way) -> AsyncIterator[int]:
    """Serve in a way that fails; yield the port."""

    connections: set[asyncio.Task[None]] = set()
    writers: list[Writer] = []

    async def serve(reader: Reader, writer: Writer) -> None:
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await way(reader, writer)
        finally:
            writer.close()

    def connected(reader: Reader, writer: Writer) -> None:
        writers.append(writer)
        connection = asyncio.create_task(serve(reader, writer))
        connections.add(connection)
        connection.add_done_callback(connections.discard)

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as server:
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            left = list(connections)
            for connection in left:
                connection.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            for writer in writers:
                writer.transport.abort()
            await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def door_to(url: str, transport: str, **values: Any) -> AsyncIterator[Roark]:
    chosen = {"roark_base_url": url, "transport": transport, "quick_tries": 0, "max_in_flight": 64, **values}
    settings = WorkerSettings(_env_file=None, **chosen)
    async with Roark(settings, Token(SecretStr(TOKEN))) as door:
        yield door


async def verdict_of(door: Roark, body: bytes = SMALL) -> Verdict:
    try:
        answer = await door.upload(body)
    except UploadFailed as error:
        return Passing(error.reason, message=error.detail)
    return judge(answer, datetime.now(UTC))


async def seconds_for(waiting: Awaitable[Verdict]) -> tuple[Verdict, float]:
    loop = asyncio.get_running_loop()
    started = loop.time()
    verdict = await waiting
    return verdict, loop.time() - started


@pytest.mark.parametrize(("way", "reason"), BREAKING)
async def test_an_answer_that_is_broken_passes_at_once(transport: str, way: Way, reason: str) -> None:
    async with serving(way) as port, door_to(f"http://127.0.0.1:{port}", transport, upload_seconds=LONG) as door:
        for body in (SMALL, LARGE):
            verdict, seconds = await seconds_for(verdict_of(door, body))

            assert isinstance(verdict, Passing)
            assert verdict.reason == reason, verdict
            assert seconds < LONG / 2


async def test_an_answer_that_never_ends_passes_when_the_time_is_up(transport: str) -> None:
    async def meet(way: Way) -> tuple[Verdict, float]:
        async with serving(way) as port, door_to(f"http://127.0.0.1:{port}", transport, upload_seconds=SOON) as door:
            return await seconds_for(verdict_of(door, LARGE))

    met = await asyncio.gather(*(meet(way) for way in SILENT))

    assert [verdict for verdict, _ in met] == [Passing("timeout", message=f"no answer within {SOON:g} s")] * len(SILENT)
    assert all(SOON * 0.9 <= seconds < SOON + 5 for _, seconds in met)


class TestConnecting:
    async def test_a_port_that_refuses(self, transport: str) -> None:
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            async with door_to(f"http://127.0.0.1:{bound.getsockname()[1]}", transport) as door:
                verdict = await verdict_of(door)

        assert isinstance(verdict, Passing)
        assert verdict.reason == "connect_refused"

    async def test_a_port_that_takes_no_more_connections(self, transport: str) -> None:
        with contextlib.ExitStack() as stack:
            full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
            for _ in range(3):
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(full.getsockname())
            url = f"http://127.0.0.1:{full.getsockname()[1]}"
            async with door_to(url, transport, connect_seconds=SOON, upload_seconds=LONG) as door:
                verdict, seconds = await seconds_for(verdict_of(door))

        assert verdict == Passing("connect_timeout", message=f"no connection within {SOON:g} s")
        assert seconds < LONG / 2

    async def test_a_name_that_does_not_exist(self, transport: str) -> None:
        async with door_to("https://no-such-host.invalid", transport) as door:
            verdict = await verdict_of(door)

        assert isinstance(verdict, Passing)
        assert verdict.reason == "connect_dns"

    @pytest.mark.parametrize("answer", [b"407 Proxy Authentication Required", b"403 Forbidden", b"502 Bad Gateway"])
    async def test_a_proxy_that_makes_no_connection(
        self, transport: str, answer: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def no_tunnel(reader: Reader, writer: Writer) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 %b\r\ncontent-length: 0\r\n\r\n" % answer)

        async with serving(no_tunnel) as port:
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
            async with door_to("https://api.roark.example", transport) as door:
                verdict = await verdict_of(door)

        assert isinstance(verdict, Passing)
        assert verdict.reason == "connect_proxy"

    async def test_tls_to_a_port_that_answers_plainly(self, transport: str) -> None:
        async with serving(answer_plainly) as port, door_to(f"https://127.0.0.1:{port}", transport) as door:
            verdict = await verdict_of(door)

        assert isinstance(verdict, Passing)
        assert verdict.reason == "connect_tls"

    async def test_tls_to_a_port_that_is_silent(self, transport: str) -> None:
        async with (
            serving(never_answer) as port,
            door_to(f"https://127.0.0.1:{port}", transport, connect_seconds=SOON, upload_seconds=LONG) as door,
        ):
            verdict = await verdict_of(door)

        assert verdict == Passing("connect_timeout", message=f"no connection within {SOON:g} s")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A sandbox for all tests of this file."""
    with background(SandboxOptions(port=0, token=TOKEN)) as url:
        yield url


class TestSandbox:
    @pytest.mark.parametrize(
        ("fault", "reason"),
        [
            ("timeout:1", "timeout"),
            ("reset:1", "network"),
            ("cut:1", "network"),
            ("html:1", "not_roark"),
            ("503:1", "http_503"),
            ("429:1:retry-after=2", "http_429"),
        ],
    )
    async def test_every_fault_of_the_sandbox_passes_and_the_next_upload_is_delivered(
        self, url: str, transport: str, fault: str, reason: str
    ) -> None:
        async with httpx.AsyncClient(base_url=url) as control, door_to(url, transport, upload_seconds=0.5) as door:
            await control.put("/_sandbox/faults", json={"fail": [fault]})
            failed = await verdict_of(door)
            await control.put("/_sandbox/faults", json={"fail": []})
            mended = await verdict_of(door)

        assert isinstance(failed, Passing)
        assert failed.reason == reason
        assert failed.retry_after == (2.0 if reason == "http_429" else None)
        assert isinstance(mended, Delivered)

    @pytest.mark.parametrize("fault", ["reset:1:imported=true", "cut:1", "timeout:1:imported=true"])
    async def test_a_report_whose_answer_was_lost_is_imported_once_however_often_it_is_tried(
        self, url: str, transport: str, fault: str
    ) -> None:
        async with httpx.AsyncClient(base_url=url) as control:
            await control.post("/_sandbox/reset")
            await control.put("/_sandbox/faults", json={"fail": [fault]})
            async with door_to(url, transport, upload_seconds=0.5, quick_tries=2) as door:
                await verdict_of(door)
                await control.put("/_sandbox/faults", json={"fail": []})
                await verdict_of(door)
            calls = (await control.get("/_sandbox/calls")).json()["calls"]

        assert calls["call-1"]["received"] >= 2
        assert calls["call-1"]["imported"] == 1


async def test_a_kept_connection_that_the_server_has_closed_is_no_failure(transport: str) -> None:
    # given a server that closes each connection after its answer without saying so
    once = answering(OK, b"content-length: 2\r\n\r\n{}")
    async with serving(once) as port, door_to(f"http://127.0.0.1:{port}", transport, quick_tries=2) as door:
        verdicts = [await verdict_of(door) for _ in range(20)]

    assert verdicts == [Delivered(200)] * 20


async def test_the_token_is_in_no_log_of_either_transport(transport: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    for way in (answering(OK, b"content-length: 2\r\n\r\n{}"), answering(), answering(b"garbage\r\n\r\n")):
        async with serving(way) as port, door_to(f"http://127.0.0.1:{port}", transport, quick_tries=2) as door:
            await verdict_of(door)

    assert TOKEN not in caplog.text


# A busy machine closes some late; one in ten of two hundred failures would be twenty.
A_FEW = 12


class TestLeaks:
    """Two hundred failures leave no file or socket open."""

    @pytest.mark.parametrize(
        ("way", "scheme", "seconds"),
        [
            pytest.param(close_at_once, "http", LONG, id="closes at once"),
            pytest.param(reset_after_the_report, "http", LONG, id="resets"),
            pytest.param(answering(OK, b"content-length: 30\r\n\r\n{"), "http", LONG, id="half a body"),
            pytest.param(answering(b"garbage\r\n\r\n"), "http", LONG, id="another protocol"),
            pytest.param(repeating(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 9000), "http", LONG, id="a page without end"),
            # httpcore 1.0.9 keeps a connection that is given up between its making and its first byte: the loop must
            # not stand still from when it is made to when the upload's time is up.
            pytest.param(never_answer, "http", 2, id="never answers"),
            pytest.param(answer_plainly, "https", LONG, id="no TLS"),
        ],
    )
    async def test_nothing_is_left_open(self, transport: str, way: Way, scheme: str, seconds: float) -> None:
        url = f"{scheme}://127.0.0.1:%d"
        async with (
            serving(way) as port,
            door_to(url % port, transport, upload_seconds=seconds, connect_seconds=seconds / 8) as door,
        ):
            await many_failures(door, 100)
            before = await lowest_count_of_open_files()

            await many_failures(door, 200)

            await no_more_open_files_than(before + A_FEW)

    async def test_nothing_is_left_open_by_a_port_that_refuses(self, transport: str) -> None:
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            async with door_to(f"http://127.0.0.1:{bound.getsockname()[1]}", transport) as door:
                await many_failures(door, 20)
                before = await lowest_count_of_open_files()

                await many_failures(door, 200)

                await no_more_open_files_than(before + A_FEW)

    async def test_uploads_that_are_given_up_leave_nothing_open_beyond_their_time(self, transport: str) -> None:
        # reqwest does not hear of it when a task is cancelled: its own limit ends the upload
        begun = asyncio.Semaphore(0)

        async def take_and_never_answer(reader: Reader, _writer: Writer) -> None:
            await read_request(reader)
            begun.release()
            await until_the_client_leaves(reader)

        async with (
            serving(take_and_never_answer) as port,
            door_to(f"http://127.0.0.1:{port}", transport, upload_seconds=2) as door,
        ):
            before = await lowest_count_of_open_files()

            for _ in range(10):
                await give_up_twenty(door, begun)

            await no_more_open_files_than(before + A_FEW)

    async def test_uploads_that_are_given_up_before_they_are_connected_use_up_no_slot(self, transport: str) -> None:
        # httpcore 1.0 keeps the place of such a connection for good (encode/httpcore, issue 1093)
        async with (
            serving(answer_everything) as port,
            door_to(f"http://127.0.0.1:{port}", transport, max_in_flight=4, upload_seconds=LONG) as door,
        ):
            for _ in range(5):
                uploads = [asyncio.create_task(verdict_of(door)) for _ in range(8)]
                await asyncio.sleep(0)
                for upload in uploads:
                    upload.cancel()
                await asyncio.gather(*uploads, return_exceptions=True)

            verdict, seconds = await seconds_for(verdict_of(door))

        assert verdict == Delivered(200)
        assert seconds < LONG / 2


async def many_failures(door: Roark, number: int) -> None:
    gate = asyncio.Semaphore(100)

    async def one() -> Verdict:
        async with gate:
            return await verdict_of(door)

    verdicts = await asyncio.gather(*(one() for _ in range(number)))
    assert all(isinstance(verdict, Passing) for verdict in verdicts)


async def give_up_twenty(door: Roark, begun: asyncio.Semaphore) -> None:
    uploads = [asyncio.create_task(verdict_of(door)) for _ in range(20)]
    for _ in uploads:
        await begun.acquire()
    for upload in uploads:
        upload.cancel()
    await asyncio.gather(*uploads, return_exceptions=True)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


async def lowest_count_of_open_files() -> int:
    # Sockets close a moment after what used them: the count that is left when nothing moves any more.
    count = open_files()
    for _ in range(20):
        await asyncio.sleep(0.005)
        count = min(count, open_files())
    return count


async def no_more_open_files_than(most: int) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(10):
            while open_files() > most:  # noqa: ASYNC110 the kernel tells nobody
                await asyncio.sleep(0.01)
    assert open_files() <= most
