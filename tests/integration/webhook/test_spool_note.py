"""The webhook tells the ledger what waits in its spool, so that somebody hears of it; and takes it back."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from servers import Server

from roark_ledger.ledger import AsyncLedger
from roark_ledger.moves import watch
from roark_ledger.records.alerts import NotedSpool
from roark_ledger.server.connection import connect, connect_async
from roark_ledger.server.durability import inspect, keep
from roark_producer.disk.frames import Spooled
from roark_producer.disk.spool import Spool
from roark_producer.webhook.promise import PromisedLedger
from roark_producer.webhook.spool_note import SpoolNote


@pytest.fixture
async def ledger(valkey: Server, prefix: str) -> AsyncIterator[AsyncLedger]:
    made = AsyncLedger(connect_async(valkey.url), prefix=prefix)
    yield made
    await made.aclose()


def promised(valkey: Server, ledger: AsyncLedger) -> PromisedLedger:
    def check() -> object:
        with connect(valkey.url) as client:
            return keep("memory", inspect(client))

    return PromisedLedger(check, lambda _: ledger)  # type: ignore[arg-type]


async def noted(ledger: AsyncLedger) -> tuple[NotedSpool, ...]:
    return (await ledger.run(watch.alert_facts(lately_ms=1, soon_ms=1))).spools


async def test_what_waits_is_told_and_taken_back_when_it_is_gone(
    valkey: Server, ledger: AsyncLedger, tmp_path: Path
) -> None:
    spool = Spool(tmp_path, most_bytes=10**6)
    note = SpoolNote(promised(valkey, ledger), tmp_path, lambda: "MISCONF")
    await note.once()
    assert await noted(ledger) == ()

    spool.append([Spooled(b"x" * 100, {}, 1)])
    await note.once()
    (told,) = await noted(ledger)
    assert (told.bytes, told.who.endswith(f":{tmp_path}")) == (spool.size(), True)
    assert (await ledger.run(watch.snapshot())).spooled_because == {told.who: "MISCONF"}

    spool.seal()
    for segment in spool.waiting():
        spool.done(segment)
    await note.once()
    assert await noted(ledger) == ()
    assert (await ledger.run(watch.snapshot())).spooled_because == {}


async def test_what_a_killed_webhook_told_is_taken_back_by_the_next_one(
    valkey: Server, ledger: AsyncLedger, tmp_path: Path
) -> None:
    spool = Spool(tmp_path, most_bytes=10**6)
    spool.append([Spooled(b"x", {}, 1)])
    await SpoolNote(promised(valkey, ledger), tmp_path).once()
    spool.seal()
    for segment in spool.waiting():
        spool.done(segment)

    await SpoolNote(promised(valkey, ledger), tmp_path).once()

    assert await noted(ledger) == ()
