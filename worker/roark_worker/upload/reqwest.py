"""httpx's transport over reqwest (Rust), without what an upload need not pay for each time.

pyreqwest brings such a transport for every use. This one is for uploads only, and takes less than half of the CPU time
(90 µs against 220 µs for each upload of 74 kB, the sending included):

1. a request's URL and headers are made once and shared (`Upload`);
2. the answer is read here, up to a limit, so the response that httpx gets is whole, and nothing of httpx's
   streaming, decoding and closing is left to do (`Answered`);
3. reqwest keeps the time from connecting to the answer's end itself, so no timer is needed around it.
"""

from datetime import timedelta
from typing import Self, cast

import httpx
from pyreqwest import exceptions
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.http import HeaderMap, Url
from pyreqwest.response import Response

# httpx's name for each of reqwest's errors; the narrower ones come first.
_NAMES: tuple[tuple[type[exceptions.PyreqwestError], type[httpx.RequestError]], ...] = (
    (exceptions.ConnectTimeoutError, httpx.ConnectTimeout),
    (exceptions.ReadTimeoutError, httpx.ReadTimeout),
    (exceptions.WriteTimeoutError, httpx.WriteTimeout),
    (exceptions.PoolTimeoutError, httpx.PoolTimeout),
    (exceptions.RequestTimeoutError, httpx.TimeoutException),
    (exceptions.ConnectError, httpx.ConnectError),
    (exceptions.ReadError, httpx.ReadError),
    (exceptions.WriteError, httpx.WriteError),
    (exceptions.NetworkError, httpx.NetworkError),
    (exceptions.DecodeError, httpx.DecodingError),
)


class Upload(httpx.Request):
    """A POST of these bytes with a URL and headers that are shared by many.

    httpx's own constructor would copy the headers and add the length, which reqwest does anyway.
    """

    def __init__(self, url: httpx.URL, headers: httpx.Headers, body: bytes) -> None:
        self.method = "POST"
        self.url = url
        self.headers = headers
        self.extensions = {}
        self.stream = httpx.ByteStream(body)


class Answered(httpx.Response):
    """A whole answer. `fields` are its headers as they came, names in lower case; `headers` is made if asked for."""

    def __init__(self, status: int, fields: list[tuple[str, str]], body: bytes) -> None:
        self.status_code = status
        self.fields = fields
        self.body = body
        self.stream = httpx.ByteStream(body)
        self.extensions = {}
        self.is_closed = False
        self.is_stream_consumed = False

    @property
    def headers(self) -> httpx.Headers:  # type: ignore[override] # httpx sets it in its constructor
        """The headers as httpx has them."""
        return httpx.Headers(self.fields)


class Reqwest(httpx.AsyncBaseTransport):
    """Sends uploads. Of an answer's body it returns up to `most_bytes` + 1, so that one too long can be told."""

    def __init__(self, client: Client, most_bytes: int) -> None:
        self._client = client
        self._most_bytes = most_bytes
        self._url: httpx.URL | None = None
        self._rust_url: Url | str = ""
        self._headers: httpx.Headers | None = None
        self._rust_headers = HeaderMap()

    @classmethod
    def built(cls, *, connect_seconds: float, upload_seconds: float, in_flight: int, most_bytes: int) -> Self:
        """Return a transport with connections for so many uploads at once."""
        client = (
            ClientBuilder()
            .connect_timeout(timedelta(seconds=connect_seconds))
            .timeout(timedelta(seconds=upload_seconds))
            .pool_max_idle_per_host(in_flight)
            .follow_redirects(False)
            .build()
        )
        return cls(client, most_bytes)

    async def handle_async_request(self, request: httpx.Request) -> Answered:
        """Send an upload and read its answer; raises httpx's errors."""
        self._learn(request)
        body = b"".join(cast("httpx.ByteStream", request.stream))
        built = self._client.post(self._rust_url).headers(self._rust_headers).body_bytes(body)
        try:
            async with built.build_streamed() as answer:
                return Answered(answer.status, list(answer.headers.items()), await self._read(answer))
        except exceptions.RequestError as error:
            if name := _name(error):
                raise name(error.message, request=request) from error
            raise

    def _learn(self, request: httpx.Request) -> None:
        # Both are the same objects for one upload after the other.
        if request.url is not self._url:
            self._url, self._rust_url = request.url, Url(str(request.url))
        if request.headers is not self._headers:
            self._headers, self._rust_headers = request.headers, HeaderMap(request.headers.multi_items())

    async def _read(self, answer: Response) -> bytes:
        read = bytearray()
        while len(read) <= self._most_bytes and (chunk := await answer.body_reader.read()) is not None:
            read += chunk
        return bytes(read[: self._most_bytes + 1])

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()


def _name(error: exceptions.RequestError) -> type[httpx.RequestError] | None:
    return next((theirs for ours, theirs in _NAMES if isinstance(error, ours)), None)
