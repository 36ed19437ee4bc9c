"""The pipeline in virtual time: the real ledger, deliveries and ticks; only Roark, Celery and the clock are simulated.

    world = World(client, prefix, roark, workers=2, rate="50/s")
    figures = world.run(world.arrive(per_second=100, seconds=60))

A worker is a `Delivery` and a `Tick` as in production. Celery is a queue of wake-ups, of which each worker takes
one at a time and holds one more in hand, as a consumer with a prefetch of one does. Redis answers at once.
"""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import redis
from simulated_roark import SimulatedRoark
from virtual_time import run_virtually

from roark_ledger.ids import CallId
from roark_ledger.keys import Keys
from roark_ledger.ledger import Ledger
from roark_ledger.lifecycle import State
from roark_ledger.moves import intake, watch
from roark_ledger.moves.intake import Acceptable
from roark_ledger.moves.operation import Operation
from roark_ledger.packing import pack
from roark_ledger.partitions.ledger import PartedLedger
from roark_ledger.partitions.placing import PARTITIONS
from roark_ledger.records.snapshot import Snapshot
from roark_worker.delivery import Delivery
from roark_worker.settings import WorkerSettings
from roark_worker.upkeep.tick import Tick

T = TypeVar("T")
START_MS = 1_760_000_000_000
_PER_WAKEUP = 64
_ARRIVAL_SECONDS = 0.05


class _AtOnce:
    """An `AsyncLedger` whose Redis answers at once; nothing else can happen meanwhile."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.dead = False

    async def run(self, operation: Operation[T]) -> T:
        return (await self.run_all([operation]))[0]

    async def run_all(self, wanted: Sequence[Operation[T]]) -> list[T]:
        if self.dead:
            await asyncio.get_running_loop().create_future()
        return self._ledger.run_all(wanted)

    async def aclose(self) -> None:
        """Others use the connection."""


class Celery:
    """Wake-ups on their way: first in, first out, to whoever has room, which chance decides."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._messages = 0
        self.workers: list[Worker] = []

    def publish(self) -> bool:
        self._messages += 1
        self.hand_out()
        return True

    def hand_out(self) -> None:
        while self._messages and (with_room := [one for one in self.workers if one.has_room]):
            self._messages -= 1
            self._chance.choice(with_room).take()


class Worker:
    """One worker process."""

    def __init__(self, world: "World", number: int) -> None:
        self._settings = world.settings
        self._celery = world.celery
        self._chance = random.Random(f"{world.seed} worker {number}")
        self._ledger = _AtOnce(world.opened())
        self._delivery = Delivery(self._ledger, world.roark, world.settings, chance=self._chance.random)  # type: ignore[arg-type] # they quack
        self._tick = Tick(
            world.ledger,
            world.settings,
            wake=world.celery.publish,
            is_draining=lambda: self._draining,
            give_up=lambda: None,
        )
        self._in_hand: deque[bool] = deque()
        self._woken = asyncio.Event()
        self._draining = False
        self.is_alive = True
        self._tasks = [asyncio.create_task(self._consume()), asyncio.create_task(self._tick_on())]

    @property
    def has_room(self) -> bool:
        return self.is_alive and len(self._in_hand) < 1

    def take(self) -> None:
        self._in_hand.append(True)
        self._woken.set()

    async def _consume(self) -> None:
        while True:
            await self._woken.wait()
            self._in_hand.popleft()
            self._woken.clear()
            self._celery.hand_out()
            self._draining = True
            summary = await self._delivery.drain()
            self._draining = False
            if summary.more:
                self._celery.publish()
            if self._in_hand:
                self._woken.set()

    async def _tick_on(self) -> None:
        while True:
            await asyncio.sleep(self._settings.tick_seconds * self._chance.uniform(0.8, 1.2))
            self._tick.once()

    @property
    def uploads(self) -> int:
        """How many are under way."""
        return self._delivery._journey.uploading

    async def stop(self) -> None:
        await self._end_own()
        await self._delivery.stop(60)

    async def die(self) -> None:
        """End as by `kill -9`: nothing more reaches the ledger, and its uploads break off."""
        self.is_alive = False
        self._ledger.dead = True
        await self._end_own()
        tasks = [*self._delivery._journey._tasks, self._delivery._renewing]
        while left := [task for task in tasks if not task.done()]:
            # One time is not enough: what is broken off would give its report back first.
            for task in left:
                task.cancel()
            await asyncio.sleep(0)

    async def _end_own(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@dataclass(slots=True)
class Watched:
    """What was seen once a second."""

    seconds: float
    snapshot: Snapshot


@dataclass
class World:
    """Everything of one run. Settings are the worker's own, by their names."""

    client: "redis.Redis"
    prefix: str
    roark: SimulatedRoark
    workers: int = 2
    seed: int = 1
    options: dict[str, Any] = field(default_factory=dict)
    partitions: int = 1
    watched: list[Watched] = field(default_factory=list)
    accepted: dict[str, float] = field(default_factory=dict)
    """When each call was accepted, in virtual seconds."""
    replayed: int = 0

    def __post_init__(self) -> None:
        self.settings = WorkerSettings(**{"_env_file": None, "roark_api_bearer_token": "token", **self.options})
        self.chance = random.Random(self.seed)
        self.clock_is_off_ms = 0
        if self.partitions > 1:
            self.client.hset(Keys.under(self.prefix).promises, PARTITIONS, self.partitions)
        self.ledger = self.opened()
        self.staff: list[Worker] = []

    def opened(self) -> Ledger:
        """Return the ledger, as each process opens it for itself."""
        home = Ledger(self.client, prefix=self.prefix, clock=self._now_ms)
        return PartedLedger(home, lambda prefix: Ledger(self.client, prefix=prefix, clock=self._now_ms))

    @property
    def seconds(self) -> float:
        return asyncio.get_running_loop().time()

    def _now_ms(self) -> int:
        return START_MS + self.clock_is_off_ms + int(self.seconds * 1000)

    def run(self, *happenings: Coroutine[Any, Any, None], most_seconds: float = 86_400) -> None:
        """Let happen what is given, then go on until every report is delivered, dead, or nothing moves any more."""
        run_virtually(self._run(happenings, most_seconds))

    async def _run(self, happenings: Sequence[Awaitable[None]], most_seconds: float) -> None:
        self.celery = Celery(random.Random(f"{self.seed} celery"))
        self.staff = [Worker(self, number) for number in range(self.workers)]
        self.celery.workers = self.staff
        watching = asyncio.create_task(self._watch())
        await asyncio.gather(*happenings)
        await self.until(self._all_settled, most_seconds)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        for worker in self.staff:
            if worker.is_alive:
                await worker.stop()
        self.at_end = self.snapshot()

    async def until(self, condition: Callable[[], bool], most_seconds: float) -> None:
        """Look each tenth of a second; go on after `most_seconds` of virtual time whatever is the case."""
        last = self.seconds + most_seconds
        while not condition() and self.seconds < last:
            await asyncio.sleep(0.1)

    def _all_settled(self) -> bool:
        states = self.snapshot().states
        return not (states[State.READY] or states[State.UPLOADING] or states[State.WAITING])

    def snapshot(self) -> Snapshot:
        return self.ledger.run(watch.snapshot())

    async def _watch(self) -> None:
        while True:
            self.watched.append(Watched(self.seconds, self.snapshot()))
            await asyncio.sleep(1)

    async def backlog(self, number: int) -> None:
        """Accept so many reports at once."""
        for first in range(0, number, 500):
            self.accept(min(500, number - first))

    async def arrive(
        self, per_second: float, seconds: float, *, after: float = 0.0, every: float = _ARRIVAL_SECONDS
    ) -> None:
        """Accept reports evenly, for some time."""
        await asyncio.sleep(after)
        began, done = self.seconds, 0
        while (passed := self.seconds - began) < seconds:
            due = int(passed * per_second) - done
            if due > 0:
                self.accept(due)
                done += due
            await asyncio.sleep(max(every, 1 / per_second))
        self.accept(int(seconds * per_second) - done)

    def accept(self, number: int) -> None:
        ids = [f"call-{len(self.accepted) + place}" for place in range(number)]
        self.accepted |= dict.fromkeys(ids, self.seconds)
        reports = [Acceptable(CallId(one), "print", packed_report(one)) for one in ids]
        if reports and self.ledger.run(intake.accept(reports, revisions="record", per_wakeup=_PER_WAKEUP)).wake:
            self.celery.publish()


def packed_report(call_id: str) -> bytes:
    return pack(b'{"call":{"id":"%b"}}' % call_id.encode(), b"")
