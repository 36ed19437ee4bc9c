"""Vapi's side of the sandbox: the calls that its API lists, so that a reconcile has something to compare with.

    GET /call?createdAtGe=…&createdAtLt=…&limit=…   calls of a window, the newest first; 100 unless told, 1000 at most
    GET /call/ID                                    one call, with new links to its audio
    GET /assistant/ID, GET /phone-number/ID         what a Call only names
    GET /assistant                                  all assistants: what is neither a call nor a number
    PUT /_sandbox/vapi/calls                        calls, assistants and numbers: an array; a known one is replaced
    PUT /_sandbox/vapi                              behave differently: {"fail": ["429:0.1:retry-after=1"], …}
    GET /_sandbox/vapi                              how it behaves, how many requests came, at most in ten seconds

As at Vapi (OpenAPI document of its public docs) a list is a bare array of whole Call objects, and says nothing of
what else there is. A call is listed from the moment that it is put here: put later, with an earlier `createdAt`, it is
a late one; put again with another `status` it is a long one that has ended. What is older than the retention is gone.
"""

from __future__ import annotations

import random
import time
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from roark_sandbox.options import SandboxOptions
from roark_sandbox.routes.control import local_only
from roark_sandbox.routes.service import is_authorised
from roark_sandbox.trouble.faults import Fault, RefuseFault, decide, parse_faults

_USUAL_LIMIT, _MOST_LIMIT = 100, 1000
_LINKS_LAST = timedelta(minutes=30)
_LATELY_SECONDS = 10
_BOUNDS: Mapping[str, tuple[str, Callable[[int, int], bool]]] = {
    f"{member}{bound}": (member, holds)
    for member in ("createdAt", "updatedAt")
    for bound, holds in {
        "Gt": lambda value, limit: value > limit,
        "Ge": lambda value, limit: value >= limit,
        "Lt": lambda value, limit: value < limit,
        "Le": lambda value, limit: value <= limit,
    }.items()
}


class _Change(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `PUT /_sandbox/vapi`; a field left out stays as it is."""

    fail: list[str] | msgspec.UnsetType = msgspec.UNSET
    retention_days: float | msgspec.UnsetType = msgspec.UNSET


class _Wrong(Exception):
    """The request cannot be answered; the text says why, in Vapi's words."""


class SandboxVapi:
    """The calls and what else Vapi knows, and how its API behaves."""

    def __init__(self, options: SandboxOptions, clock: Callable[[], float]) -> None:
        self._key = options.vapi_key
        self._clock = clock
        self._chance = random.Random(options.seed)  # noqa: S311 chance, not secrecy
        self._things: dict[str, dict[str, object]] = {}
        self._created: dict[str, int] = {}
        self._order: list[tuple[int, str]] = []
        self._retention = timedelta(days=options.vapi_retention_days)
        self._requests, self._busiest = 0, 0
        self._lately: deque[float] = deque()
        self._set_faults(options.vapi_fail)

    def routes(self) -> list[Route]:
        """Vapi's routes, and those by which a test or the demo fills it."""
        return [
            Route("/call", self._answering(self._list)),
            Route("/call/{id}", self._answering(self._one)),
            Route("/call/{id}", self._answering(self._delete), methods=["DELETE"]),
            Route("/assistant", self._answering(self._assistants)),
            Route("/assistant/{id}", self._answering(self._one)),
            Route("/phone-number/{id}", self._answering(self._one)),
            Route("/_sandbox/vapi", local_only(self.look)),
            Route("/_sandbox/vapi", local_only(self.change), methods=["PUT"]),
            Route("/_sandbox/vapi/calls", local_only(self.put), methods=["PUT"]),
        ]

    async def put(self, request: Request) -> Response:
        """Learns of calls, assistants and numbers."""
        try:
            things = msgspec.json.decode(await request.body(), type=list[dict[str, object]])
            for thing in things:
                self._keep(str(thing["id"]), thing)
        except (msgspec.DecodeError, KeyError, _Wrong) as error:
            return _error(400, f"an array of objects with an id is wanted: {error}")
        return _json({"known": len(self._things)})

    async def look(self, _request: Request) -> Response:
        """How it behaves and what was asked of it."""
        return _json(
            {
                "fail": list(self._fail),
                "retention_days": self._retention / timedelta(days=1),
                "known": len(self._things),
                "requests": self._requests,
                "most_in_ten_seconds": self._busiest,
            }
        )

    async def change(self, request: Request) -> Response:
        """Behaves differently from the next request on, or not at all when a part is wrong."""
        try:
            change = msgspec.json.decode(await request.body(), type=_Change)
            if change.fail is not msgspec.UNSET:
                self._set_faults(tuple(change.fail))
        except (msgspec.DecodeError, ValueError) as error:
            return _error(400, str(error))
        if change.retention_days is not msgspec.UNSET:
            self._retention = timedelta(days=change.retention_days)
        return await self.look(request)

    def _answering(self, answer: Callable[[Request], Response]) -> Callable[[Request], object]:
        async def answered(request: Request) -> Response:
            self._note_request()
            if not is_authorised(request.headers, self._key):
                return _error(401, "Invalid Key. Hot tip, you may be using the private key instead of the public key")
            if (fault := decide(self._faults, None, None, self._chance, 0.0)) and isinstance(fault.action, RefuseFault):
                return _refused(fault.action)
            try:
                return answer(request)
            except _Wrong as error:
                return _error(400, str(error))

        return answered

    def _list(self, request: Request) -> Response:
        limit = _limit(request.query_params.get("limit"))
        bounds = [(*_BOUNDS[name], _ms(name, value)) for name, value in request.query_params.items() if name in _BOUNDS]
        assistant = request.query_params.get("assistantId")
        found: list[dict[str, object]] = []
        first = bisect_left(self._order, (self._oldest_ms(), ""))
        # From the newest down; what was created later than the window need not be looked at.
        query = request.query_params
        uppers = [_ms(name, query[name]) + 1 for name in ("createdAtLt", "createdAtLe") if name in query]
        last = bisect_left(self._order, (min(uppers), "")) if uppers else len(self._order)
        for _, call_id in reversed(self._order[first:last]):
            if len(found) == limit:
                break
            call = self._things[call_id]
            if all(holds(_ms(member, call.get(member)), value) for member, holds, value in bounds) and (
                assistant is None or call.get("assistantId") == assistant
            ):
                found.append(call)
        return _json(found)

    def _assistants(self, _request: Request) -> Response:
        others = (thing for thing_id, thing in self._things.items() if thing_id not in self._created)
        return _json([thing for thing in others if "number" not in thing])

    def _one(self, request: Request) -> Response:
        thing_id = request.path_params["id"]
        thing = self._things.get(thing_id)
        is_call = request.url.path.startswith("/call/")
        if thing is None or is_call != (thing_id in self._created):
            return _error(404, "Not Found")
        if is_call and self._created[thing_id] < self._oldest_ms():
            return _error(404, "Not Found")
        return _json(_with_new_links(thing))

    def _delete(self, request: Request) -> Response:
        answer, thing_id = self._one(request), request.path_params["id"]
        if answer.status_code < 300:
            del self._things[thing_id]
            self._order.remove((self._created.pop(thing_id), thing_id))
        return answer

    def _keep(self, thing_id: str, thing: dict[str, object]) -> None:
        # What has a status is a call; assistants and numbers have none.
        if "status" in thing:
            created = _ms("createdAt", thing.get("createdAt"))
            if (before := self._created.get(thing_id)) is not None:
                del self._order[bisect_left(self._order, (before, thing_id))]
            self._created[thing_id] = created
            insort(self._order, (created, thing_id))
        self._things[thing_id] = thing

    def _oldest_ms(self) -> int:
        return round((time.time() - self._retention.total_seconds()) * 1000)

    def _set_faults(self, fail: tuple[str, ...]) -> None:
        faults = parse_faults(fail)
        if not all(isinstance(fault.action, RefuseFault) for fault in faults):
            raise ValueError("Vapi's side can only refuse: 429:0.1:retry-after=1, 503:0.05")
        self._fail, self._faults = fail, faults

    _fail: tuple[str, ...]
    _faults: tuple[Fault, ...]

    def _note_request(self) -> None:
        now = self._clock()
        self._lately.append(now)
        while self._lately[0] <= now - _LATELY_SECONDS:
            self._lately.popleft()
        self._busiest = max(self._busiest, len(self._lately))
        self._requests += 1


def _with_new_links(thing: dict[str, object]) -> dict[str, object]:
    artifact = thing.get("artifact")
    if not isinstance(artifact, dict) or "presignedUrlsExpiresAt" not in artifact:
        return thing
    ends = datetime.now(UTC) + _LINKS_LAST
    made = f"{random.getrandbits(64):x}"
    links = {
        name: f"{str(value).partition('?')[0]}?X-Amz-Signature={made}"
        for name, value in artifact.items()
        if name.startswith("presigned")
    }
    links["presignedUrlsExpiresAt"] = ends.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {**thing, "artifact": {**artifact, **links}}


def _limit(text: str | None) -> int:
    if text is None:
        return _USUAL_LIMIT
    if not (text.isascii() and text.isdigit() and int(text) <= _MOST_LIMIT):
        raise _Wrong(f"limit must not be greater than {_MOST_LIMIT}")
    return int(text)


def _ms(name: str, value: object) -> int:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        raise _Wrong(f"{name} must be a valid ISO 8601 date string") from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _json(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(value), status, headers, media_type="application/json")


def _error(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    return _json({"message": message, "statusCode": status}, status, headers)


def _refused(refuse: RefuseFault) -> Response:
    headers = {}
    if refuse.retry_after_seconds is not None:
        headers["retry-after"] = f"{refuse.retry_after_seconds:g}"
    return _error(refuse.status, refuse.message or "Rate limit exceeded", headers)
