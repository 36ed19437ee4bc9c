"""Upstreams that close a kept connection after so many requests, as proxies do: nothing is lost, nothing repeated.

nginx closes after `keepalive_requests`, and says so; others close without a word. A report that was sent on a
connection which is closed at that moment may not have been read: it is sent again, and only then.
"""

import asyncio
import contextlib
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from delivering import Bench, report, reports
from pipeline import free_port
from servers import Server

from roark_ledger.lifecycle import State
from roark_sandbox.options import SandboxOptions
from roark_sandbox.server import background

REQUESTS = 100
NUMBER = 1200
IN_FLIGHT = 64
ANSWER = b'{"data":{"callId":"roark-1"}}'
CALL_ID = re.compile(rb'"call":\s*\{"id":\s*"(call-\d+)"')


@pytest.fixture
def bench(valkey: Server, prefix: str) -> Iterator[Bench]:
    bench = Bench(valkey.url, prefix)
    yield bench
    bench.close()


class Closing:
    """Answers, and closes each connection after its hundredth answer; `says_so` in the answer's head."""

    def __init__(self, *, says_so: bool) -> None:
        self.says_so = says_so
        self.taken: Counter[bytes] = Counter()
        self.connections = 0
        self._open: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            for number in range(1, REQUESTS + 1):
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
                assert length
                found = CALL_ID.search(await reader.readexactly(int(length[1])))
                assert found
                self.taken[found[1]] += 1
                last = b"connection: close\r\n" if number == REQUESTS and self.says_so else b""
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n" + last)
                writer.write(b"content-length: %d\r\n\r\n" % len(ANSWER) + ANSWER)
                await writer.drain()
        writer.close()

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        async with await asyncio.start_server(self.serve, "127.0.0.1", 0) as server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            for writer in self._open:
                writer.close()
            await asyncio.gather(*(writer.wait_closed() for writer in self._open), return_exceptions=True)


@pytest.mark.parametrize("says_so", [True, False], ids=["and says so", "without a word"])
async def test_an_upstream_closes_after_a_hundred_requests(bench: Bench, says_so: bool) -> None:
    bench.submit(reports(NUMBER))
    upstream = Closing(says_so=says_so)

    async with (
        upstream.listening() as url,
        bench.delivery(roark_base_url=url, max_in_flight=IN_FLIGHT, concurrency=IN_FLIGHT) as delivery,
    ):
        await bench.settle_all(delivery)

    assert upstream.connections > NUMBER // REQUESTS
    assert upstream.taken == Counter(b"call-%d" % number for number in range(NUMBER))
    assert bench.count(State.DELIVERED) == NUMBER


NGINX = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes 2;
worker_shutdown_timeout 30s;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream roark {{ server 127.0.0.1:{upstream}; keepalive 64; }}
    server {{
        listen 127.0.0.1:{port};
        keepalive_requests {requests};
        location / {{
            proxy_pass http://roark;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
"""


@contextlib.contextmanager
def nginx(folder: Path, upstream: str) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Run nginx in front of an upstream."""
    port = free_port()
    config = folder / "nginx.conf"
    values = {"folder": folder, "upstream": upstream.rpartition(":")[2], "port": port, "requests": REQUESTS}
    config.write_text(NGINX.format(**values))
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    with subprocess.Popen([program, "-c", str(config)], stderr=subprocess.DEVNULL) as running:
        try:
            yield f"http://127.0.0.1:{port}", running
        finally:
            running.terminate()


@pytest.mark.servers
@pytest.mark.skipif(not (shutil.which("nginx") or Path("/usr/sbin/nginx").exists()), reason="nginx is not installed")
async def test_nginx_is_reloaded_again_and_again_under_load(bench: Bench, tmp_path: Path) -> None:
    number = 6000
    bench.submit(report(f"call-{each}", "x" * 3000) for each in range(number))
    with (
        background(SandboxOptions(port=0, token="test-token-0123456789", latency_ms=30, dedup=False)) as roark,
        nginx(tmp_path, roark) as (url, running),
    ):
        await asyncio.sleep(0.5)

        async def reload() -> None:
            while True:
                await asyncio.sleep(0.5)
                await asyncio.to_thread(subprocess.run, ["/bin/kill", "-HUP", str(running.pid)], check=True)

        async with bench.delivery(roark_base_url=url, max_in_flight=IN_FLIGHT, concurrency=IN_FLIGHT) as delivery:
            reloading = asyncio.create_task(reload())
            await bench.settle_all(delivery)
            reloading.cancel()
        async with httpx.AsyncClient(trust_env=False) as client:
            calls = (await client.get(f"{roark}/_sandbox/calls")).json()["calls"]

    assert {call_id for call_id, call in calls.items() if call["imported"] != 1} == set()
    assert len(calls) == bench.count(State.DELIVERED) == number
