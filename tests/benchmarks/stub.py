"""A stand-in for Roark that is not the bottleneck: one process, one uvloop, no web framework.

    python -m benchmarks.stub --latency-ms 100 [--record] [--certificate FILE --key FILE]

It prints its port, and with a certificate a second one for TLS, takes any POST, throws the body away and answers 200
after the latency. `GET /stats` tells how
many reports came and how many are in flight; with --record, `GET /arrivals` tells when the first byte of each call
came (CLOCK_MONOTONIC, which all processes of a machine share).
"""

import argparse
import asyncio
import json
import re
import ssl
import time

import uvloop

_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_CALL_ID = re.compile(rb'"call":\{"id":"([0-9a-f-]{36})"')
_TAKEN = b'{"data":{"callId":"6f1c1a52-1f0e-4e0a-9a52-0c8d3ff1a001"}}'


def _answer(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


class Upstream:
    """What all connections share."""

    def __init__(self, latency_seconds: float, record: bool) -> None:
        self.latency_seconds = latency_seconds
        self.record = record
        self.taken = 0
        self.in_flight = 0
        self.most_in_flight = 0
        self.arrivals: dict[str, float] = {}

    def told(self, path: bytes) -> bytes:
        if path == b"/arrivals":
            return json.dumps(self.arrivals).encode()
        return json.dumps({"taken": self.taken, "most_in_flight": self.most_in_flight}).encode()


class Connection(asyncio.Protocol):
    """One keep-alive connection; requests come one after the other."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._head = b""
        self._missing = 0
        self._body: list[bytes] = []
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._missing:
            self._take(data)
            return
        if not self._head:
            self._began = time.monotonic()
        self._head += data
        end = self._head.find(_HEAD_END)
        if end >= 0:
            head, rest = self._head[:end], self._head[end + len(_HEAD_END) :]
            self._head = b""
            self._begin(head, rest)

    def _begin(self, head: bytes, rest: bytes) -> None:
        if head.startswith(b"GET "):
            self._write(_answer(self._upstream.told(head.split(b" ", 2)[1])))
            return
        length = _LENGTH.search(head)
        self._missing = int(length[1]) if length else 0
        self._upstream.in_flight += 1
        self._upstream.most_in_flight = max(self._upstream.most_in_flight, self._upstream.in_flight)
        self._take(rest)

    def _take(self, data: bytes) -> None:
        self._missing -= len(data)
        if self._upstream.record:
            self._body.append(data)
        if self._missing <= 0:
            self._end()

    def _end(self) -> None:
        upstream = self._upstream
        if upstream.record and (found := _CALL_ID.search(b"".join(self._body))):
            upstream.arrivals.setdefault(found[1].decode(), self._began)
        self._body.clear()
        self._missing = 0
        upstream.taken += 1
        if upstream.latency_seconds:
            asyncio.get_running_loop().call_later(upstream.latency_seconds, self._answer_now)
        else:
            self._answer_now()

    def _answer_now(self) -> None:
        self._upstream.in_flight -= 1
        self._write(_answer(_TAKEN))

    def _write(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)


async def _serve(upstream: Upstream, tls: ssl.SSLContext | None) -> None:
    loop = asyncio.get_running_loop()
    servers = [
        await loop.create_server(lambda: Connection(upstream), "127.0.0.1", 0, backlog=4096, ssl=context)
        for context in (None, *([tls] if tls else []))
    ]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


def _context(certificate: str, key: str) -> ssl.SSLContext | None:
    if not certificate:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--latency-ms", type=float, default=100)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--certificate", default="")
    parser.add_argument("--key", default="")
    told = parser.parse_args()
    uvloop.run(_serve(Upstream(told.latency_ms / 1000, told.record), _context(told.certificate, told.key)))
