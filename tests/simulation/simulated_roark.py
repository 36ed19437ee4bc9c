"""Roark in virtual time: a latency, and conditions under which it refuses. It remembers every attempt.

    roark = SimulatedRoark(lognormal(0.1, sigma=0.5), over_concurrency(40), down(60, 3660))

It stands where the worker's `Roark` stands, so all above it is the real thing. A condition looks at a request
and answers it, or leaves it to the next one; a request that no condition answers is taken in.
"""

import asyncio
import json
import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from roark_ledger.routes import Route
from roark_worker.answers.verdict import Answer
from roark_worker.upload.roark import UploadFailed

QUICK = 0.005
"""Seconds that a refusal takes."""


@dataclass(frozen=True, slots=True)
class Request:
    """One upload as it comes in. `in_flight` counts this one too; `seconds` is virtual time."""

    seconds: float
    call_id: str
    in_flight: int


@dataclass(frozen=True, slots=True)
class Reply:
    """What becomes of a request, after `takes` seconds. Status 0: there is no answer, the connection fails."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    takes: float = QUICK
    message: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One upload that is over. Times are virtual seconds; `in_flight` is how many there were when it began."""

    call_id: str
    began: float
    ended: float
    status: int
    in_flight: int


Condition = Callable[[Request], Reply | None]
Latency = Callable[[Request, random.Random], float]


class SimulatedRoark:
    """What the worker's `Roark` does, without a network."""

    def __init__(self, latency: Latency, *conditions: Condition, seed: int = 1) -> None:
        self._latency = latency
        self._conditions = conditions
        self._chance = random.Random(seed)
        self._in_flight = 0
        self.attempts: list[Attempt] = []

    async def upload(self, body: bytes, *, route: Route = "vapi", traceparent: str = "") -> Answer:
        loop = asyncio.get_running_loop()
        self._in_flight += 1
        call_id = json.loads(body)["vapiEndOfCallReportPayload"]["call"]["id"]
        request = Request(loop.time(), call_id, self._in_flight)
        reply = self._reply(request)
        try:
            await asyncio.sleep(reply.takes)
        finally:
            self._in_flight -= 1
            self.attempts.append(Attempt(call_id, request.seconds, loop.time(), reply.status, request.in_flight))
        if reply.status == 0:
            raise UploadFailed("timeout" if reply.takes > QUICK else "connect", reply.message)
        if reply.status == 200:
            return Answer(200, reply.headers, b'{"data":{"callId":"%b"}}' % call_id.encode())
        return Answer(reply.status, reply.headers, json.dumps({"message": reply.message}).encode())

    def _reply(self, request: Request) -> Reply:
        for condition in self._conditions:
            if reply := condition(request):
                return reply
        return Reply(200, takes=self._latency(request, self._chance))

    async def aclose(self) -> None:
        """Nothing is open."""


def constant(seconds: float) -> Latency:
    return lambda _request, _chance: seconds


def lognormal(mean: float, *, sigma: float) -> Latency:
    """A latency with a long tail: of sigma 1, one answer in a hundred takes six times the mean."""
    middle = math.log(mean) - sigma**2 / 2
    return lambda _request, chance: chance.lognormvariate(middle, sigma)


def queueing(seconds: float, *, at_once: int) -> Latency:
    """Serves `at_once` requests at a time; the rest waits in line, so the time grows with the number in flight."""
    return lambda request, _chance: seconds * max(1.0, request.in_flight / at_once)


def between(first: float, last: float, then: Latency, *, otherwise: Latency) -> Latency:
    """Another latency from `first` to `last` seconds."""

    def latency(request: Request, chance: random.Random) -> float:
        return (then if first <= request.seconds < last else otherwise)(request, chance)

    return latency


def over_concurrency(most: int, *, status: int = 503) -> Condition:
    """Refuses what comes while `most` requests are in flight."""
    return lambda request: Reply(status, message="overloaded") if request.in_flight > most else None


def over_rate(per_second: int, *, retry_after: bool = False) -> Condition:
    """Refuses what comes when `per_second` requests were taken in the last second, and says when there is room."""
    taken: deque[float] = deque()

    def condition(request: Request) -> Reply | None:
        while taken and taken[0] <= request.seconds - 1:
            taken.popleft()
        if len(taken) < per_second:
            taken.append(request.seconds)
            return None
        wait = taken[0] + 1 - request.seconds
        return Reply(429, {"retry-after": f"{math.ceil(wait)}"} if retry_after else {}, message="slow down")

    return condition


def down(
    first: float, last: float, *, status: int = 503, takes: float = QUICK, headers: dict[str, str] | None = None
) -> Condition:
    """Refuses everything from `first` to `last` seconds; status 0 is a connection that fails."""

    def condition(request: Request) -> Reply | None:
        return Reply(status, headers or {}, takes, "down") if first <= request.seconds < last else None

    return condition


def flapping(period: float) -> Condition:
    """Up for one period, down for the next, and so on."""
    return lambda request: Reply(503, message="down") if request.seconds // period % 2 == 1 else None


def by_chance(share: float, *, status: int = 503, seed: int = 1) -> Condition:
    """Fails this share of the requests, whatever is in flight."""
    chance = random.Random(seed)
    return lambda _request: Reply(status, message="try again") if chance.random() < share else None


def refusing(*call_ids: str, status: int = 400) -> Condition:
    """Refuses these reports for what they are."""
    return lambda request: Reply(status, message="invalid payload") if request.call_id in call_ids else None
