"""AsyncProducer on a real server: the same verbs, receipts and errors as Producer, for many tasks at once."""

import asyncio
import gc
import json
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from pydantic import SecretStr
from servers import Server, configured

from roark_ledger.lifecycle import State
from roark_ledger.moves import watch
from roark_ledger.records.snapshot import Snapshot
from roark_ledger.server.connection import connect
from roark_producer import (
    AsyncProducer,
    BrokenPromise,
    ConfigurationError,
    InvalidProperties,
    LedgerFull,
    LedgerUnavailable,
    ProducerClosed,
    Receipt,
    Result,
)
from roark_producer.servers import Servers
from roark_producer.settings import IngestSettings
from roark_producer.wake_ups import QUEUE


def body(call_id: str = "call-1", **more: Any) -> bytes:
    return json.dumps({"message": {"type": "end-of-call-report", "call": {"id": call_id}} | more}).encode()


@pytest.fixture
def settings(valkey: Server, prefix: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> IngestSettings:
    monkeypatch.chdir(tmp_path)
    return IngestSettings(redis_url=SecretStr(valkey.url), prefix=prefix)


@pytest.fixture
async def producer(settings: IngestSettings) -> AsyncIterator[AsyncProducer]:
    async with AsyncProducer.from_settings(settings) as producer:
        yield producer


def snapshot(settings: IngestSettings) -> Snapshot:
    ledger = Servers(settings).ledger()
    try:
        return ledger.run(watch.snapshot())
    finally:
        ledger.close()


async def test_a_report_is_accepted_and_a_worker_woken(producer: AsyncProducer, valkey: Server) -> None:
    with connect(valkey.url) as client:
        client.delete(QUEUE)
        assert await producer.submit(body()) == Receipt("call-1", Result.ACCEPTED)
        assert client.llen(QUEUE) == 1
    assert await producer.submit(body().decode()) == Receipt("call-1", Result.DUPLICATE)
    assert await producer.submit(json.loads(body(transcript="new"))) == Receipt("call-1", Result.REPLACED)


async def test_each_kind_has_its_receipt_in_order(producer: AsyncProducer, settings: IngestSettings) -> None:
    receipts = await producer.submit_many([body("call-1"), b"nonsense", {"type": "hang"}, body("call-2")])

    assert [each.result for each in receipts] == ["accepted", "rejected", "ignored", "accepted"]
    found = snapshot(settings)
    assert (found.rejected_kept, found.total("ignored"), found.states[State.READY]) == (1, 1, 2)
    assert await producer.submit_many([]) == []


async def test_without_the_bin_unusable_ones_are_counted(settings: IngestSettings) -> None:
    async with AsyncProducer.from_settings(settings, keeps_rejected=False) as producer:
        assert (await producer.submit(b"nonsense")).result is Result.REJECTED
    assert (snapshot(settings).total("rejected"), snapshot(settings).rejected_kept) == (1, 0)


async def test_the_lazy_one_takes_reports_as_receipts_are_read(producer: AsyncProducer) -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield body(f"call-{taken}")

    receipts = producer.submit_iter(endless())
    assert taken == 0
    assert (await anext(receipts)).call_id == "call-1"
    assert taken == 64


async def test_reports_may_come_from_an_asynchronous_source(producer: AsyncProducer) -> None:
    async def source() -> AsyncIterator[bytes]:
        for number in range(130):
            await asyncio.sleep(0)
            yield body(f"call-{number}")

    receipts = await producer.submit_many(source())

    assert [each.call_id for each in receipts] == [f"call-{number}" for number in range(130)]


async def test_hundreds_of_tasks_share_one(producer: AsyncProducer, settings: IngestSettings, valkey: Server) -> None:
    async def submit(number: int) -> Receipt:
        return await producer.submit(body(f"call-{number % 200}", transcript="x" * (number % 7) * 100_000))

    receipts = await asyncio.gather(*map(submit, range(300)))

    assert [each.call_id for each in receipts] == [f"call-{number % 200}" for number in range(300)]
    found = snapshot(settings)
    assert (found.states[State.READY], found.balanced) == (200, True)
    with connect(valkey.url) as client:
        assert len(client.client_list()) < 60


async def test_a_task_that_is_cancelled_leaves_the_others_their_answers(producer: AsyncProducer) -> None:
    tasks = [asyncio.create_task(producer.submit(body(f"call-{number}"))) for number in range(60)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for task in tasks[::3]:
        task.cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)

    answered = {number: each for number, each in enumerate(done) if isinstance(each, Receipt)}
    assert {n: each.call_id for n, each in answered.items()} == {n: f"call-{n}" for n in answered}
    assert set(range(60)) - set(answered) <= set(range(0, 60, 3))


class TestMisuse:
    async def test_raises_when_it_is_called_and_costs_no_report(
        self, producer: AsyncProducer, settings: IngestSettings
    ) -> None:
        with pytest.raises(InvalidProperties, match=r"^properties\.Tenant"):
            producer.submit_iter([body()], {"Tenant": 1})
        with pytest.raises(InvalidProperties):
            await producer.submit(body(), {"tenant": []})  # type: ignore[dict-item] # that is the point
        with pytest.raises(TypeError, match="`submit` takes one"):
            await producer.submit_many(body())  # type: ignore[arg-type] # that is the point
        with pytest.raises(TypeError):
            await producer.submit(None)  # type: ignore[arg-type] # that is the point
        assert snapshot(settings).rejected_kept == 0

    async def test_a_closed_one_says_so(self, settings: IngestSettings) -> None:
        async with AsyncProducer.from_settings(settings) as producer:
            pass
        await producer.close()
        with pytest.raises(ProducerClosed):
            await producer.submit(body())
        with pytest.raises(ProducerClosed):
            producer.submit_iter([])
        with pytest.raises(ProducerClosed):
            await producer.open()


class TestFailures:
    async def test_a_full_server_refuses(self, producer: AsyncProducer, valkey: Server) -> None:
        with connect(valkey.url) as client, configured(client, "maxmemory", "1mb"), pytest.raises(LedgerFull):
            await producer.submit(body())
        assert (await producer.submit(body())).result == "accepted"

    async def test_a_server_that_is_away_is_told_by_the_first_use(
        self, settings: IngestSettings, tmp_path: Any
    ) -> None:
        nobody = SecretStr(f"unix://{tmp_path}/nobody.sock")
        producer = AsyncProducer.from_settings(settings.model_copy(update={"redis_url": nobody}))
        with pytest.raises(LedgerUnavailable):
            await producer.submit(body())
        with pytest.raises(LedgerUnavailable):
            await producer.open()
        await producer.close()

    async def test_a_promise_that_the_server_cannot_keep(self, settings: IngestSettings) -> None:
        with pytest.raises(BrokenPromise):
            await AsyncProducer.from_settings(settings.model_copy(update={"durability": "replicated:1"})).open()

    def test_without_any_server(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("ROARK_INGEST_REDIS_URL", raising=False)
        with pytest.raises(ConfigurationError, match="ROARK_INGEST_REDIS_URL is not set"):
            AsyncProducer.from_env()


# What was open in a loop that has ended cannot be closed by anybody; Python says so when it is collected.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_another_event_loop_and_a_forked_process_get_connections_of_their_own(settings: IngestSettings) -> None:
    producer = AsyncProducer.from_settings(settings)
    assert asyncio.run(producer.submit(body("call-1"))).result == "accepted"
    assert asyncio.run(producer.submit(body("call-2"))).result == "accepted"
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if asyncio.run(producer.submit(body("call-3"))).result == "accepted" else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert asyncio.run(producer.submit(body("call-4"))).result == "accepted"
    asyncio.run(producer.close())
    assert snapshot(settings).states[State.READY] == 4
    gc.collect()
