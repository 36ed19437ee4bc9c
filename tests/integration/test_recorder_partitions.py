"""What came of uploads, where a partition of the ledger is away: its outcomes wait, all others are recorded at once."""

import asyncio

import msgspec
from delivering import report, worker_settings
from servers import Server

from roark_ledger.errors import LedgerUnavailable
from roark_ledger.ids import CallId
from roark_ledger.ledger import AsyncLedger
from roark_ledger.lifecycle import State
from roark_ledger.moves import delivery, intake, watch
from roark_ledger.moves.delivery import Deliver, Held, Outcome, Refuse
from roark_ledger.moves.intake import Acceptable
from roark_ledger.packing import pack
from roark_ledger.partitions.ledger import AsyncPartedLedger
from roark_ledger.partitions.placing import PARTITIONS, partition_of
from roark_ledger.server.connection import connect_async
from roark_worker.attempt import Attempt
from roark_worker.metrics.counting import Counts
from roark_worker.recorder import Recorder

NUMBER, AWAY = 4, 2


class Part(AsyncLedger):
    """A partition that can be away."""

    is_away = False

    async def run_all(self, operations, *, durably=False):  # type: ignore[no-untyped-def]
        if self.is_away:
            raise LedgerUnavailable("Redis is unreachable: connection refused")
        return await super().run_all(operations, durably=durably)


def test_outcomes_of_a_partition_that_is_away_wait_and_hold_up_no_other(valkey: Server, prefix: str) -> None:
    asyncio.run(story(valkey.url, prefix))


async def story(url: str, prefix: str) -> None:
    client = connect_async(url)
    home = AsyncLedger(client, prefix=prefix)
    await client.hset(home.calls.keys.promises, PARTITIONS, NUMBER)
    ledger = AsyncPartedLedger(home, lambda name: Part(client, prefix=name))
    wanted = [f"call-{number}" for number in range(40)]
    reports = [Acceptable(CallId(each), "f" * 16, pack(report(each))) for each in wanted]
    await ledger.run(intake.accept(reports, revisions="record", per_wakeup=64))
    held: dict[str, Held] = {}
    while len(held) < len(wanted):
        claimed = (await ledger.run(delivery.claim(wanted=40, lease_ms=60_000, listen_ms=0, most_bytes=10**9))).reports
        held |= {one.call_id: Held(one.call_id, one.token) for one in claimed}
    told: list[Outcome] = []
    recorder = Recorder(ledger, worker_settings(), counts=Counts.unshared(), tell=told.extend)
    done: list[str] = []
    theirs = {each for each in wanted if partition_of(each, NUMBER) == AWAY}
    assert 4 < len(theirs) < 20
    all_but_theirs = asyncio.Event()

    async def bring(outcome: Outcome) -> None:
        attempt = Attempt.of(delivery.Claimed(*msgspec.structs.astuple(outcome.held), 0, 0, False, "fresh", b""))
        attempt.end(0.01, at=0.0)
        attempt.outcome = outcome
        recorder.add(attempt, enough=4)
        if recorder.turn.locked():
            return
        async with recorder.turn:
            while batch := await recorder.ended_together():
                done.extend(one.held.call_id for one in await recorder.record(batch))
                if len(done) >= len(wanted) - len(theirs):
                    all_but_theirs.set()

    part = (await ledger.parts())[AWAY]
    assert isinstance(part, Part)
    part.is_away = True
    refused = {next(iter(theirs)), next(iter(set(wanted) - theirs))}
    outcomes: list[Outcome] = [
        Refuse(held[each], "http_402", "Out of credits", b'{"attempt":1}', b'{"attempt":1,"over":"alone"}', 5)
        if each in refused
        else Deliver(held[each], "roark-1", b'{"attempt":1}')
        for each in wanted
    ]
    assert await ledger.run(delivery.renew(list(held.values()), lease_ms=60_000)) == [True] * len(wanted)
    tasks = [asyncio.create_task(bring(one)) for one in outcomes]
    async with asyncio.timeout(5):
        await all_but_theirs.wait()
        await asyncio.sleep(0.6)
        assert set(done) == set(wanted) - theirs
        found = await ledger.run(watch.snapshot())
        assert (found.away, found.states[State.DELIVERED]) == ((AWAY,), len(wanted) - len(theirs) - 1)
        part.is_away = False
        await asyncio.gather(*tasks)
    assert sorted(done) == sorted(wanted)
    assert recorder.counted == {"delivered": len(wanted) - 2, "refused": 2}
    assert sorted(one.held.call_id for one in told) == sorted(wanted)
    found = await ledger.run(watch.snapshot())
    assert (found.away, found.states[State.DELIVERED], found.states[State.UPLOADING]) == ((), len(wanted) - 2, 0)
    await ledger.aclose()
