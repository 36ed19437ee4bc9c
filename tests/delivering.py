"""A worker's inside in a test's own process: a ledger, reports to deliver, and a `Delivery` on this event loop."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import httpx
from pydantic import SecretStr

from roark_ledger.ledger import AsyncLedger, Ledger
from roark_ledger.lifecycle import State
from roark_ledger.moves import delivery as delivery_moves
from roark_ledger.moves import upkeep, watch
from roark_ledger.moves.delivery import Claim
from roark_ledger.records.record import Entry
from roark_ledger.records.snapshot import Snapshot
from roark_ledger.server.connection import connect, connect_async
from roark_producer.producer import Producer
from roark_producer.settings import IngestSettings
from roark_producer.tracing import Traces
from roark_worker.calls.fresh_audio import FreshAudio
from roark_worker.delivery import Delivery
from roark_worker.flower.event_sender import EventSender
from roark_worker.settings import WorkerSettings
from roark_worker.upload.roark import Roark, Token

TOKEN = "test-token-0123456789"
DEADLINE_SECONDS = 30.0

Handler = Callable[[httpx.Request], httpx.Response] | Callable[[httpx.Request], Awaitable[httpx.Response]]


def worker_settings(**values: Any) -> WorkerSettings:
    """Settings whose waits are tenths of a second; the level of uploads in flight is that of the one process."""
    quick: dict[str, Any] = {
        "roark_api_bearer_token": TOKEN,
        "roark_base_url": "http://localhost",
        "first_delay_seconds": 0.1,
        "max_delay_seconds": 0.2,
        "tick_seconds": 0.05,
        "probe_max_seconds": 0.4,
        "drain_seconds": 5,
        "concurrency": 1000,
        "breaker_attempts": 0,
    }
    return WorkerSettings(_env_file=None, **{**quick, **values})


def report(call_id: str, text: str = "hello") -> bytes:
    return json.dumps({"type": "end-of-call-report", "call": {"id": call_id}, "transcript": text}).encode()


def reports(number: int) -> list[bytes]:
    return [report(f"call-{n}") for n in range(number)]


class Bench:
    """One ledger, with what a test hands in and looks up."""

    def __init__(self, url: str, prefix: str, clock: Callable[[], int] = lambda: 0) -> None:
        self.url = url
        self.prefix = prefix
        self.clock = clock
        self.ledger = Ledger(connect(url), prefix=prefix, clock=clock)

    def submit(self, bodies: Iterable[bytes], revisions: str = "record") -> list[str]:
        """Hand reports in; return what became of each."""
        settings = IngestSettings(_env_file=None, redis_url=self.url, prefix=self.prefix, revisions=revisions)
        return [receipt.result for receipt in Producer(self.ledger, settings, lambda: None).submit_many(bodies)]

    def snapshot(self) -> Snapshot:
        return self.ledger.run(watch.snapshot())

    def count(self, state: State) -> int:
        return self.snapshot().states[state]

    def commands_run(self) -> int:
        """Return how many scripts the server has run or been sent."""
        stats: dict[str, Any] = self.ledger.client.info("commandstats")
        return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("evalsha", "script|load"))

    def look(self, call_id: str) -> Entry:
        entry = self.ledger.run(watch.look(call_id))
        assert entry, f"the ledger does not know {call_id}"
        return entry

    def events(self, call_id: str) -> list[str]:
        return [event.name for event in self.look(call_id).history]

    def claim(self, wanted: int = 1, lease_ms: int = 60_000) -> Claim:
        """Claim as another worker does."""
        return self.ledger.run(delivery_moves.claim(wanted=wanted, lease_ms=lease_ms, listen_ms=0, most_bytes=10**9))

    def reap(self) -> int:
        return self.ledger.run(upkeep.reap(most=1000, deaths=100)).reclaimed

    def promote(self) -> int:
        return self.ledger.run(upkeep.promote(most=1000))

    def async_ledger(self) -> AsyncLedger:
        return AsyncLedger(connect_async(self.url), prefix=self.prefix, clock=self.clock)

    @asynccontextmanager
    async def delivery(
        self,
        *,
        handler: Handler | None = None,
        token: Token | None = None,
        chance: Callable[[], float] = lambda: 0.5,
        events: EventSender | None = None,
        traces: Traces | None = None,
        fresh_audio: Callable[[AsyncLedger], FreshAudio] | None = None,
        **values: Any,
    ) -> AsyncIterator[Delivery]:
        """A delivery to `roark_base_url`, or to `handler` in its place; what is left is given back at the end."""
        settings = worker_settings(**values)
        client = httpx.AsyncClient(transport=httpx.MockTransport(handler)) if handler else None  # type: ignore[arg-type]
        door = Roark(settings, token or Token(SecretStr(TOKEN)), client)
        ledger = self.async_ledger()
        fresh = fresh_audio(ledger) if fresh_audio else None
        delivery = Delivery(ledger, door, settings, chance, events=events, traces=traces, fresh_audio=fresh)
        try:
            yield delivery
        finally:
            await delivery.stop(0)

    async def settle_all(self, delivery: Delivery) -> None:
        """Drain, and do what the tick does meanwhile, until nothing is left to be done; then stop."""

        def settled() -> bool:
            self.promote()
            return not self.is_unsettled()

        async with drained_by(delivery):
            await until(settled, "everything is settled")

    def is_unsettled(self) -> bool:
        states = self.snapshot().states
        return any(states[state] for state in (State.READY, State.UPLOADING, State.WAITING))

    def close(self) -> None:
        self.ledger.close()


@asynccontextmanager
async def drained_by(delivery: Delivery) -> AsyncIterator[None]:
    """Drain again and again while the block runs; then stop."""

    async def drain() -> None:
        while not delivery.is_stopping:
            await delivery.drain()

    async with asyncio.TaskGroup() as group:
        group.create_task(drain())
        yield
        delivery.begin_stop()


async def until(condition: Callable[[], object], what: str) -> None:
    """Wait until `condition` is true, with the loop going on."""
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not condition():  # noqa: ASYNC110 what is waited for is in other processes
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"it never came: {what}") from None
