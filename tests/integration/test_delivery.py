"""One report's way through a worker, with a real server and a sandbox: claim, upload, settle, and what may go wrong."""

import asyncio
import hashlib
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import xxhash
from clocks import Clock
from delivering import TOKEN, Bench, drained_by, report, reports, until, worker_settings
from pydantic import SecretStr
from servers import Server, running

from roark_ledger.lifecycle import State
from roark_sandbox.options import SandboxOptions
from roark_sandbox.server import background
from roark_worker.delivery import Delivery
from roark_worker.flower.event_sender import EventSender
from roark_worker.flower.report_events import ReportEvent
from roark_worker.process.engine import Engine
from roark_worker.upload.roark import Roark, Token

LEASE_MS = 15_000


@dataclass(frozen=True)
class Upstream:
    """The sandbox, and what it has received so far."""

    url: str

    def behave(self, **change: Any) -> None:
        httpx.put(f"{self.url}/_sandbox/faults", json=change, trust_env=False).raise_for_status()

    def calls(self) -> dict[str, dict[str, Any]]:
        calls: dict[str, dict[str, Any]] = self._get("calls")["calls"]
        return calls

    def stats(self) -> dict[str, Any]:
        return self._get("stats")

    def _get(self, what: str) -> dict[str, Any]:
        found: dict[str, Any] = httpx.get(f"{self.url}/_sandbox/{what}", trust_env=False).json()
        return found


@pytest.fixture(scope="module")
def sandbox_url() -> Iterator[str]:
    with background(SandboxOptions(port=0, token=TOKEN)) as url:
        yield url


@pytest.fixture
def sandbox(sandbox_url: str) -> Upstream:
    """A sandbox that has received nothing and that nothing is wrong with."""
    upstream = Upstream(sandbox_url)
    upstream.behave(fail=[], scenario=None, latency_ms=0, jitter_ms=0)
    httpx.post(f"{sandbox_url}/_sandbox/reset", trust_env=False)
    return upstream


@pytest.fixture
def bench(valkey: Server, prefix: str) -> Iterator[Bench]:
    bench = Bench(valkey.url, prefix)
    yield bench
    bench.close()


@pytest.fixture
def timeless(valkey: Server, prefix: str, clock: Clock) -> Iterator[Bench]:
    """A bench whose ledger has the tests' clock."""
    bench = Bench(valkey.url, prefix, clock)
    yield bench
    bench.close()


def newer(packed: bytes) -> bytes:
    """As a version to come might pack it: whole, and with a mark that this one does not know."""
    whole = bytes([packed[0] | 1 << 4]) + packed[1:-8]
    return whole + xxhash.xxh3_64_digest(whole)


class Watcher:
    """Keeps the events of reports."""

    def __init__(self) -> None:
        self.seen: list[ReportEvent] = []

    def publish(self, events: Sequence[ReportEvent]) -> None:
        self.seen += events

    def close(self) -> None:
        pass


class Gate:
    """An upstream that answers when it is told to, and keeps what it was sent."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.requests: list[httpx.Request] = []
        self.cancelled = 0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        try:
            await self.opened.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return httpx.Response(200, json={"data": {"callId": f"roark-{len(self.requests)}"}})


def answer(status: int, **body: object) -> Callable[[httpx.Request], httpx.Response]:
    return lambda _request: httpx.Response(status, json=body)


class TestDrain:
    async def test_it_delivers_all_that_is_ready_byte_for_byte(self, bench: Bench, sandbox: Upstream) -> None:
        bodies = {f"call-{n}": report(f"call-{n}", "x" * n) for n in range(300)}
        bench.submit(bodies.values())

        async with bench.delivery(roark_base_url=sandbox.url) as delivery:
            summary = await delivery.drain()

        calls = sandbox.calls()
        assert summary.claimed == 300
        assert summary.counted == {"delivered": 300}
        assert summary.ended == "idle"
        assert not summary.more
        assert {call_id: call["sha256"] for call_id, call in calls.items()} == {
            call_id: [hashlib.sha256(body).hexdigest()] for call_id, body in bodies.items()
        }
        assert bench.count(State.DELIVERED) == 300
        assert bench.snapshot().balanced

    async def test_what_roark_calls_the_call_is_kept(self, bench: Bench, sandbox: Upstream) -> None:
        bench.submit([report("call-1")])

        async with bench.delivery(roark_base_url=sandbox.url) as delivery:
            await bench.settle_all(delivery)

        record = bench.look("call-1").record
        assert record
        assert record.note == sandbox.calls()["call-1"]["callId"]

    @pytest.mark.parametrize(("max_in_flight", "claim_batch"), [(1, 64), (7, 64), (20, 8), (64, 64)])
    async def test_no_more_uploads_are_in_flight_than_there_are_slots(
        self, bench: Bench, sandbox: Upstream, max_in_flight: int, claim_batch: int
    ) -> None:
        sandbox.behave(latency_ms=5)
        bench.submit(reports(3 * max_in_flight + 10))

        async with bench.delivery(
            roark_base_url=sandbox.url, max_in_flight=max_in_flight, claim_batch=claim_batch
        ) as delivery:
            await bench.settle_all(delivery)

        assert sandbox.stats()["in_flight_max"] <= max_in_flight
        assert bench.count(State.DELIVERED) == 3 * max_in_flight + 10

    async def test_all_slots_are_used_when_there_is_work_for_them(self, bench: Bench) -> None:
        gate = Gate()
        bench.submit(reports(50))

        async with bench.delivery(handler=gate, max_in_flight=20, claim_batch=8) as delivery:
            drain = asyncio.create_task(delivery.drain())
            await until(lambda: len(gate.requests) == 20, "twenty uploads")
            gate.opened.set()
            await bench.settle_all(delivery)
            await drain

        assert bench.count(State.DELIVERED) == 50

    async def test_a_last_free_slot_does_not_make_it_ask_all_the_time(self, bench: Bench) -> None:
        gate = Gate()
        bench.submit(reports(11))

        async with bench.delivery(handler=gate, max_in_flight=12, drain_seconds=0.5) as delivery:
            before = bench.commands_run()
            summary = await delivery.drain()
            asked = bench.commands_run() - before
            gate.opened.set()

        assert summary.in_flight == 11
        # Each 20 ms at most, and what is loaded, renewed and counted beside that.
        assert asked <= 0.5 / 0.02 + 8

    async def test_it_ends_with_its_time_budget_and_asks_for_another(self, bench: Bench) -> None:
        gate = Gate()
        bench.submit(reports(30))

        async with bench.delivery(handler=gate, max_in_flight=10, drain_seconds=0.1) as delivery:
            summary = await delivery.drain()
            assert summary.ended == "budget"
            assert summary.more
            assert summary.in_flight == 10

            # and the next one goes on with the same uploads
            gate.opened.set()
            await bench.settle_all(delivery)

        assert len(gate.requests) == 30

    async def test_it_goes_on_while_new_reports_come(self, bench: Bench, sandbox: Upstream) -> None:
        bench.submit([report("call-0")])

        async with bench.delivery(roark_base_url=sandbox.url) as delivery:
            drain = asyncio.create_task(delivery.drain())
            for n in range(1, 4):
                await until(lambda n=n: bench.count(State.DELIVERED) == n, f"{n} deliveries")  # type: ignore[misc]
                bench.submit([report(f"call-{n}")])
            await bench.settle_all(delivery)
            summary = await drain

        assert summary.claimed == 4

    async def test_what_it_did_is_said_in_one_line(self, bench: Bench) -> None:
        def handler(request: httpx.Request) -> httpx.Response:
            bad = b'"call-1"' in request.content
            return httpx.Response(422 if bad else 200, json={"message": "no"} if bad else {})

        bench.submit(reports(3))

        async with bench.delivery(handler=handler) as delivery:
            summary = await delivery.drain()

        assert summary.in_words().startswith("3 claimed: 1 buried, 2 delivered; ")
        assert summary.in_words().endswith(" s: nothing more is ready")


class TestOutcomes:
    async def test_a_passing_failure_waits_and_is_delivered_later(self, bench: Bench, sandbox: Upstream) -> None:
        sandbox.behave(fail=["503:0.5"])
        bench.submit(reports(40))

        async with bench.delivery(roark_base_url=sandbox.url, max_attempts=100) as delivery:
            await bench.settle_all(delivery)

        assert bench.count(State.DELIVERED) == 40
        stories = Counter(name for n in range(40) for name in bench.events(f"call-{n}"))
        assert stories["deferred"] == sandbox.stats()["by_status"]["503"]

    async def test_a_refused_report_is_a_dead_letter_with_roarks_reason(self, bench: Bench, sandbox: Upstream) -> None:
        sandbox.behave(fail=["422:calls=call-1:message=call has no assistant"])
        bench.submit(reports(3))

        async with bench.delivery(roark_base_url=sandbox.url) as delivery:
            await bench.settle_all(delivery)

        assert bench.count(State.DEAD) == 1
        assert bench.count(State.DELIVERED) == 2
        last = bench.look("call-1").history[-1]
        assert last.name == "buried"
        assert last.detail["status"] == 422
        assert last.detail["message"] == "call has no assistant"

    async def test_after_the_last_attempt_a_report_is_a_dead_letter(self, bench: Bench, sandbox: Upstream) -> None:
        sandbox.behave(fail=["reset:1"])
        bench.submit(reports(1))

        async with bench.delivery(roark_base_url=sandbox.url, max_attempts=3, quick_tries=0) as delivery:
            await bench.settle_all(delivery)

        assert bench.events("call-0") == ["deferred", "deferred", "buried"]
        record = bench.look("call-0").record
        assert record
        assert record.note == "exhausted"
        assert sandbox.calls()["call-0"]["received"] == 3

    async def test_a_stored_report_that_is_damaged_is_a_dead_letter_and_holds_up_nobody(
        self, bench: Bench, sandbox: Upstream
    ) -> None:
        bench.submit(reports(3))
        bench.ledger.client.hset(bench.ledger.calls.keys.payloads, "call-1", b"\0\0\0\0no zstd")

        async with bench.delivery(roark_base_url=sandbox.url) as delivery:
            await bench.settle_all(delivery)

        assert bench.count(State.DELIVERED) == 2
        record = bench.look("call-1").record
        assert record
        assert (record.state, record.note) == (State.DEAD, "damaged")

    async def test_a_report_for_which_there_is_no_memory_is_told_and_the_others_go_on(
        self, bench: Bench, sandbox: Upstream, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("roark_worker.journey.room_bytes", lambda _processes: 50_000)
        bench.submit([*reports(3), report("call-large", "x" * 30_000)])

        async with bench.delivery(roark_base_url=sandbox.url) as delivery:
            await bench.settle_all(delivery)

        assert bench.count(State.DELIVERED) == 3
        entry = bench.look("call-large")
        assert entry.record
        assert (entry.record.state, entry.record.note) == (State.DEAD, "too_large_here")
        assert "call-large" not in sandbox.calls()

    async def test_what_does_not_fit_at_once_goes_one_after_the_other(
        self, bench: Bench, sandbox: Upstream, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("roark_worker.journey.room_bytes", lambda _processes: 70_000)
        bench.submit([report(f"call-{number}", "x" * 30_000) for number in range(5)])

        async with bench.delivery(roark_base_url=sandbox.url) as delivery:
            await bench.settle_all(delivery)

        assert bench.count(State.DELIVERED) == 5

    async def test_a_report_that_a_newer_version_packed_waits_for_it_however_often_it_is_tried(
        self, timeless: Bench, sandbox: Upstream, clock: Clock
    ) -> None:
        timeless.submit(reports(3))
        payloads, key = timeless.ledger.client, timeless.ledger.calls.keys.payloads
        ours = payloads.hget(key, "call-1")
        payloads.hset(key, "call-1", newer(ours))

        def waits() -> bool:
            record = timeless.look("call-1").record
            return record is not None and (record.state, record.note) == (State.WAITING, "newer_version")

        async with timeless.delivery(roark_base_url=sandbox.url, max_attempts=2) as delivery, drained_by(delivery):
            await until(lambda: waits() and timeless.count(State.DELIVERED) == 2, "the others are delivered")
            for _ in range(4):
                clock.advance(48 * 3_600_000)
                assert timeless.promote() == 1
                await until(waits, "it waits again")
            record = timeless.look("call-1").record
            assert record
            assert record.attempts == 0
            assert timeless.events("call-1") == ["deferred"]

            payloads.hset(key, "call-1", ours)
            clock.advance(48 * 3_600_000)
            timeless.promote()
            await until(lambda: timeless.count(State.DELIVERED) == 3, "the newer version has come back")

    async def test_an_upload_that_crashes_lets_its_lease_run_out_and_another_attempt_follows(
        self, timeless: Bench, clock: Clock
    ) -> None:
        # given a fault of ours in the first upload that ends, and another upload that goes on
        gate = Gate()

        async def handler(request: httpx.Request) -> httpx.Response:
            return await gate(request) if b'"call-1"' in request.content else httpx.Response(200, json={})

        draws = iter([None, 0.5, 0.5])

        def chance() -> float:
            if (drawn := next(draws)) is None:
                raise RuntimeError("a fault of ours")
            return drawn

        timeless.submit(reports(2))

        async with timeless.delivery(handler=handler, chance=chance, lease_seconds=1) as delivery:
            drain = asyncio.create_task(delivery.drain())
            await until(lambda: gate.requests, "the other upload")

            # when the leases are prolonged, and then the time of the first ones is over
            clock.advance(500)
            before = timeless.look("call-1").score_ms
            await until(lambda: timeless.look("call-1").score_ms > before, "a prolonged lease")
            clock.advance(900)
            assert timeless.reap() == 1

            # then the report whose upload crashed is delivered after all
            gate.opened.set()
            await timeless.settle_all(delivery)
            await drain

        assert timeless.count(State.DELIVERED) == 2
        assert timeless.events("call-0") == ["reclaimed", "delivered"]
        assert timeless.snapshot().balanced


class TestNewerReports:
    async def test_one_that_came_during_the_upload_follows_and_must_not_be_skipped(self, bench: Bench) -> None:
        older, newer = report("call-1", "preliminary"), report("call-1", "full")
        sent: list[bytes] = []

        def handler(request: httpx.Request) -> httpx.Response:
            sent.append(request.content)
            if len(sent) == 1:
                assert bench.submit([newer]) == ["replaced"]
            return httpx.Response(200, json={})

        bench.submit([older])
        async with bench.delivery(handler=handler) as delivery:
            await bench.settle_all(delivery)

        assert sent == [
            b'{"vapiEndOfCallReportPayload":%b,"skipAlreadyImported":true}' % older,
            b'{"vapiEndOfCallReportPayload":%b,"skipAlreadyImported":false}' % newer,
        ]

    async def test_one_that_came_during_an_upload_that_failed_is_the_first_that_roark_gets(self, bench: Bench) -> None:
        older, newer = report("call-1", "preliminary"), report("call-1", "full")
        sent: list[bytes] = []

        def handler(request: httpx.Request) -> httpx.Response:
            sent.append(request.content)
            if len(sent) == 1:
                bench.submit([newer])
                return httpx.Response(422, json={})
            return httpx.Response(200, json={})

        bench.submit([older])
        async with bench.delivery(handler=handler) as delivery:
            await bench.settle_all(delivery)

        assert sent[1] == b'{"vapiEndOfCallReportPayload":%b,"skipAlreadyImported":true}' % newer
        assert bench.count(State.DELIVERED) == 1

    async def test_a_revision_is_uploaded_where_that_is_wanted_and_must_not_be_skipped(
        self, bench: Bench, sandbox: Upstream
    ) -> None:
        bench.submit([report("call-1", "first")])
        async with bench.delivery(roark_base_url=sandbox.url) as delivery:
            drain = asyncio.create_task(delivery.drain())
            await until(lambda: bench.count(State.DELIVERED), "the delivery")
            assert bench.submit([report("call-1", "second")], revisions="upload") == ["revision"]
            await bench.settle_all(delivery)
            await drain

        call = sandbox.calls()["call-1"]
        assert (call["imported"], call["skipped"]) == (2, 0)
        assert call["sha256"][-1] == hashlib.sha256(report("call-1", "second")).hexdigest()


class TestLease:
    async def test_an_outcome_is_not_recorded_over_a_new_holder(self, timeless: Bench, clock: Clock) -> None:
        gate = Gate()
        timeless.submit(reports(1))

        async with timeless.delivery(handler=gate) as delivery:
            drain = asyncio.create_task(delivery.drain())
            await until(lambda: gate.requests, "the upload")

            # when the lease runs out, another worker has the report, and then the answer comes
            clock.advance(LEASE_MS + 1)
            assert timeless.reap() == 1
            other = timeless.claim().reports[0]
            gate.opened.set()
            summary = await drain

        # then nothing is recorded about it
        record = timeless.look("call-0").record
        assert summary.counted == {"lost": 1}
        assert record
        assert (record.state, record.token, record.attempts) == (State.UPLOADING, other.token, 0)
        assert timeless.events("call-0") == ["reclaimed"]

    async def test_an_upload_whose_lease_was_lost_is_given_up(self, timeless: Bench, clock: Clock) -> None:
        gate = Gate()
        timeless.submit(reports(1))

        async with timeless.delivery(handler=gate, lease_seconds=1) as delivery:
            drain = asyncio.create_task(delivery.drain())
            await until(lambda: gate.requests, "the upload")
            clock.advance(1001)
            timeless.reap()
            other = timeless.claim().reports[0]

            # then the next renewal tells, and there is nothing more to wait for
            await until(lambda: bool(gate.cancelled), "the end of the upload")
            delivery.begin_stop()
            await drain

        record = timeless.look("call-0").record
        assert record
        assert (record.state, record.token) == (State.UPLOADING, other.token)

    async def test_an_upload_that_takes_longer_than_its_lease_keeps_it(self, bench: Bench, sandbox: Upstream) -> None:
        sandbox.behave(latency_ms=1700)
        bench.submit(reports(5))
        watcher = Watcher()
        events = EventSender(lambda: watcher, successes_per_second=100)

        async with bench.delivery(roark_base_url=sandbox.url, lease_seconds=1, events=events) as delivery:
            drain = asyncio.create_task(delivery.drain())
            await until(lambda: bench.reap() or not bench.is_unsettled(), "the deliveries")
            delivery.begin_stop()
            await drain

        assert bench.count(State.DELIVERED) == 5
        assert bench.snapshot().total("leases_expired") == 0
        assert all(call["received"] == 1 for call in sandbox.calls().values())
        # and whoever watches has seen that it takes long
        events.send_all()
        assert Counter(event.type for event in watcher.seen) == {
            "task-started": 5,
            "task-received": 5,
            "task-succeeded": 5,
        }


class TestHold:
    async def test_a_wrong_token_holds_the_lane_and_a_mended_one_resumes_it(
        self, bench: Bench, sandbox: Upstream, tmp_path: Path
    ) -> None:
        file = tmp_path / "token"
        file.write_text("wrong")
        bench.submit(reports(30))

        async with bench.delivery(roark_base_url=sandbox.url, token=Token(SecretStr("wrong"), file)) as delivery:
            summary = await delivery.drain()

            # then nothing is lost, nothing is counted, and the reason is there for people
            lane = bench.snapshot().lane
            assert summary.ended == "held"
            assert (lane.state, lane.by, lane.reason) == ("held", "roark", "http_401 Missing or invalid bearer token")
            assert bench.count(State.WAITING) == 30
            assert all(bench.events(f"call-{n}") == ["refused"] for n in range(30))

            # when the token is mended, a probe finds out and the lane opens by itself
            file.write_text(TOKEN)
            await bench.settle_all(delivery)

        assert bench.snapshot().lane.state == "open"
        assert bench.count(State.DELIVERED) == 30
        assert bench.count(State.DEAD) == 0

    async def test_while_the_lane_is_held_one_report_at_a_time_finds_out(self, bench: Bench) -> None:
        at_once: list[int] = []
        now = 0

        async def out_of_credits(_request: httpx.Request) -> httpx.Response:
            nonlocal now
            now += 1
            at_once.append(now)
            await asyncio.sleep(0.02)
            now -= 1
            return httpx.Response(402, json={"message": "Out of credits"})

        bench.submit(reports(20))
        async with (
            bench.delivery(handler=out_of_credits, probe_max_seconds=0.05) as delivery,
            drained_by(delivery),
        ):
            await until(lambda: bench.snapshot().lane.state == "held", "the lane is held")
            bench.submit([report(f"later-{number}") for number in range(3)])
            await until(lambda: len(at_once) >= 20 + 3, "the first refusals and three probes")

            await until(lambda: bench.count(State.WAITING) == 23, "all are recorded")

        assert at_once[:20] == list(range(1, 21))
        assert set(at_once[20:]) == {1}
        assert bench.snapshot().total("holds") == 1


class TestStop:
    async def test_uploads_that_end_in_time_are_recorded_and_nothing_more_is_claimed(self, bench: Bench) -> None:
        gate = Gate()
        bench.submit(reports(30))

        async with bench.delivery(handler=gate, max_in_flight=10) as delivery:
            drain = asyncio.create_task(delivery.drain())
            await until(lambda: len(gate.requests) == 10, "ten uploads")
            stop = asyncio.create_task(delivery.stop(20))
            summary = await drain
            gate.opened.set()
            await stop

        assert summary.ended == "stopping"
        assert len(gate.requests) == 10
        assert bench.count(State.DELIVERED) == 10
        assert bench.count(State.READY) == 20
        assert bench.count(State.UPLOADING) == 0

    async def test_uploads_that_do_not_end_are_given_back_without_an_attempt(self, bench: Bench) -> None:
        gate = Gate()
        bench.submit(reports(30))

        async with bench.delivery(handler=gate, max_in_flight=10) as delivery:
            drain = asyncio.create_task(delivery.drain())
            await until(lambda: len(gate.requests) == 10, "ten uploads")
            await delivery.stop(0.05)
            await drain

        assert bench.count(State.READY) == 30
        assert bench.count(State.UPLOADING) == 0
        assert {report.attempts for report in bench.claim(30).reports} == {0}

    async def test_what_roark_has_taken_is_recorded_and_not_given_back_when_the_time_is_up(self, bench: Bench) -> None:
        gate = Gate()

        async def handler(request: httpx.Request) -> httpx.Response:
            return httpx.Response(200, json={}) if b'"call-0"' in request.content else await gate(request)

        bench.submit(reports(2))
        # given a report whose outcome still waits for others when the worker stops
        async with bench.delivery(handler=handler, upload_seconds=60) as delivery:
            drain = asyncio.create_task(delivery.drain())
            await until(lambda: gate.requests, "the other upload")
            await delivery.stop(0)
            await drain

        assert bench.count(State.DELIVERED) == 1
        assert bench.count(State.READY) == 1

    async def test_reports_that_a_late_claim_brings_are_not_left_under_a_lease(
        self, bench: Bench, sandbox: Upstream
    ) -> None:
        server = bench.ledger.client

        def claim_is_under_way() -> bool:
            return any(client["cmd"] == "evalsha" and "b" in client["flags"] for client in server.client_list())

        async with bench.delivery(roark_base_url=sandbox.url) as delivery:
            # given a claim that the server is slow to answer
            await delivery.drain()
            bench.submit(reports(10))
            server.execute_command("CLIENT", "PAUSE", 500, "WRITE")  # type: ignore[no-untyped-call] # redis-py's own
            drain = asyncio.create_task(delivery.drain())
            await until(claim_is_under_way, "a claim that waits")

            # when the worker stops before the answer comes
            await delivery.stop(0)
            await drain

        assert bench.count(State.UPLOADING) == 0
        assert bench.count(State.READY) + bench.count(State.DELIVERED) == 10


class TestRedisAway:
    @asynccontextmanager
    async def midway(self, server: Server, sandbox: Upstream, prefix: str, **values: Any) -> AsyncIterator[Bench]:
        """A drain whose server is killed in the middle, and gets started again by the test."""
        sandbox.behave(latency_ms=50)
        bench = Bench(server.url, prefix)
        bench.submit(reports(200))
        async with (
            bench.delivery(roark_base_url=sandbox.url, max_in_flight=20, **values) as delivery,
            drained_by(delivery),
        ):
            await until(lambda: len(sandbox.calls()) >= 40, "forty uploads")
            server.kill()
            yield bench
            await until(lambda: not bench.is_unsettled(), "everything is settled")
        bench.close()

    async def test_outcomes_wait_for_it_and_nothing_is_lost_or_uploaded_twice(
        self, sandbox: Upstream, prefix: str
    ) -> None:
        with running() as server:
            async with self.midway(server, sandbox, prefix) as bench:
                away = sandbox.stats()["requests"]
                await asyncio.sleep(1.5)
                # then uploads that were in flight have ended, and no others have begun
                assert sandbox.stats()["in_flight"] == 0
                assert sandbox.stats()["requests"] <= away + 20
                server.start()
            assert bench.count(State.DELIVERED) == 200
            assert bench.snapshot().balanced

        calls = sandbox.calls()
        assert len(calls) == 200
        assert all(call["received"] == 1 for call in calls.values())

    async def test_a_drain_without_redis_ends_with_its_budget_and_says_so(self, prefix: str) -> None:
        with running() as server:
            bench = Bench(server.url, prefix)
            async with bench.delivery(handler=answer(200), drain_seconds=0.2) as delivery:
                server.kill()
                summary = await delivery.drain()
                server.start()
            bench.close()

        assert summary.ended == "redis"
        assert not summary.more


class TestEngine:
    """The loop's thread, as Celery's threads use it."""

    @pytest.fixture
    def engine(self, bench: Bench, sandbox: Upstream) -> Iterator[Engine]:
        settings = worker_settings(roark_base_url=sandbox.url, max_in_flight=10)

        def make() -> Delivery:
            return Delivery(bench.async_ledger(), Roark(settings, Token(SecretStr(TOKEN))), settings)

        engine = Engine(make)
        yield engine
        engine.stop(0)

    def test_a_drain_runs_to_its_end_and_returns_what_it_did(self, bench: Bench, engine: Engine) -> None:
        bench.submit(reports(20))

        summary = engine.drain()

        assert summary
        assert summary.counted == {"delivered": 20}

    def test_its_clock_counts_what_is_shorter_than_a_millisecond(self, bench: Bench) -> None:
        times: list[float] = []

        def make() -> Delivery:
            loop = asyncio.get_running_loop()
            times.extend((time.monotonic(), loop.time(), time.monotonic()))
            settings = worker_settings()
            return Delivery(bench.async_ledger(), Roark(settings, Token(SecretStr(TOKEN))), settings)

        engine = Engine(make)
        engine.drain()
        engine.stop(0)

        assert times == sorted(times)

    def test_of_two_drains_at_once_the_second_returns_at_once(
        self, bench: Bench, engine: Engine, sandbox: Upstream
    ) -> None:
        sandbox.behave(latency_ms=200)
        bench.submit(reports(1))
        first = threading.Thread(target=engine.drain, daemon=True)
        first.start()
        wait_for(lambda: bench.count(State.UPLOADING))

        assert engine.is_draining
        assert engine.drain() is None

        first.join()

    def test_a_drain_under_sigterm_ends_its_uploads_and_gives_back_the_rest(
        self, bench: Bench, engine: Engine, sandbox: Upstream
    ) -> None:
        sandbox.behave(latency_ms=200)
        bench.submit(reports(50))
        ended: list[str] = []
        drain = threading.Thread(target=lambda: ended.append(getattr(engine.drain(), "ended", "")), daemon=True)
        drain.start()
        wait_for(lambda: sandbox.stats()["in_flight"] == 10)

        # when the signal's handler and then the worker's last step do their part
        engine.begin_stop()
        drain.join()
        engine.stop(20)

        assert ended == ["stopping"]
        assert bench.count(State.UPLOADING) == 0
        assert bench.count(State.DELIVERED) + bench.count(State.READY) == 50
        assert all(call["received"] == 1 for call in sandbox.calls().values())

    def test_no_drain_begins_after_the_stop_and_none_hangs(self, bench: Bench, engine: Engine) -> None:
        bench.submit(reports(1))
        engine.drain()

        engine.begin_stop()
        assert engine.drain() is None
        engine.stop(1)
        assert engine.drain() is None

    def test_drains_and_a_stop_from_many_threads_all_return(self, bench: Bench, engine: Engine) -> None:
        bench.submit(reports(200))
        drains = [threading.Thread(target=engine.drain, daemon=True) for _ in range(20)]
        for drain in drains:
            drain.start()

        engine.stop(10)
        for drain in drains:
            drain.join(timeout=20)

        assert not any(drain.is_alive() for drain in drains)
        assert bench.count(State.UPLOADING) == 0
        assert bench.snapshot().balanced

    def test_an_engine_that_never_drained_stops_at_once(self, engine: Engine) -> None:
        engine.stop(10)
        assert engine.drain() is None


def wait_for(condition: Callable[[], object]) -> None:
    pause = threading.Event()
    for _ in range(3000):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("it never came")
