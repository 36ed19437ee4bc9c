"""Outcomes on their way into the ledger: together, in order, and not lost while Redis is away."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from clocks import Clock
from delivering import Bench, report, reports, until, worker_settings
from servers import Server, running

from roark_ledger.ids import CallId, LeaseToken
from roark_ledger.lifecycle import State
from roark_ledger.moves.delivery import Bury, Claimed, Defer, Deliver, Held, Outcome, Refuse, Release
from roark_worker import recorder as recording
from roark_worker.attempt import Attempt
from roark_worker.metrics.counting import Counts
from roark_worker.recorder import Recorder


@pytest.fixture
def bench(valkey: Server, prefix: str) -> Iterator[Bench]:
    bench = Bench(valkey.url, prefix)
    yield bench
    bench.close()


class Desk:
    """A `Recorder` with what it has recorded, and the attempts that are over with that."""

    def __init__(self, recorder: Recorder, recorded: list[Outcome], enough: int) -> None:
        self.recorder = recorder
        self.recorded = recorded
        self.done: list[Held] = []
        self._enough = enough
        self._recording: list[asyncio.Task[None]] = []

    def add(self, *outcomes: Outcome) -> None:
        """Bring attempts that were decided, as their uploads would, one after the other."""
        self._recording += [asyncio.create_task(self._bring(one)) for one in outcomes]

    async def record(self, *outcomes: Outcome) -> None:
        self.add(*outcomes)
        await self.finish(20)

    async def finish(self, seconds: float) -> None:
        async with asyncio.timeout(seconds):
            await asyncio.shield(asyncio.gather(*self._recording))

    async def _bring(self, outcome: Outcome) -> None:
        attempt = Attempt.of(Claimed(*msgspec.structs.astuple(outcome.held), 0, 0, False, "fresh", b""))
        attempt.end(0.01, at=0.0)
        attempt.outcome = outcome
        self.recorder.add(attempt, enough=self._enough)
        if self.recorder.turn.locked():
            return
        async with self.recorder.turn:
            while batch := await self.recorder.ended_together():
                self.done += [one.held for one in await self.recorder.record(batch)]

    def break_off(self) -> None:
        for one in self._recording:
            one.cancel()
        self._recording.clear()

    async def stop(self) -> None:
        recording = list(self._recording)
        self.break_off()
        await asyncio.gather(*recording, return_exceptions=True)


@asynccontextmanager
async def desk(bench: Bench, *, enough: int | None = None, **values: Any) -> AsyncIterator[Desk]:
    ledger = bench.async_ledger()
    recorded: list[Outcome] = []
    settings = worker_settings(**values)
    recorder = Recorder(ledger, settings, counts=Counts.unshared(), tell=recorded.extend)
    desk = Desk(recorder, recorded, enough or settings.claim_batch)
    try:
        yield desk
    finally:
        await desk.stop()
        await ledger.aclose()


def held(bench: Bench, number: int) -> list[Held]:
    """Bring so many reports under a lease."""
    bench.submit(reports(number))
    return [holding(one) for one in bench.claim(number).reports]


def holding(claimed: Claimed) -> Held:
    return Held(claimed.call_id, claimed.token)


def deliver(one: Held) -> Deliver:
    return Deliver(one, "roark-1", b'{"attempt":1}')


def defer(one: Held) -> Defer:
    return Defer(one, 60_000, "http_503", b'{"attempt":1}')


def refuse(one: Held) -> Refuse:
    return Refuse(one, "http_402", "Out of credits", b'{"attempt":1}', b'{"attempt":1,"over":"alone"}', 5)


def bury(one: Held) -> Bury:
    return Bury(one, "http_422", b'{"attempt":1,"status":422}')


async def test_outcomes_of_every_kind_are_recorded_together(bench: Bench) -> None:
    first, second, third, fourth = held(bench, 4)
    async with desk(bench) as at:
        await at.record(deliver(first), defer(second), bury(third), Release(fourth))

        assert at.recorder.counted == {"delivered": 1, "deferred": 1, "buried": 1, "released": 1}
        assert at.done == [first, second, third, fourth]
        assert at.recorded == [deliver(first), defer(second), bury(third), Release(fourth)]

    states = bench.snapshot().states
    assert [states[state] for state in (State.DELIVERED, State.WAITING, State.DEAD, State.READY)] == [1, 1, 1, 1]


async def test_a_crowd_of_outcomes_takes_few_round_trips(bench: Bench) -> None:
    many = held(bench, 300)
    before = bench.commands_run()
    async with desk(bench, claim_batch=50) as at:
        await at.record(*map(deliver, many))

    # two batches of two hundred at most, and the scripts to be loaded
    assert bench.commands_run() - before <= 4
    assert bench.count(State.DELIVERED) == 300


async def test_enough_outcomes_wait_for_no_others(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "_LEAST_GATHER_SECONDS", 3600.0)
    monkeypatch.setattr(recording, "_MOST_GATHER_SECONDS", 3600.0)
    first, second = held(bench, 2)
    async with desk(bench, enough=2) as at:
        await at.record(deliver(first), deliver(second))

    assert bench.count(State.DELIVERED) == 2


async def test_when_there_is_nothing_to_record_nothing_is_waited_for(bench: Bench) -> None:
    async with desk(bench) as at:
        await at.record()

    assert bench.snapshot().total("accepted") == 0


async def test_deliveries_are_recorded_before_the_refusals_that_came_with_them(bench: Bench) -> None:
    many = held(bench, 4)
    async with desk(bench) as at:
        await at.record(*(refuse(one) for one in many[:3]), deliver(many[3]))

    assert bench.count(State.WAITING) == 3
    assert bench.snapshot().lane.state == "held", "the lane knows of the delivery when it judges the refusals"


async def test_the_log_says_once_why_the_lane_is_held(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    many = held(bench, 5)
    async with desk(bench) as at:
        await at.record(*map(refuse, many))

    (told,) = [record for record in caplog.records if record.getMessage() == "lane_held"]
    assert told.__dict__["fields"] == {"reason": "http_402 Out of credits"}


async def test_a_refusal_that_makes_a_dead_letter_is_recorded_and_counted_as_one(
    valkey: Server, prefix: str, clock: Clock
) -> None:
    bench = Bench(valkey.url, prefix, clock)
    (bad,) = held(bench, 1)
    async with desk(bench) as at:
        for number in range(3):
            await at.record(refuse(bad))
            if number == 2:
                break
            clock.advance(1)
            bench.submit([report(f"good-{number}")])
            (good,) = bench.claim().reports
            await at.record(deliver(holding(good)))
            clock.advance(20_000)
            bench.promote()
            (again,) = bench.claim().reports
            bad = holding(again)

        assert at.recorder.counted == {"refused": 2, "delivered": 2, "buried": 1}
        assert at.recorded[-1] == Bury(bad, "http_402", b'{"attempt":1,"over":"alone"}')
    assert bench.count(State.DEAD) == 1


async def test_an_outcome_without_a_lease_is_not_recorded_and_is_counted_as_lost(
    valkey: Server, prefix: str, clock: Clock
) -> None:
    bench = Bench(valkey.url, prefix, clock)
    old, kept = held(bench, 2)
    clock.advance(60_001)
    bench.reap()
    new = holding(bench.claim().reports[0])
    async with desk(bench) as at:
        await at.record(deliver(old), bury(kept), deliver(new))

        assert at.recorder.counted == {"delivered": 1, "buried": 0, "lost": 2}
        assert at.done == [old, kept, new]
        assert at.recorded == [deliver(new)]

    assert bench.count(State.DEAD) == 0
    bench.close()


async def test_an_outcome_that_cannot_be_recorded_does_not_take_the_others_with_it(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    # given one that Redis cannot be told: half of a surrogate pair has no UTF-8
    many = held(bench, 20)
    odd = Bury(many[7], "\ud83d", b"{}")
    async with desk(bench) as at:
        await at.record(*(odd if one is many[7] else deliver(one) for one in many))

        assert at.recorder.counted["delivered"] == 19
        assert at.done == many

    # then its lease runs out, and the log names it
    assert bench.count(State.DELIVERED) == 19
    assert bench.count(State.UPLOADING) == 1
    (told,) = [record for record in caplog.records if record.getMessage() == "settle_failed"]
    assert told.levelno == logging.ERROR
    assert told.__dict__["fields"]["call_id"] == many[7].call_id


async def test_after_a_fault_the_next_outcomes_are_recorded(bench: Bench) -> None:
    first, second = held(bench, 2)
    async with desk(bench) as at:
        await at.record(Bury(first, "\ud83d", b"{}"))
        await at.record(deliver(second))

    assert bench.count(State.DELIVERED) == 1


async def test_while_redis_is_away_outcomes_are_kept_and_recorded_when_it_is_back(prefix: str) -> None:
    with running() as server:
        bench = Bench(server.url, prefix)
        many = held(bench, 100)
        async with desk(bench, claim_batch=10) as at:
            server.kill()
            for one in many:
                at.add(deliver(one))
            with pytest.raises(TimeoutError):
                await at.finish(1)
            assert at.done == []

            server.start()
            await until(lambda: len(at.done) == 100, "all outcomes recorded")

            assert at.recorder.counted == {"delivered": 100}
        assert bench.count(State.DELIVERED) == 100
        assert bench.snapshot().balanced
        bench.close()


async def test_a_redis_that_is_loading_or_read_only_is_waited_for(prefix: str) -> None:
    with running() as server:
        bench = Bench(server.url, prefix)
        (one,) = held(bench, 1)
        async with desk(bench) as at:
            # given a server that has become somebody's replica, as during a failover
            bench.ledger.client.replicaof("127.0.0.1", "1")
            at.add(deliver(one))
            with pytest.raises(TimeoutError):
                await at.finish(0.5)

            bench.ledger.client.replicaof("NO", "ONE")
            await until(lambda: bool(at.done), "the outcome recorded")
        assert bench.count(State.DELIVERED) == 1
        bench.close()


async def test_an_unknown_call_is_lost_and_nothing_more(bench: Bench) -> None:
    async with desk(bench) as at:
        await at.record(deliver(Held(CallId("never-seen"), LeaseToken(1))))

        assert at.recorder.counted == {"delivered": 0, "lost": 1}


async def test_when_the_one_that_records_for_all_breaks_off_the_next_one_takes_over(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "_LEAST_GATHER_SECONDS", 3600.0)
    monkeypatch.setattr(recording, "_MOST_GATHER_SECONDS", 3600.0)
    first, second, third = held(bench, 3)
    async with desk(bench, enough=3) as at:
        at.add(deliver(first), deliver(second))
        await until(at.recorder.turn.locked, "the first has the turn")
        at.break_off()

        await at.record(deliver(third))

        assert at.done == [first, second, third]
    assert bench.count(State.DELIVERED) == 3
