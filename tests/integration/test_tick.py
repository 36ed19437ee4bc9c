"""What every worker does each second, so that nothing waits for a message that was lost."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from clocks import Clock
from delivering import Bench, reports, worker_settings
from servers import Server, running

from roark_ledger.lifecycle import State
from roark_ledger.moves import delivery, desk
from roark_ledger.moves import replay as replay_jobs
from roark_ledger.moves import watch as watch_moves
from roark_ledger.moves.delivery import Bury, Defer, Deliver, Held
from roark_ledger.records.replays import JobNumber, Plan
from roark_producer.wake_ups import WakeUps
from roark_worker.upkeep.tick import Tick

DAY_MS = 86_400_000


class Watch:
    """A tick, and what it has asked for."""

    def __init__(self, bench: Bench, settings: dict[str, Any]) -> None:
        self.draining = False
        self.woken = 0
        self.given_up = 0
        self.unasked = 0
        self.heard = 0
        self.poisoned: list[str] = []
        self.problems: list[Exception] = []
        self.tick = Tick(
            bench.ledger,
            worker_settings(**settings),
            wake=self.wake,
            is_draining=lambda: self.draining,
            give_up=self.give_up,
            drain_unasked=self.drain,
            wake_ups_heard=lambda: self.heard,
            tell_poisoned=self.poisoned.extend,
        )

    def drain(self) -> None:
        self.unasked += 1

    def give_up(self) -> None:
        self.given_up += 1

    def wake(self) -> bool:
        self.woken += 1
        if self.problems:
            raise self.problems.pop()
        return True


def watch(bench: Bench, **values: Any) -> Watch:
    return Watch(bench, values)


@pytest.fixture
def bench(valkey: Server, prefix: str, clock: Clock) -> Iterator[Bench]:
    bench = Bench(valkey.url, prefix, clock)
    yield bench
    bench.close()


def claimed(bench: Bench, number: int, lease_ms: int = 15_000) -> list[Held]:
    return [Held(one.call_id, one.token) for one in bench.claim(number, lease_ms).reports]


class TestOnce:
    def test_what_is_due_becomes_ready(self, bench: Bench, clock: Clock) -> None:
        bench.submit(reports(3))
        waits = [Defer(one, 1000 * (n + 1), "http_503", b"{}") for n, one in enumerate(claimed(bench, 3))]
        bench.ledger.run(delivery.defer(waits))
        watched = watch(bench)

        clock.advance(2000)
        watched.tick.once()

        assert bench.count(State.READY) == 2
        assert bench.count(State.WAITING) == 1

    def test_more_than_one_page_that_is_due_becomes_ready_in_one_tick(self, bench: Bench, clock: Clock) -> None:
        bench.submit(reports(1200))
        bench.ledger.run(delivery.defer([Defer(one, 1, "http_503", b"{}") for one in claimed(bench, 1200)]))
        watched = watch(bench)

        clock.advance(1)
        watched.tick.once()

        assert bench.count(State.READY) == 1200

    def test_what_a_dead_worker_held_comes_back(
        self, bench: Bench, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        bench.submit(reports(2))
        claimed(bench, 2)
        watched = watch(bench)

        clock.advance(15_000)
        watched.tick.once()

        assert bench.count(State.READY) == 2
        assert fields_of(caplog, "leases_expired") == [{"back": 2, "poison": 0}]

    def test_what_outlives_too_many_workers_is_poison(self, bench: Bench, clock: Clock) -> None:
        bench.submit(reports(1))
        watched = watch(bench, max_deaths=3)

        for _ in range(3):
            assert claimed(bench, 1)
            clock.advance(15_000)
            watched.tick.once()

        assert bench.count(State.DEAD) == 1
        assert watched.poisoned == ["call-0"]

    def test_old_deliveries_are_forgotten(self, bench: Bench, clock: Clock) -> None:
        bench.submit(reports(1))
        done = [Deliver(one, "roark-1", b"{}") for one in claimed(bench, 1)]
        bench.ledger.run(delivery.deliver(done, keep_payloads=False))
        watched = watch(bench, remember_days=1)

        clock.advance(DAY_MS)
        watched.tick.once()

        assert bench.ledger.run(watch_moves.look("call-0")) is None
        assert bench.snapshot().total("forgotten") == 1


class TestWaking:
    def test_ready_reports_that_nobody_claims_are_woken_for(self, bench: Bench) -> None:
        bench.submit(reports(1))
        watched = watch(bench)

        watched.tick.once()

        assert watched.woken == 1

    def test_nobody_is_woken_when_nothing_is_ready(self, bench: Bench) -> None:
        watched = watch(bench)

        watched.tick.once()

        assert watched.woken == 0

    def test_nobody_is_woken_soon_after_a_claim(self, bench: Bench, clock: Clock) -> None:
        bench.submit(reports(5))
        claimed(bench, 1)
        watched = watch(bench)

        clock.advance(999)
        watched.tick.once()
        assert watched.woken == 0

        clock.advance(1)
        watched.tick.once()
        assert watched.woken == 1

    def test_nobody_is_woken_while_the_lane_is_held_by_hand(self, bench: Bench, clock: Clock) -> None:
        bench.submit(reports(1))
        bench.ledger.run(delivery.hold(by="ops", reason="maintenance"))
        watched = watch(bench)

        clock.advance(DAY_MS)
        watched.tick.once()

        assert watched.woken == 0

    def test_somebody_is_woken_when_it_is_time_for_a_probe(self, bench: Bench, clock: Clock) -> None:
        bench.submit(reports(1))
        bench.ledger.run(delivery.hold(by="roark", reason="http_401", gap_ms=5000, longest_gap_ms=9000))
        watched = watch(bench)

        watched.tick.once()
        assert watched.woken == 0

        clock.advance(5000)
        watched.tick.once()
        assert watched.woken == 1

    def test_a_broker_that_is_away_holds_up_no_tick(self, bench: Bench, tmp_path: Any) -> None:
        assert WakeUps(f"unix://{tmp_path}/no.sock").publish() is False


class TestStall:
    """A worker that is woken and brings no drain, although reports are ready, has lost its consumer."""

    def test_it_gives_up_after_a_while(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
        bench.submit(reports(1))
        watched = watch(bench, stall_seconds=0.05)

        watched.tick.once()
        assert watched.given_up == 0
        while not watched.given_up:
            watched.tick.once()

        assert len(fields_of(caplog, "stalled")) == 1

    def test_it_does_not_give_up_while_it_drains(self, bench: Bench) -> None:
        bench.submit(reports(1))
        watched = watch(bench, stall_seconds=0.001)
        watched.draining = True

        for _ in range(20):
            watched.tick.once()
            threading.Event().wait(0.002)

        assert watched.given_up == 0

    def test_it_does_not_give_up_when_another_worker_claims(self, bench: Bench) -> None:
        bench.submit(reports(50))
        watched = watch(bench, stall_seconds=0.001)

        for _ in range(20):
            claimed(bench, 1)
            watched.tick.once()
            threading.Event().wait(0.002)

        assert watched.given_up == 0


class TestWithoutWakeUps:
    """The broker is away, or Celery has not noticed yet that it is back."""

    def test_a_worker_that_gets_no_wake_up_drains_all_the_same(self, bench: Bench) -> None:
        bench.submit(reports(1))
        watched = watch(bench)

        watched.tick.once()
        assert watched.unasked == 0
        began = time.monotonic()
        while not watched.unasked:
            watched.tick.once()
            threading.Event().wait(0.01)

        assert 1 < time.monotonic() - began < 5
        assert watched.given_up == 0

    def test_a_worker_whose_broker_hangs_does_not_wait_for_it(self, bench: Bench) -> None:
        bench.submit(reports(1))
        watched = watch(bench)
        watched.tick._stalled_since = time.monotonic() - 3
        watched.problems = [RuntimeError("the broker hangs")]

        with pytest.raises(RuntimeError):
            watched.tick.once()

        wait_for(lambda: watched.unasked == 1)

    def test_wake_ups_that_come_while_it_drains_show_that_celery_lives(self, bench: Bench) -> None:
        bench.submit(reports(1))
        watched = watch(bench, stall_seconds=0.01)
        watched.tick.once()

        for _ in range(5):
            threading.Event().wait(0.02)
            watched.heard += 1
            watched.tick.once()

        assert (watched.unasked, watched.given_up) == (0, 0)


class TestThread:
    def test_it_ticks_until_it_is_stopped(self, bench: Bench) -> None:
        bench.submit(reports(1))
        watched = watch(bench, tick_seconds=0.01)

        watched.tick.start()
        wait_for(lambda: watched.woken >= 3)
        watched.tick.stop()
        woken = watched.woken
        threading.Event().wait(0.1)

        assert watched.woken == woken

    @pytest.mark.parametrize("problem", [RuntimeError("odd"), OSError(24, "Too many open files"), KeyError("x")])
    def test_whatever_goes_wrong_in_one_tick_there_is_a_next_one(
        self, bench: Bench, problem: Exception, caplog: pytest.LogCaptureFixture
    ) -> None:
        bench.submit(reports(1))
        watched = watch(bench, tick_seconds=0.01)
        watched.problems = [problem]

        watched.tick.start()
        wait_for(lambda: watched.woken >= 3)
        watched.tick.stop()

        assert fields_of(caplog, "tick_failed") == [{"error": type(problem).__name__}]

    def test_a_redis_that_goes_and_comes_is_told_once_each(self, prefix: str, caplog: pytest.LogCaptureFixture) -> None:
        with running() as server:
            bench = Bench(server.url, prefix)
            bench.submit(reports(1))
            watched = watch(bench, tick_seconds=0.01)
            watched.tick.start()
            wait_for(lambda: watched.woken)

            server.kill()
            wait_for(lambda: fields_of(caplog, "redis_away"))
            server.start()
            woken = watched.woken
            wait_for(lambda: watched.woken > woken)

            watched.tick.stop()
            bench.close()
        assert len(fields_of(caplog, "redis_away")) == 1
        assert len(fields_of(caplog, "redis_back")) == 1

    def test_after_an_outage_living_workers_get_the_time_of_a_lease_to_prolong_theirs(self, prefix: str) -> None:
        with running() as server:
            bench = Bench(server.url, prefix)
            bench.submit(reports(2))
            dead, alive = claimed(bench, 2, lease_ms=300)
            watched = watch(bench, tick_seconds=0.01, lease_seconds=2)
            watched.tick.start()

            # given an outage that is longer than the leases
            server.kill()
            threading.Event().wait(0.5)
            server.start()

            # when the worker that lives prolongs its lease late
            threading.Event().wait(0.1)
            assert bench.ledger.run(delivery.renew([alive], lease_ms=60_000)) == [True]

            # then only the other one's report comes back, a little later
            wait_for(lambda: bench.count(State.READY) == 1)
            watched.tick.stop()
            assert bench.ledger.run(delivery.renew([dead, alive], lease_ms=60_000)) == [False, True]
            bench.close()


def fields_of(caplog: pytest.LogCaptureFixture, action: str) -> list[dict[str, Any]]:
    found = [record for record in caplog.records if record.getMessage() == action]
    assert all(record.levelno >= logging.WARNING for record in found)
    return [record.__dict__["fields"] for record in found]


def wait_for(condition: Callable[[], object]) -> None:
    pause = threading.Event()
    for _ in range(3000):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("it never came")


class TestReplayJobs:
    def job(self, bench: Bench, number: int, plan: Plan) -> JobNumber:
        """Start a job of so many dead letters."""
        bench.submit(reports(number))
        bench.ledger.run(delivery.bury([Bury(one, "http_422", b"{}") for one in claimed(bench, number)]))
        letters = bench.ledger.run(desk.page(most=number)).letters
        job = bench.ledger.run(replay_jobs.open_job(most_open=1))
        assert job
        bench.ledger.run(replay_jobs.select(job, [(letter.call_id, letter.since_ms) for letter in letters]))
        assert bench.ledger.run(replay_jobs.start(job, plan, delay_ms=0, who=b"{}", spec=b"{}"))
        return job

    def test_a_tick_sends_some_and_wakes_a_worker(self, bench: Bench) -> None:
        job = self.job(bench, 1000, Plan(ramp=()))
        watched = watch(bench)

        watched.tick.once()

        assert bench.snapshot().queues["replay"] == 500
        assert watched.woken == 1
        watched.tick.once()
        found = bench.ledger.run(replay_jobs.job(job))
        assert found
        assert (found.sent, found.unsent) == (500, 500)

    def test_a_job_that_stops_by_itself_is_told_in_the_log(
        self, bench: Bench, caplog: pytest.LogCaptureFixture
    ) -> None:
        job = self.job(bench, 3, Plan())
        watched = watch(bench)
        watched.tick.once()
        bench.ledger.run(delivery.bury([Bury(one, "http_422", b"{}") for one in claimed(bench, 1)]))

        with caplog.at_level(logging.ERROR):
            watched.tick.once()

        found = bench.ledger.run(replay_jobs.job(job))
        assert found
        assert found.state == "paused"
        (told,) = fields_of(caplog, "replay_stopped")
        assert (told["job"], told["why"][:12]) == (job, "1 of 1 faile")

    def test_ended_jobs_are_removed_when_a_setting_says_so(self, bench: Bench, clock: Clock) -> None:
        job = self.job(bench, 1, Plan())
        watched = watch(bench, replay_keep_days=2)
        watched.tick.once()
        bench.ledger.run(
            delivery.deliver([Deliver(one, "roark-1", b"{}") for one in claimed(bench, 1)], keep_payloads=False)
        )
        watched.tick.once()
        clock.advance(2 * DAY_MS - 1)
        watched.tick.once()
        assert bench.ledger.run(replay_jobs.job(job))

        clock.advance(1)
        watched.tick.once()

        assert bench.ledger.run(replay_jobs.job(job)) is None
