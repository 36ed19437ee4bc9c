"""The spool of a ledger of several partitions: what waits for one that is away stands in no other's way."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from webhook_process import Valkey, report

from roark_ledger.errors import LedgerUnavailable
from roark_ledger.ledger import AsyncLedger
from roark_ledger.lifecycle import State
from roark_ledger.packing import unpack
from roark_ledger.partitions.ledger import AsyncPartedLedger
from roark_ledger.partitions.placing import PARTITIONS, partition_of
from roark_ledger.server.connection import connect_async
from roark_ledger.server.durability import Kept
from roark_producer.disk.segments import pending, segments
from roark_producer.disk.shelves import shelf_of, shelf_of_partition
from roark_producer.settings import IngestSettings
from roark_producer.taking import Intake
from roark_producer.webhook import accepting
from roark_producer.webhook.accepting import GroupCommit
from roark_producer.webhook.promise import PromisedLedger
from roark_producer.webhook.spools import Spools
from roark_producer.webhook.tally import Tally

NUMBER, AWAY = 4, 2
CALLS = [f"call-{number}" for number in range(24)]
THEIRS = [call_id for call_id in CALLS if partition_of(call_id, NUMBER) == AWAY]
UNREACHABLE = "Redis is unreachable: connection refused"


class Cluster:
    """Partitions on one server, of which some, or all, can be away; -1 is the home."""

    def __init__(self, url: str, prefix: str) -> None:
        self._client = connect_async(url)
        self.home = AsyncLedger(self._client, prefix=prefix)
        self.away: set[int] = set()
        self.promised = PromisedLedger(
            lambda: self.kept(-1), lambda _: self._opened(), partitions=lambda: NUMBER, check_at=self.kept
        )

    def kept(self, number: int) -> Kept:
        if number in self.away:
            raise LedgerUnavailable(UNREACHABLE)
        return Kept((), "kept")

    def _opened(self) -> AsyncPartedLedger:
        numbers = iter(range(NUMBER))
        cluster = self

        def part(name: str) -> AsyncLedger:
            number = next(numbers)

            class Part(AsyncLedger):
                async def run_all(self, *args: Any, **kwargs: Any) -> Any:
                    cluster.kept(number)
                    return await super().run_all(*args, **kwargs)

            return Part(self._client, prefix=name)

        return AsyncPartedLedger(self.home, part)

    async def fill_in(self) -> None:
        await self._client.hset(self.home.calls.keys.promises, PARTITIONS, NUMBER)  # type: ignore[misc] # redis-py's own

    async def aclose(self) -> None:
        await self._client.aclose()


async def until(check: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 10
    while not check():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.02)


def test_what_waits_for_a_partition_that_is_away_stands_in_no_others_way(
    valkey: Valkey, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accepting, "_SHORT_OUTAGE_SECONDS", 0.1)
    assert 4 < len(THEIRS) < 12

    async def story() -> None:
        cluster = Cluster(valkey.url, prefix)
        await cluster.fill_in()
        settings = IngestSettings(_env_file=None, redis_url=valkey.url, prefix=prefix)
        tally = Tally(cluster.promised)
        commit = GroupCommit(cluster.promised, tally, revisions="record", reports_per_wakeup=64, wake=lambda: None)
        spools = Spools(tmp_path, most_bytes=10**7, commit=commit, intake=Intake(settings))
        try:
            await told(cluster, spools, tmp_path)
        finally:
            spools.close()
            await cluster.aclose()

    asyncio.run(story())


async def told(cluster: Cluster, spools: Spools, folder: Path) -> None:
    # given that all is away, and nobody knows of partitions
    cluster.away = {-1, *range(NUMBER)}
    await cluster.promised.check()
    assert cluster.promised.parts == ()
    for call_id in CALLS:
        await spools.keep(report(call_id), None, call_id=call_id, why=UNREACHABLE)
    await spools.keep(b"not json", None, call_id=None)
    assert {shelf_of(path) for path in segments(folder)} == {0}

    # when all are back but one partition
    cluster.away = {AWAY}
    await cluster.promised.check()
    running = asyncio.create_task(spools.run())
    try:
        await until(lambda: pending(folder).reports == len(THEIRS), "the others' reports are handed in")
        # then only its reports wait, named, and only its reports go behind them
        assert {shelf_of(path) for path in segments(folder)} == {shelf_of_partition(AWAY)}
        snapshot = await cluster.promised.snapshot()
        assert snapshot is not None
        assert (snapshot.away, snapshot.states[State.READY]) == ((AWAY,), len(CALLS) - len(THEIRS))
        assert snapshot.rejected_kept == 1
        problem = await cluster.promised.problem()
        assert problem is not None
        assert (problem.words, problem.partly) == (f"partition {AWAY} of {NUMBER} is away: {UNREACHABLE}", True)
        assert [call_id for call_id in CALLS if await spools.takes_over(call_id)] == THEIRS
        assert not await spools.takes_over(None)
        newer = report(THEIRS[0], analysis={"summary": "newer"})
        await spools.keep(newer, None, call_id=THEIRS[0], why="partition 2 of 4 is away: it hangs")
        assert spools.why == "partition 2 of 4 is away: it hangs"
        await asyncio.sleep(0.7)
        assert pending(folder).reports == len(THEIRS) + 1

        # when it is back
        cluster.away = set()
        await until(lambda: pending(folder).reports == 0, "its reports are handed in, too")
        found = await cluster.promised.snapshot()
        assert found is not None
        assert (found.away, found.states[State.READY]) == ((), len(CALLS))
        assert found.accounts.holds
        ledger = await cluster.promised.of(THEIRS[0]).get()
        part = (await ledger.parts())[AWAY]
        packed = await part.client.hget(part.calls.keys.payloads, THEIRS[0])  # type: ignore[misc] # redis-py's own
        assert packed is not None
        assert b"newer" in unpack(packed).payload
        await until(lambda: not spools.why, "nothing waits any more")
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
