"""One connection to the webhook: uvicorn's HTTP protocol with the bounds that uvicorn leaves open.

What uvicorn 0.54 with httptools bounds by itself (read in its source, `protocols/http/httptools_impl.py`):
the idle time between two requests (`timeout_keep_alive`), and the unread bytes of a body (reading pauses at
64 kB). What it does not bound, and where the bound is here:

    nothing is sent, or a head byte by byte     httptools has no clock and no limit: `hang_up_if_slow`
    blank lines between two requests            they stop the idle timer for good: `hang_up_if_slow`
    a head of any size                          a limit on the sum (431), also for one endless line
    a body byte by byte                         `body.py` answers 408; the rest of a body that was refused
                                                early is read and dropped: `hang_up_if_slow`
    how many connections there are              whoever waits longest leaves: `crowd.py`

An offer to go on in another protocol (`Upgrade: h2c` by Java's HttpClient and `curl --http2`, `websocket` behind an
nginx that was set up for it) is not taken up, and HTTP/1.1 goes on, as RFC 9110 says in 7.8: `PlainParser`. httptools
by itself takes what follows the head for the other protocol, and the report would be missing from its request.

Not bounded here: the rate of requests, which is a reverse proxy's job.
"""

import asyncio
from typing import Any, Protocol

import httptools
import uvicorn
from starlette.types import ASGIApp
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from roark_producer.webhook.door.crowd import MOST_HEAD_BYTES, Crowd

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


_OFFERS = frozenset({b"upgrade", b"http2-settings"})


class CrowdConfig(uvicorn.Config):
    """uvicorn's configuration, and the crowd that all connections are part of."""

    def __init__(self, app: ASGIApp, crowd: Crowd, **options: Any) -> None:
        super().__init__(app, http=BoundedProtocol, **options)
        self.crowd = crowd


class OffersProtocols(Protocol):
    """What a PlainParser needs of the protocol that it reads for."""

    def head_without_offer(self) -> bytes:
        """Return the head that was just read, without the offer of another protocol."""


class PlainParser:
    """httptools' parser, which goes on in HTTP/1.1 whatever a request offers.

    The head that makes an offer is read a second time without it, by a parser that has not left HTTP/1.1 yet, and
    behind it what followed.
    """

    def __init__(self, protocol: OffersProtocols) -> None:
        self._protocol = protocol
        self._parser = self._made()

    def feed_data(self, data: bytes) -> None:
        """Read on; raises what httptools raises, but for an offer."""
        while True:
            try:
                self._parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as offer:
                if self._parser.get_method() == b"CONNECT":
                    raise httptools.HttpParserError("CONNECT") from None
                data = self._protocol.head_without_offer() + data[offer.args[0] :]
                self._parser = self._made()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parser, name)

    def _made(self) -> httptools.HttpRequestParser:
        parser = httptools.HttpRequestParser(self._protocol)
        # As uvicorn does: a request that comes behind one that ends the connection is no reason to answer neither.
        parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return parser


class HeadTooLarge(Exception):
    """A request's head is larger than allowed; httptools turns it into a parser error."""


class BoundedProtocol(HttpToolsProtocol):
    """Knows since when it has been waiting for a request to be complete, and how large its head is."""

    _waiting_since: float | None = None
    _head_bytes = 0
    _in_head = False
    _head_too_large = False
    _under_way: RequestResponseCycle | None = None
    _made_an_offer = False
    _between_since: float | None = None

    def __init__(self, config: "CrowdConfig", **options: Any) -> None:
        super().__init__(config, **options)
        self._crowd = config.crowd
        self.parser = PlainParser(self)  # type: ignore[assignment] # it does what uvicorn asks of one

    def head_without_offer(self) -> bytes:
        """Return the head that was just read, without the offer of another protocol."""
        lines = [self.parser.get_method() + b" " + self.url + b" HTTP/" + self.parser.get_http_version().encode()]
        for name, value in self.headers:
            if name == b"connection":
                kept = [each for each in value.split(b",") if each.strip().lower() not in _OFFERS]
                lines += [name + b": " + b",".join(kept)] if kept else []
            elif name not in _OFFERS:
                lines.append(name + b": " + value)
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # uvicorn's own
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._waiting_since = self.loop.time()
        if len(self.connections) > self._crowd.most:
            self._crowd.make_room((each for each in self.connections if isinstance(each, BoundedProtocol)), self)

    def waits(self) -> tuple[bool, float] | None:
        """Return whether a request was ever complete, and since when this waits for one; None while one is answered."""
        if self._waiting_since is not None:
            return self._between_since is not None, self._waiting_since
        is_between = self._between_since is not None and self.cycle.response_complete
        return (True, self._between_since) if is_between and self._between_since else None

    def leave(self) -> None:
        """Close the connection, whatever is missing of a request."""
        self.transport.abort()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        super().on_response_complete()
        self._between_since = self.loop.time()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the request that is under way know, too: uvicorn tells the last one that came, which may be behind it."""
        super().connection_lost(exc)
        if self._under_way is not None and not self._under_way.response_complete:
            self._under_way.disconnected = True
            self._under_way.message_event.set()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._under_way = cycle
        super()._start_asgi_task(cycle, app)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, and hang up on a head that does not end."""
        if self._waiting_since is None and (self.cycle is None or self.cycle.response_complete):
            self._waiting_since = self.loop.time()
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
            self._refuse_head()

    def on_message_begin(self) -> None:
        """Begin to wait for the request's end."""
        self._in_head = True
        self._head_bytes = 0
        self._waiting_since = self.loop.time()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Refuse a head that came at once and is too large."""
        self._in_head = False
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > MOST_HEAD_BYTES:
            self._head_too_large = True
            raise HeadTooLarge
        self._made_an_offer = self.parser.should_upgrade()
        if not self._made_an_offer:
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is complete: from now on it is we who take time."""
        if self._made_an_offer:
            return
        super().on_message_complete()
        # Where the answer went out before the body was here, uvicorn's idle timer is gone: wait in its place.
        self._waiting_since = self.loop.time() if self.cycle.response_complete else None

    def send_400_response(self, msg: str) -> None:
        """Answer what cannot be parsed, or is too large."""
        if self._head_too_large:
            self._refuse_head()
        else:
            super().send_400_response(msg)

    def hang_up_if_slow(self, patience_seconds: float) -> None:
        """Close the connection when it has been waiting for the end of a request for too long."""
        if self._waiting_since is not None and self.loop.time() - self._waiting_since > patience_seconds:
            self.transport.abort()

    def _refuse_head(self) -> None:
        self.transport.write(_TOO_LARGE)
        self.transport.close()
