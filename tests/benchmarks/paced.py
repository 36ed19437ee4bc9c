"""Posts reports at a steady pace over many open connections, whatever the answers take: an open loop.

wrk is a closed loop: a thousand connections that post again as soon as they are answered are a thousand reports in the
queue, all of the time, so how long an answer takes is how long that queue is. Vapi sends when a call has ended. An
answer's time is counted from when its report was due to be sent: a pause of the sender's own makes it longer, not
shorter.

    python -m benchmarks.paced URL --connections 1000 --rate 400 --seconds 5 --pool FILE
"""

import argparse
import asyncio
import json
import ssl
import sys
import time
from collections import deque
from pathlib import Path
from typing import cast

import uvloop

from benchmarks.disk import percentiles
from benchmarks.reports import endless
from roark_ledger.urls import split_url

_OPENED_PER_SECOND = 250
_WARM_UP_SECONDS = 1.0
_PATIENCE_SECONDS = 20


class Paced:
    """The connections, and what came back."""

    def __init__(self, url: str) -> None:
        parts = split_url(url)
        self.where = (str(parts.hostname), int(parts.port or 80))
        self.ssl = _any_certificate() if parts.scheme == "https" else None
        self.path = parts.path
        self.idle: deque[Connection] = deque()
        self.times: list[float] = []
        self.failed = self.connections = 0

    async def open(self, connections: int) -> None:
        loop = asyncio.get_running_loop()
        self.connections = connections
        for _ in range(connections):
            await loop.create_connection(lambda: Connection(self), *self.where, ssl=self.ssl)
            await asyncio.sleep(1 / _OPENED_PER_SECOND)

    async def post(self, pool: Path, rate: float, seconds: float) -> None:
        reports = endless(pool)
        due = began = time.monotonic()
        while due < began + _WARM_UP_SECONDS + seconds:
            due += 1 / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            counts = due > began + _WARM_UP_SECONDS
            if not self.idle:
                self.failed += counts
                continue
            body = b'{"message":%b}' % next(reports)[1]
            self.idle.popleft().send(self._head % len(body) + body, due if counts else None)
        # What is not answered by then has failed.
        for _ in range(_PATIENCE_SECONDS):
            if len(self.idle) == self.connections:
                return
            await asyncio.sleep(1)
        self.failed += self.connections - len(self.idle)

    @property
    def _head(self) -> bytes:
        told = f"POST {self.path} HTTP/1.1\r\nhost: bench\r\nx-vapi-secret: bench\r\ncontent-type: application/json\r\n"
        return told.encode() + b"content-length: %d\r\n\r\n"


class Connection(asyncio.Protocol):
    """One connection, idle or with one report under way. Answers are short: the first piece counts."""

    def __init__(self, paced: Paced) -> None:
        self._paced = paced
        self._due: float | None = None
        self._is_busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._paced.idle.append(self)

    def send(self, what: bytes, due: float | None) -> None:
        self._due, self._is_busy = due, True
        self._transport.write(what)

    def data_received(self, data: bytes) -> None:
        if self._is_busy and self._due is not None:
            if data.startswith(b"HTTP/1.1 2"):
                self._paced.times.append(1000 * (time.monotonic() - self._due))
            else:
                self._paced.failed += 1
        if self._is_busy:
            self._is_busy = False
            self._paced.idle.append(self)

    def connection_lost(self, _: Exception | None) -> None:
        if self in self._paced.idle:
            self._paced.idle.remove(self)
            self._paced.connections -= 1


def _any_certificate() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def main() -> None:
    """Post, and print what came of it: JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--pool", type=Path, required=True)
    told = parser.parse_args()
    paced = Paced(told.url)
    await paced.open(told.connections)
    await paced.post(told.pool, told.rate, told.seconds)
    cuts = {f"{name}_ms": value for name, value in percentiles(paced.times or [0.0]).items()}
    requests = len(paced.times) + paced.failed
    json.dump({"requests": requests, "seconds": told.seconds, "failed": paced.failed, **cuts}, sys.stdout)


if __name__ == "__main__":
    uvloop.run(main())
