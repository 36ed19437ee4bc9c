"""Posts a report to Roark and returns its answer.

1. The body is spliced around the sender's own bytes: nothing is parsed and printed again. For Roark's other way in it
   is a map of them (`call_route.py`).
2. Up to two quick tries (tenacity) follow a connection that was refused or dropped; every upload says
   `skipAlreadyImported`, or its `externalId`, so one that Roark had already taken does no harm.
3. The answer's body is read up to 64 kB; redirects are not followed, a POST does not survive them.
4. Whatever goes wrong without an answer is an UploadFailed, by one of these reasons:

    connect…     no connection came about: nothing was sent; why, no_connection.py tells (TLS, DNS, a proxy,
                 refused); connect_timeout: not in time
    network      the connection was dropped, or what came back is no whole HTTP answer: Roark may have the report
    timeout      no whole answer in time: Roark may have the report
    transport    anything else; the detail names it

Which client carries it: `carrier.py`.
"""

import asyncio
import logging
import os
import re
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import httpx
from pydantic import SecretStr
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random

from roark_ledger.logs import event
from roark_ledger.packing import Unpacked
from roark_ledger.routes import Route
from roark_producer.secret_texts import tidied
from roark_worker.answers.no_connection import Cause, cause_in
from roark_worker.answers.verdict import Answer
from roark_worker.settings import WorkerSettings, is_usable_token
from roark_worker.upload.call_route import creation_of
from roark_worker.upload.carrier import OverHttpx, carrier

logger = logging.getLogger(__name__)

_DROPPED = (httpx.NetworkError, httpx.RemoteProtocolError)
_BROKEN = (httpx.NetworkError, httpx.RemoteProtocolError, httpx.DecodingError)
# reqwest's words for an error on the way to a connection, as against "client error (SendRequest)".
_WHILE_CONNECTING = "client error (Connect)"
_MOST_DETAIL = 200

Reason = Literal[Cause, "timeout", "network", "transport"]


class UploadFailed(Exception):
    """No answer came. `detail` is the cause in the system's words, without anything of the request."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def upload_body(report: Unpacked, *, revision: bool, route: Route = "vapi") -> bytes:
    """Return the request's body. A revision must not be skipped for the report that Roark already has.

    Raises NotForThisRoute where a way in wants what the report does not have.
    """
    if route == "call":
        return creation_of(report.payload, report.properties)
    properties = b',"properties":' + report.properties if report.properties else b""
    skip = b"false" if revision else b"true"
    return b'{"vapiEndOfCallReportPayload":%b%b,"skipAlreadyImported":%b}' % (report.payload, properties, skip)


class Token:
    """Roark's token: the setting, or a file that is read again when it changes, so that no restart is needed."""

    def __init__(self, token: SecretStr, path: Path | None = None) -> None:
        self._token = token
        self._path = path
        self._stamp: tuple[int, int, int] | None = None

    @classmethod
    def of(cls, settings: WorkerSettings) -> Self:
        """Return the token that `settings` were built with."""
        path = os.environ.get("ROARK_API_BEARER_TOKEN_FILE")
        from_file = path and not os.environ.get("ROARK_API_BEARER_TOKEN")
        return cls(settings.require_token(), Path(path) if path and from_file else None)

    def current(self) -> str:
        """Return the token as it is now."""
        if self._path:
            self._read_if_changed(self._path)
        return self._token.get_secret_value()

    def _read_if_changed(self, path: Path) -> None:
        try:
            found = path.stat()
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
            if stamp == self._stamp:
                return
            text = path.read_bytes().decode()
        except (OSError, UnicodeDecodeError):
            # A secret that is just being replaced: the token that we have may still be good.
            return
        self._stamp = stamp
        with suppress(ValueError):
            text = tidied(text)
        if is_usable_token(text):
            self._token = SecretStr(text)
        else:
            event(logger, "token_file_unusable", level=logging.ERROR, path=str(path))


class Roark:
    """Uploads to Roark. Belongs to one event loop."""

    def __init__(self, settings: WorkerSettings, token: Token, client: httpx.AsyncClient | None = None) -> None:
        self._token = token
        self._sent_token = ""
        self._headers = _headers(settings)
        self._upload_seconds = settings.upload_seconds
        self._connect_seconds = settings.connect_seconds
        self._carrier = OverHttpx(settings, client) if client else carrier(settings)
        self._retrying = AsyncRetrying(
            retry=retry_if_exception_type(_DROPPED),
            stop=stop_after_attempt(1 + settings.quick_tries),
            wait=wait_random(0.02, 0.2),
            reraise=True,
        )

    async def upload(self, body: bytes, *, route: Route = "vapi", traceparent: str = "") -> Answer:
        """Post one report and return Roark's answer, whatever it is. `traceparent` is sent where it is given.

        Raises UploadFailed when no answer came.
        """
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            try:
                return await self._carrier.post(self._current_headers(traceparent), body, route)
            except _DROPPED as error:
                async with asyncio.timeout_at(started + self._upload_seconds):
                    return await self._post_again(body, route, traceparent, error)
        # Chains end here: an error of httpx may quote the header with the token in it.
        except (TimeoutError, httpx.TimeoutException) as error:
            raise self._too_late(error, loop.time() - started) from None
        except httpx.ConnectError as error:
            cause = _cause(error)
            raise UploadFailed("network" if _was_connected(error) else cause_in(_words(error)), cause) from None
        except httpx.ProxyError as error:
            raise UploadFailed("connect_proxy", _cause(error)) from None
        except _BROKEN as error:
            raise UploadFailed("network", _cause(error)) from None
        except Exception as error:  # noqa: BLE001 a surprise of the transport's own must not lose a report
            raise UploadFailed("transport", type(error).__name__) from None

    def _too_late(self, error: Exception, seconds: float) -> UploadFailed:
        # The clock tells more than the class: reqwest calls an answer that never comes a ConnectTimeout.
        if isinstance(error, httpx.ConnectTimeout) and seconds < 0.9 * self._upload_seconds:
            return UploadFailed("connect_timeout", f"no connection within {self._connect_seconds:g} s")
        return UploadFailed("timeout", f"no answer within {self._upload_seconds:g} s")

    async def _post_again(self, body: bytes, route: Route, traceparent: str, error: Exception) -> Answer:
        # tenacity starts from the failure of the first try: around every upload it would cost some 8 % of it.
        failed = [error]

        async def next_try() -> Answer:
            if failed:
                raise failed.pop()
            return await self._carrier.post(self._current_headers(traceparent), body, route)

        return await self._retrying(next_try)

    def _current_headers(self, traceparent: str) -> dict[str, str]:
        token = self._token.current()
        if token != self._sent_token:
            self._headers = {**self._headers, "authorization": f"Bearer {token}"}
            self._sent_token = token
        return {**self._headers, "traceparent": traceparent} if traceparent else self._headers

    async def aclose(self) -> None:
        """Close the connections."""
        await self._carrier.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _was_connected(error: httpx.ConnectError) -> bool:
    causes = _causes(error)
    return bool(causes) and _WHILE_CONNECTING not in causes


def _cause(error: httpx.RequestError) -> str:
    # The system's own words. reqwest's outer ones name the URL; httpx's, where they are not the system's, may quote.
    words = [cause for cause in _causes(error) if "url (" not in cause]
    if not words and isinstance(error, httpx.NetworkError):
        words = [str(error)]
    return re.sub(r"[^\x20-\x7e]+", " ", words[-1])[:_MOST_DETAIL] if words and words[-1] else type(error).__name__


def _words(error: BaseException) -> str:
    # httpx keeps the system's words at the end of the chain, reqwest in its details.
    said = _cause(error) if isinstance(error, httpx.RequestError) else str(error)
    earlier = error.__cause__ or error.__context__
    return f"{said} {_words(earlier)}" if earlier else said


def _causes(error: httpx.RequestError) -> list[str]:
    details = getattr(error.__cause__, "details", None) or {}
    return [str(cause["message"]) for cause in details.get("causes") or ()]


def _headers(settings: WorkerSettings) -> dict[str, str]:
    headers = {"accept": "application/json", "user-agent": "roark-ingest", "content-type": "application/json"}
    if settings.roark_project_id:
        headers["x-roark-project-id"] = settings.roark_project_id
    return headers
