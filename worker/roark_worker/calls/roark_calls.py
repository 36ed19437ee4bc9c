"""The door to what Roark shows of calls: `GET /v1/call/{id}`, and whose token ours is (`GET /v1/me`).

1. So many requests a second and one at a time: Roark publishes no limit, and a look is in no hurry.
2. What does not answer the question is a RoarkSaysNothing, with a code of a closed set: nothing is tried again here,
   who looks comes back later.

Nothing of an answer gets into an error: bodies hold transcripts.
"""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx
import msgspec

from roark_ledger.errors import IngestError
from roark_worker.answers.answer_words import Kind, words_of
from roark_worker.answers.retry_after import retry_after_seconds
from roark_worker.settings import WorkerSettings
from roark_worker.upload.roark import Token

LOOKS_PER_SECOND = 5.0
_CONNECT_SECONDS, _ANSWER_SECONDS = 5.0, 20.0
_GONE = frozenset({httpx.codes.NOT_FOUND, httpx.codes.GONE})


class RoarkSaysNothing(IngestError):
    """Roark did not say what it was asked. `code` is one of: token, busy, unreachable, status, odd_answer.

    `retry_after` is for how many seconds Roark does not want to be asked, 0 where it did not say.
    """

    def __init__(self, code: str, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after = retry_after


class RoarkCalls:
    """Looks calls up at Roark. One request at a time; not to be shared between threads."""

    def __init__(
        self,
        settings: WorkerSettings,
        token: Token,
        *,
        per_second: float = LOOKS_PER_SECOND,
        sleep: Callable[[float], object] | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._base_url = settings.roark_base_url
        self._token = token
        self._gap = 1 / per_second if per_second else 0.0
        self._sleep = sleep or threading.Event().wait
        self._free_at = 0.0
        headers = {"accept": "application/json", "user-agent": "roark-ingest"}
        if settings.roark_project_id:
            headers["x-roark-project-id"] = settings.roark_project_id
        timeout = httpx.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS)
        self._client = httpx.Client(headers=headers, timeout=timeout, transport=transport)

    def is_visible(self, roark_call_id: str) -> bool:
        """Whether Roark shows this call, by its own id of it. Raises RoarkSaysNothing."""
        answer = self._get(f"/v1/call/{quote(roark_call_id, safe='')}")
        if answer.status_code in _GONE:
            words = words_of(answer.content[:65_536], cut=len(answer.content) > 65_536)
            if words.kind is not Kind.OBJECT:
                raise self._odd()
            return False
        if str(self._data(answer).get("id", "")) != roark_call_id:
            raise self._odd()
        return True

    def me(self) -> dict[str, Any]:
        """Return whose token it is: organization, defaultProject, scopes, tokenScope. Raises RoarkSaysNothing."""
        return self._data(self._get("/v1/me"))

    def _get(self, path: str) -> httpx.Response:
        if (early := self._free_at - time.monotonic()) > 0:
            self._sleep(early)
        self._free_at = time.monotonic() + self._gap
        try:
            return self._client.get(self._base_url + path, headers={"authorization": f"Bearer {self._token.current()}"})
        except httpx.RequestError as error:
            # The chain ends here: an error of httpx may quote the header with the token in it.
            message = f"{self._base_url} is unreachable ({type(error).__name__})"
            raise RoarkSaysNothing("unreachable", message) from None

    def _data(self, answer: httpx.Response) -> dict[str, Any]:
        status = answer.status_code
        if status in {401, 403}:
            raise RoarkSaysNothing("token", f"Roark does not let this token look calls up ({status})")
        if not answer.is_success:
            wait = retry_after_seconds(answer.headers, datetime.now(UTC)) or 0.0
            code = "busy" if status == httpx.codes.TOO_MANY_REQUESTS else "status"
            raise RoarkSaysNothing(code, f"Roark answered {status}", wait)
        try:
            found = msgspec.json.decode(answer.content, type=dict[str, Any]).get("data")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise self._odd()
        return found

    def _odd(self) -> RoarkSaysNothing:
        return RoarkSaysNothing("odd_answer", f"{self._base_url} does not answer as Roark's API does")

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
