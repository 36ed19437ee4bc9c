"""Strangers against a webhook with the memory of its container, and what those notice who are none."""

import concurrent.futures
import gzip
import hmac
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import webhook_process
import zstandard
from memory_group import MemoryGroup
from webhook_process import SECRET, Valkey, Webhook, ids, report

pytestmark = [pytest.mark.attacks, pytest.mark.timeout(900)]

FLOOD = Path(__file__).with_name("flood.py")
CONNECTIONS, BYTES_PER_SECOND, SECONDS = 1150, 16_000_000, 12
MEMORY_MB = 768
Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with tempfile.TemporaryDirectory(prefix="roark-") as folder:
        server = Valkey(Path(folder))
        server.start()
        yield server
        server.stop()


def start(folder: Path, valkey: Valkey, group: MemoryGroup | None = None, **values: object) -> Webhook:
    """Start a webhook with usual bounds, in a group of little memory if there is one."""
    settled = {"max_report_bytes": 25_000_000, "webhook_body_seconds": 15} | values
    if group is None:
        return webhook_process.start(folder, valkey.url, **settled)
    arguments = group.around("-c", webhook_process.START)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(webhook_process, "START", arguments[1])
        return webhook_process.start(folder, valkey.url, **settled)


def signed(body: bytes) -> dict[str, str]:
    now = str(int(time.time()))
    return {
        "x-timestamp": now,
        "x-signature": hmac.new(SECRET.encode(), f"{now}.".encode() + body, "sha256").hexdigest(),
    }


@pytest.mark.parametrize("kind", ["unsigned", "forged"])
def test_a_flood_of_strangers_where_a_signature_is_demanded(
    kind: str, tmp_path: Path, valkey: Valkey, record_property: Record
) -> None:
    forged = [f"x-signature: {'a' * 64}", f"x-timestamp: {int(time.time())}"] if kind == "forged" else []
    seconds, statuses = [], Counter[int]()
    with MemoryGroup(MEMORY_MB) as group, start(tmp_path, valkey, group, webhook_hmac="sha256") as webhook:
        host, port = webhook.address
        command = [sys.executable, str(FLOOD), host, str(port), str(CONNECTIONS), str(BYTES_PER_SECOND), str(SECONDS)]
        with subprocess.Popen([*command, *forged]) as flood:
            threading.Event().wait(3)
            while flood.poll() is None:
                body = report(next(ids), text="y" * 20_000)
                began = time.perf_counter()
                statuses[webhook.client.post(webhook.url, content=body, headers=signed(body)).status_code] += 1
                seconds.append(time.perf_counter() - began)
                threading.Event().wait(0.08)
        kills = group.kills
    p99 = sorted(seconds)[int(len(seconds) * 0.99)]
    record_property(
        "attack",
        f"{CONNECTIONS:,} {kind} connections, 16 MB/s of bodies, HMAC, {MEMORY_MB} MB | {len(seconds)} honest reports: "
        f"{dict(statuses)}, p50 {sorted(seconds)[len(seconds) // 2] * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms",
    )
    assert set(statuses) == {200}
    assert p99 < 0.5
    assert kills == 0


def _objects(begin: bytes, end: bytes, *, piece: bytes = b'{"a":1}', times: int = 2_800_000) -> bytes:
    return begin + b",".join([piece] * times) + end


SURROGATE = rb'"x":"\ud83d",'
HEAD = b'{"type":"end-of-call-report","call":{"id":"odd"},'
ODD: dict[str, Callable[[], bytes]] = {
    "half a surrogate pair and 2.8 million objects": lambda: _objects(
        HEAD + rb'"x":"\ud83d","artifact":{"m":[', b"]}}"
    ),
    "2.8 million objects, no known type": lambda: _objects(b'{"type":"x","m":[', b"]}"),
    "2 million members": lambda: (
        HEAD + rb'"x":"\ud83d",' + b",".join(b'"%x":1' % each for each in range(2_000_000)) + b"}"
    ),
    "20 MB of [": lambda: b"[" * 20_000_000,
    "4.6 million texts": lambda: _objects(b'{"type":"x","m":[', b"]}", piece=b'"ab"', times=4_600_000),
    "10 million documents": lambda: b"{}" * 10_000_000,
    "3.8 million surrogates": lambda: HEAD + b'"x":"' + rb"\ud83d" * 3_800_000 + b'"}',
}


@pytest.mark.parametrize("name", ODD)
def test_two_large_odd_bodies_at_once(name: str, tmp_path: Path, valkey: Valkey, record_property: Record) -> None:
    body = ODD[name]()
    slowest = 0.0
    with MemoryGroup(MEMORY_MB) as group, start(tmp_path, valkey, group) as webhook:
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            odd = [
                pool.submit(httpx.post, webhook.url, content=body, headers={"x-vapi-secret": SECRET}, timeout=120)
                for _ in range(2)
            ]
            while not all(each.done() for each in odd):
                began = time.perf_counter()
                assert webhook.post(report(next(ids))).status_code == 200
                slowest = max(slowest, time.perf_counter() - began)
                threading.Event().wait(0.02)
        statuses = sorted(each.result().status_code for each in odd)
        kills = group.kills
    record_property(
        "attack",
        f"two of {len(body) // 1_000_000} MB: {name} | answered {statuses}, the slowest honest answer meanwhile "
        f"{slowest * 1000:.0f} ms, {MEMORY_MB} MB suffice",
    )
    assert kills == 0
    assert set(statuses) <= {200, 413, 422}
    assert slowest < 1.0


def test_bombs(tmp_path: Path, valkey: Valkey, record_property: Record) -> None:
    once = gzip.compress(bytes(1_000_000_000), 9)
    bombs = {"gzip": once, "gzip, gzip": gzip.compress(once, 9), "zstd": zstandard.compress(bytes(1_000_000_000), 19)}
    with MemoryGroup(MEMORY_MB) as group, start(tmp_path, valkey, group) as webhook:
        for coding, bomb in bombs.items():
            assert webhook.post(bomb, content_encoding=coding).status_code in {413, 422}
        assert group.kills == 0
        assert webhook.post(report(next(ids))).status_code == 200
    record_property(
        "attack", "1 GB of zeros as gzip, as gzip twice, as zstd | 413, 422; nothing beyond 25 MB is unpacked"
    )


SMUGGLED = b"POST /vapi HTTP/1.1\r\nhost: localhost\r\nx-vapi-secret: %s\r\ncontent-length: %d\r\n\r\n%s"
FRAMES = (
    "content-length: 4\r\ntransfer-encoding: chunked",
    "transfer-encoding: chunked\r\ncontent-length: 4",
    "content-length: 4\r\ncontent-length: 6",
    "content-length: +4",
    "content-length: 4, 4",
    "content-length: 0x4",
    "transfer-encoding: xchunked",
    "transfer-encoding : chunked",
    "transfer-encoding: chunked, identity",
    "transfer-encoding:\x0bchunked",
    "transfer-encoding: chunked\r\ntransfer-encoding: x",
    " content-length: 4",
)


def test_smuggling(tmp_path: Path, valkey: Valkey, record_property: Record) -> None:
    passed = []
    with start(tmp_path, valkey) as webhook:
        for frame in FRAMES:
            call_id = next(ids)
            # Without the secret: what it hides has one that is wrong, and would be answered on its own.
            hidden = SMUGGLED % (b"wrong", len(report(call_id)), report(call_id))
            request = f"POST /vapi HTTP/1.1\r\nhost: localhost\r\nx-vapi-secret: {SECRET}\r\n{frame}\r\n\r\n".encode()
            with socket.create_connection(webhook.address, timeout=10) as connection:
                connection.sendall(request + b"0\r\n\r\n" + hidden)
                answers = _all(connection)
            first = answers.partition(b"\r\n")[0]
            if b" 400 " not in first and answers.count(b"HTTP/1.1 200") > 0:
                passed.append((frame, first))
    record_property("attack", f"{len(FRAMES)} ways of framing one request as two | 400, or the connection ends")
    assert not passed


def _all(connection: socket.socket) -> bytes:
    found = b""
    connection.settimeout(1.5)
    try:
        while piece := connection.recv(65_536):
            found += piece
    except OSError:
        pass
    return found


def test_a_long_line_of_brackets_on_the_command_line(tmp_path: Path, valkey: Valkey, record_property: Record) -> None:
    file = tmp_path / "brackets.json"
    file.write_bytes(b"[" * 20_000_000)
    command = [sys.executable, "-m", "roark_ops.cli", "enqueue", str(file)]
    environment = {"ROARK_INGEST_REDIS_URL": valkey.url, "PATH": "/usr/bin:/bin"}
    empty = tmp_path / "empty.json"
    empty.write_bytes(b"[")
    spent = []
    for each in (empty, file):
        began = _children()
        subprocess.run([*command[:-1], str(each)], env=environment, cwd=tmp_path, capture_output=True, check=False)
        spent.append(_children() - began)
    record_property("attack", f"`enqueue` of 20 MB of `[` | {spent[1] - spent[0]:.2f} s of CPU beside its start")
    assert spent[1] - spent[0] < 1.0


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
