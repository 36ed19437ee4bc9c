"""The two clients that post uploads: reqwest (Rust) through pyreqwest, and plain httpx. Both raise httpx's errors.

httpx's own pool looks at every connection on each request and collapses above some 30 in flight, so reqwest is called
directly, without an httpx request or response around it. With it

1. the URL and the headers are made once and shared by uploads;
2. the time from connecting to the answer's end is reqwest's own, so no timer is needed around it.

reqwest's errors need care: a connection that is reset after the report was sent is a ConnectError there, an answer
that never comes a ConnectTimeout, a broken answer a DecodingError. So the class alone does not say what had been sent.
Nor does reqwest hear of it when a task is cancelled: it goes on with that upload until its own time is up.

HTTP/2 is not offered: with hundreds of uploads of 60 kB side by side it brought nothing, measured with ALPN patched on.
"""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Protocol, get_args

import httpx
from pyreqwest import exceptions
from pyreqwest.client import ClientBuilder
from pyreqwest.http import HeaderMap, Url

from roark_ledger.routes import Route
from roark_worker.answers.verdict import Answer
from roark_worker.settings import WorkerSettings
from roark_worker.upload.parting import part_in_peace

_MOST_ANSWER_BYTES = 65_536

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


class Carrier(Protocol):
    """Posts one body and returns the answer; keeps the time of each try; raises httpx's errors."""

    async def post(self, headers: Mapping[str, str], body: bytes, route: Route) -> Answer:
        """Post `body` to that way in."""

    async def aclose(self) -> None:
        """Close the connections."""


def carrier(settings: WorkerSettings) -> Carrier:
    """Return the client that the settings name."""
    if settings.transport == "pyreqwest":
        return OverReqwest(settings)
    # No limit to connections: the slots are one, and httpcore 1.0 never gets back the place of an upload that was
    # given up before it was connected (encode/httpcore, issue 1093). Nor does it close one that was given up between
    # connecting and its first byte, which happens only where the loop stands still from the one limit to the other.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=settings.max_in_flight)
    return OverHttpx(settings, httpx.AsyncClient(limits=limits))


class OverReqwest:
    """Uploads through reqwest."""

    def __init__(self, settings: WorkerSettings) -> None:
        part_in_peace()
        self._urls = {route: Url(settings.url_of(route)) for route in get_args(Route)}
        self._headers: Mapping[str, str] = {}
        self._rust_headers = HeaderMap()
        self._client = (
            ClientBuilder()
            .connect_timeout(timedelta(seconds=settings.connect_seconds))
            .timeout(timedelta(seconds=settings.upload_seconds))
            .pool_max_idle_per_host(settings.max_in_flight)
            .follow_redirects(False)
            .build()
        )

    async def post(self, headers: Mapping[str, str], body: bytes, route: Route) -> Answer:
        """Send an upload and read its answer; raises httpx's errors."""
        if headers is not self._headers:
            self._headers, self._rust_headers = headers, HeaderMap(headers)
        request = self._client.post(self._urls[route]).headers(self._rust_headers).body_bytes(body)
        try:
            async with request.build_streamed() as answer:
                read = bytearray()
                while len(read) <= _MOST_ANSWER_BYTES and (chunk := await answer.body_reader.read()) is not None:
                    read += chunk
                return _answer(answer.status, list(answer.headers.items()), bytes(read))
        except exceptions.RequestError as error:
            if name := next((theirs for ours, theirs in _NAMES if isinstance(error, ours)), None):
                raise name(error.message) from error
            raise

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()


class OverHttpx:
    """Uploads through a client of httpx."""

    def __init__(self, settings: WorkerSettings, client: httpx.AsyncClient) -> None:
        self._client = client
        self._urls = {route: httpx.URL(settings.url_of(route)) for route in get_args(Route)}
        self._upload_seconds = settings.upload_seconds
        timeout = httpx.Timeout(settings.upload_seconds, connect=settings.connect_seconds, pool=None)
        self._extensions = {"timeout": timeout.as_dict()}

    async def post(self, headers: Mapping[str, str], body: bytes, route: Route) -> Answer:
        """Send an upload and read its answer; raises httpx's errors."""
        request = httpx.Request("POST", self._urls[route], headers=headers, content=body, extensions=self._extensions)
        async with asyncio.timeout(self._upload_seconds):
            response = await self._client.send(request, stream=True)
            try:
                read = bytearray()
                async for chunk in response.aiter_bytes():
                    read += chunk
                    if len(read) > _MOST_ANSWER_BYTES:
                        break
                return _answer(response.status_code, response.headers.multi_items(), bytes(read))
            finally:
                await response.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _answer(status: int, fields: list[tuple[str, str]], body: bytes) -> Answer:
    headers = dict(fields)
    if len(headers) < len(fields):
        headers = dict(httpx.Headers(fields))
    return Answer(status, headers, body[:_MOST_ANSWER_BYTES], cut=len(body) > _MOST_ANSWER_BYTES)
