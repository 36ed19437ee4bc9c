"""The door to Vapi's API: lists calls by windows, and fetches one call, assistant or phone number.

1. At most two requests a second, those of all processes together: Vapi's limit, which it does not publish, is the
   organisation's. The ledger gives out the moments (`ask_vapi.lua`).
2. What passes (no connection, 429, 5xx) is tried again with growing gaps, after `Retry-After` where Vapi says one.
3. What does not pass is a VapiFailed, with a code of a closed set and a sentence that says what to do.

Not Vapi's SDK: it has 40 MB and takes 8 s to import, for three GETs. Nothing of an answer but its status gets into an
error: bodies hold transcripts.
"""

import asyncio
import random
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Self
from urllib.parse import quote

import httpx
from tenacity import AsyncRetrying, RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt

from roark_ledger.errors import IngestError, LedgerRefuses
from roark_ledger.ledger import AsyncLedger, Ledger
from roark_ledger.moves.reconcile import ask_vapi
from roark_producer.vapi.unsecret import elements
from roark_worker.answers.retry_after import retry_after_seconds
from roark_worker.calls.vapi_settings import VapiSettings

GAP_SECONDS = 0.5
_TRIES = 8
_FIRST_WAIT, _LONGEST_WAIT, _LONGEST_RETRY_AFTER = 1.0, 30.0, 300.0
_CONNECT_SECONDS, _ANSWER_SECONDS = 10.0, 60.0
_SOON_SECONDS = 10.0
_PATIENT_MS, _SOON_MS = 3_600_000, 2_000
_LATEST_MS = 6 * 3_600_000
_AT_ONCE = 4
_EU = "https://api.eu.vapi.ai"


class VapiFailed(IngestError):
    """Vapi did not say what it was asked. `code` is one of: key, busy, unreachable, status, odd_answer, too_many.

    `status` is that of its answer, where that is what is wrong.
    """

    def __init__(self, code: str, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class _Passing(Exception):
    """Something that may be over at the next try."""

    def __init__(self, failed: VapiFailed, retry_after: float = 0.0) -> None:
        super().__init__(str(failed))
        self.failed = failed
        self.retry_after = retry_after


class AskLater(Exception):
    """Others ask Vapi now. Ask again in `seconds`, or not at all where that is None: too many do."""

    def __init__(self, seconds: float | None) -> None:
        super().__init__("it is not this one's turn to ask Vapi")
        self.seconds = seconds


def seconds_to_turn(ledger: Ledger, gap_seconds: float = GAP_SECONDS) -> float:
    """Take a moment at which Vapi may be asked; return how far away it is. Raises LedgerUnavailable."""
    turn = ask_vapi(gap_ms=round(gap_seconds * 1000), patience_ms=_PATIENT_MS, latest_ms=0)
    return (ledger.run(turn).wait_ms or 0) / 1000


class Vapi:
    """Vapi's API. One request at a time; not to be shared between threads.

    With a ledger, its requests are among those of all who ask Vapi: each may raise LedgerUnavailable. Without one, its
    own are `gap_seconds` apart.
    """

    def __init__(
        self,
        settings: VapiSettings,
        *,
        ledger: Ledger | None = None,
        gap_seconds: float = GAP_SECONDS,
        sleep: Callable[[float], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._base_url = settings.vapi_base_url
        self._ledger = ledger
        self._gap = gap_seconds
        self._sleep = sleep or threading.Event().wait
        self._clock = clock
        self._free_at = clock()
        self.requests = 0
        timeout = httpx.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS)
        self._client = httpx.Client(headers=_headers(settings), timeout=timeout, transport=transport)
        self._retrying = Retrying(
            retry=retry_if_exception_type(_Passing),
            stop=stop_after_attempt(_TRIES),
            wait=_wait,
            sleep=self._rest,
            reraise=True,
        )

    def calls(self, *, from_ms: int, to_ms: int, updated_from_ms: int = 0, limit: int = 100) -> list[bytes]:
        """Return the calls created from `from_ms` on and before `to_ms`, at most `limit`, each as Vapi wrote it.

        Raises VapiFailed.
        """
        query = {"createdAtGe": _iso(from_ms), "createdAtLt": _iso(to_ms), "limit": str(limit)}
        if updated_from_ms:
            query["updatedAtGe"] = _iso(updated_from_ms)
        body = self._get("/call", query) or b""
        if body.strip()[:1] != b"[":
            raise VapiFailed(
                "odd_answer", f"{self._base_url}/call did not answer with a list. Is VAPI_BASE_URL Vapi's API?"
            )
        return elements(body.strip())

    def call(self, call_id: str) -> bytes | None:
        """Return one call as it is now, with fresh links to its audio; None where there is none. Raises VapiFailed."""
        return self._get(f"/call/{quote(call_id, safe='')}")

    def assistant(self, assistant_id: str) -> bytes | None:
        """Return an assistant as it is now; None where there is none any more. Raises VapiFailed."""
        return self._get(f"/assistant/{quote(assistant_id, safe='')}")

    def assistants(self) -> list[bytes]:
        """Return the organisation's assistants, at most a thousand, each as Vapi wrote it. Raises VapiFailed."""
        body = (self._get("/assistant", {"limit": "1000"}) or b"").strip()
        if body[:1] != b"[":
            raise VapiFailed("odd_answer", f"{self._base_url}/assistant did not answer with a list")
        return elements(body)

    def phone_number(self, phone_number_id: str) -> bytes | None:
        """Return a phone number as it is now; None where there is none any more. Raises VapiFailed."""
        return self._get(f"/phone-number/{quote(phone_number_id, safe='')}")

    def _get(self, path: str, query: Mapping[str, str] | None = None) -> bytes | None:
        try:
            return self._retrying(self._get_once, path, query)
        except _Passing as passing:
            raise passing.failed from None

    def _get_once(self, path: str, query: Mapping[str, str] | None) -> bytes | None:
        self._keep_pace()
        try:
            answer = self._client.get(self._base_url + path, params=query)
        except httpx.RequestError as error:
            # The chain ends here: an error of httpx may quote the header with the key in it.
            raise _Passing(_unreachable(self._base_url, error)) from None
        if answer.is_success:
            return answer.content
        if answer.status_code == httpx.codes.NOT_FOUND and query is None:
            return None
        raise _failure(self._base_url, answer)

    def _rest(self, seconds: float) -> None:
        self._sleep(seconds)

    def _keep_pace(self) -> None:
        early = self._seconds_to_turn()
        if early > 0:
            self._rest(early)
        self._free_at = self._clock() + self._gap
        self.requests += 1

    def _seconds_to_turn(self) -> float:
        if self._ledger:
            try:
                return seconds_to_turn(self._ledger, self._gap)
            except LedgerRefuses as error:
                if error.code != "NOPERM":
                    raise
                # Who may only look takes no moment in the ledger, and keeps a pace of its own.
                self._ledger = None
        return self._free_at - self._clock()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncVapi:
    """Fetches single calls for asyncio callers, a few at once; what passes is tried twice again, and soon."""

    def __init__(
        self,
        settings: VapiSettings,
        ledger: AsyncLedger,
        *,
        gap_seconds: float = GAP_SECONDS,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._base_url = settings.vapi_base_url
        self._ledger = ledger
        self._gap_ms = round(gap_seconds * 1000)
        self._asking = 0
        self._client = httpx.AsyncClient(headers=_headers(settings), timeout=_SOON_SECONDS, transport=transport)
        self._retrying = AsyncRetrying(
            retry=retry_if_exception_type(_Passing), stop=stop_after_attempt(3), wait=_short_wait, reraise=True
        )

    async def call(self, call_id: str) -> bytes | None:
        """Return one call as it is now; None where there is none.

        Raises VapiFailed, AskLater where that would have to wait, LedgerUnavailable.
        """
        self._asking += 1
        try:
            return await self._retrying(self._get_once, f"/call/{quote(call_id, safe='')}")
        except _Passing as passing:
            raise passing.failed from None
        finally:
            self._asking -= 1

    async def _keep_pace(self) -> None:
        # Where Vapi is slow, those who wait for its answers must not become many.
        patience_ms = _SOON_MS if self._asking <= _AT_ONCE else -1
        turn = await self._ledger.run(ask_vapi(gap_ms=self._gap_ms, patience_ms=patience_ms, latest_ms=_LATEST_MS))
        if turn.wait_ms is None:
            raise AskLater(None if turn.back_ms is None else turn.back_ms / 1000)
        await asyncio.sleep(turn.wait_ms / 1000)

    async def _get_once(self, path: str) -> bytes | None:
        await self._keep_pace()
        try:
            answer = await self._client.get(self._base_url + path)
        except httpx.RequestError as error:
            raise _Passing(_unreachable(self._base_url, error)) from None
        if answer.is_success:
            return answer.content
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        raise _failure(self._base_url, answer)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _headers(settings: VapiSettings) -> dict[str, str]:
    return {
        "authorization": f"Bearer {settings.require_key().get_secret_value()}",
        "accept": "application/json",
        "user-agent": "roark-ingest",
    }


def _unreachable(base_url: str, error: httpx.RequestError) -> VapiFailed:
    return VapiFailed("unreachable", f"{base_url} is unreachable ({type(error).__name__})")


def _failure(base_url: str, answer: httpx.Response) -> Exception:
    status = answer.status_code
    if status in {401, 403}:
        other = "" if base_url == _EU else f" In the EU, set VAPI_BASE_URL to {_EU}."
        return VapiFailed("key", f"Vapi rejected the key ({status}). VAPI_API_KEY must be the private key.{other}")
    retry_after = retry_after_seconds(answer.headers, datetime.now(UTC)) or 0.0
    if status in {408, 425, 429}:
        return _Passing(VapiFailed("busy", f"Vapi kept answering {status}: too many requests"), retry_after)
    failed = VapiFailed("status", f"Vapi answered {status}", status)
    return _Passing(failed, retry_after) if status >= 500 else failed


def _short_wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, _Passing) else 0.0
    return min(max(asked, random.uniform(0.2, 1.0)), _SOON_SECONDS)  # noqa: S311 no secret


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, _Passing) else 0.0
    ours: float = min(_FIRST_WAIT * 2 ** (state.attempt_number - 1), _LONGEST_WAIT)
    return max(ours * random.uniform(0.5, 1.0), min(asked, _LONGEST_RETRY_AFTER))  # noqa: S311 no secret


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
