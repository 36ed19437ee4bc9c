"""Comparing with Vapi's list of calls: the ledger knows some, and the rest is told, or brought in."""

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import httpx
import pytest
from call_objects import SECRET, call_object
from pydantic import SecretStr
from servers import Server

from roark_ledger.ledger import Ledger
from roark_ledger.moves import delivery, desk, intake, watch
from roark_ledger.packing import unpack
from roark_ledger.server.connection import connect
from roark_producer.settings import IngestSettings
from roark_producer.taking import Intake
from roark_producer.vapi.report import read_message
from roark_sandbox.options import SandboxOptions
from roark_sandbox.server import background
from roark_worker.calls.reconcile import Comparer, Comparison, windows
from roark_worker.calls.reconciling import Reconciler
from roark_worker.calls.rules import Bucket, ReconcileRules, Stretch, StretchKind
from roark_worker.calls.vapi import Vapi, VapiFailed
from roark_worker.calls.vapi_settings import VapiSettings
from roark_worker.settings import WorkerSettings

NOW = datetime.now(UTC).replace(microsecond=0)
NOW_MS = round(NOW.timestamp() * 1000)
DAY_MS = 86_400_000
RULES = ReconcileRules(settle_ms=15 * 60_000, back_ms=14 * DAY_MS)


def at(minutes_ago: float) -> str:
    return (NOW - timedelta(minutes=minutes_ago)).isoformat().replace("+00:00", "Z")


def call(call_id: str, minutes_ago: float = 60, *, lasts: float = 2, **changes: Any) -> dict[str, Any]:
    ended = at(minutes_ago - lasts)
    return call_object(
        call_id, createdAt=at(minutes_ago), startedAt=at(minutes_ago), endedAt=ended, updatedAt=ended
    ) | {name: value for name, value in changes.items() if value is not None}


@dataclass
class Bench:
    """A sandbox's Vapi, and a ledger to compare it with."""

    url: str
    http: httpx.Client
    ledger: Ledger
    server: Server
    prefix: str

    def put(self, *things: dict[str, Any]) -> None:
        self.http.put("/_sandbox/vapi/calls", json=things).raise_for_status()

    def asked(self) -> int:
        return int(self.http.get("/_sandbox/vapi").json()["requests"])

    def accept(self, *call_ids: str) -> None:
        reports = []
        for call_id in call_ids:
            body = json.dumps({"type": "end-of-call-report", "call": {"id": call_id}}).encode()
            prepared = Intake(IngestSettings()).prepare(body)
            assert isinstance(prepared, intake.Acceptable)
            reports.append(prepared)
        self.ledger.run(intake.accept(reports, revisions="record", per_wakeup=64))

    def settings(self, **more: Any) -> VapiSettings:
        return VapiSettings(vapi_api_key=SecretStr("key"), vapi_base_url=self.url, **more)

    def vapi(self, settings: VapiSettings | None = None, **more: Any) -> Vapi:
        return Vapi(settings or self.settings(), **{"gap_seconds": 0, **more})

    def compare(self, *, backfill: bool = False, rules: ReconcileRules = RULES, days: int = 1) -> Comparison:
        found = Comparison(NOW_MS - days * DAY_MS, NOW_MS)
        with self.vapi() as vapi:
            comparer = Comparer(
                self.ledger, vapi, rules, Intake(IngestSettings()), backfill=backfill, now=NOW.timestamp
            )
            comparer.compare(Stretch(StretchKind.NEW, found.since_ms, found.until_ms), found)
        return found

    def worker(self, *, now: Callable[[], float] = NOW.timestamp, **more: Any) -> Reconciler:
        ingest = IngestSettings(durability="memory", prefix=self.prefix)
        return Reconciler(self.ledger, self.settings(**more), ingest, WorkerSettings(), make_vapi=self.vapi, now=now)


@pytest.fixture
def bench(valkey: Server, prefix: str) -> Iterator[Bench]:
    with (
        background(SandboxOptions(port=0, vapi_key="key")) as url,
        httpx.Client(base_url=url, trust_env=False) as client,
        contextlib.closing(connect(valkey.url)) as redis,
    ):
        yield Bench(url, client, Ledger(redis, prefix=prefix), valkey, prefix)


def test_each_call_of_vapis_is_in_one_bucket(bench: Bench) -> None:
    bench.accept("here", "dead", "going-on")
    (held, *_) = [
        delivery.Held(one.call_id, one.token)
        for one in bench.ledger.run(delivery.claim(wanted=3, lease_ms=60_000, listen_ms=0, most_bytes=10**9)).reports
        if one.call_id == "dead"
    ]
    bench.ledger.run(delivery.bury([delivery.Bury(held, "http_422", b"{}")]))
    bench.ledger.run(desk.erase("erased", key=b"k" * 32, who=b"{}"))
    bench.put(
        call("here"),
        call("dead"),
        call("erased"),
        call("missing"),
        call("young", 10),
        call("long", 700, status="in-progress"),
        call("never-ended", 1400, status="in-progress"),
        call("not-kept") | {"artifact": {}, "messages": []},
    )

    found = bench.compare()

    assert {kind.value: number for kind, number in found.buckets.items() if number} == {
        "on_the_way": 1,
        "dead": 1,
        "erased": 1,
        "missing": 1,
        "not_yet": 2,
        "odd": 1,
        "unrecoverable": 1,
    }
    assert list(found.missing) == ["missing"]
    assert found.ended == sum(found.document()["buckets"].values()) == 6


def test_a_full_window_is_halved_until_all_of_it_is_read(bench: Bench) -> None:
    bench.put(*(call(f"c{n:04}", 60 + n / 60) for n in range(1050)), *(call(f"d{n:03}", 300) for n in range(400)))
    stretch = Stretch(StretchKind.NEW, NOW_MS - DAY_MS, NOW_MS)

    with bench.vapi() as vapi:
        read = list(windows(vapi, stretch))

    ids = [json.loads(body)["id"] for window in read for body in window.calls]
    assert len(ids) == len(set(ids)) == 1450
    assert (read[0].from_ms, read[-1].to_ms) == (stretch.from_ms, stretch.to_ms)
    assert all(before.to_ms == after.from_ms for before, after in pairwise(read))


def test_a_campaign_of_more_calls_in_a_second_than_vapi_gives_out_is_read_whole(bench: Bench) -> None:
    second = (NOW - timedelta(minutes=60)).isoformat().removesuffix("+00:00")
    bench.put(*(call(f"c{n:04}") | {"createdAt": f"{second}.{n % 40:03}Z"} for n in range(1500)))

    found = bench.compare()

    assert len(found.missing) == 1500
    assert bench.asked() < 150


def test_more_calls_of_a_moment_than_vapi_gives_out_are_told_and_not_left_out(bench: Bench) -> None:
    bench.put(*(call(f"c{n:04}", 60) for n in range(1001)))

    with pytest.raises(VapiFailed, match="same millisecond"):
        bench.compare()


def test_a_server_that_does_not_heed_the_window_is_not_believed(bench: Bench) -> None:
    def handle(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=[call("c1")])

    stretch = Stretch(StretchKind.NEW, NOW_MS - 10 * DAY_MS, NOW_MS - 9 * DAY_MS)
    vapi = bench.vapi(transport=httpx.MockTransport(handle))
    comparer = Comparer(bench.ledger, vapi, RULES, Intake(IngestSettings()), backfill=True)

    with vapi, pytest.raises(VapiFailed, match="outside the requested time"):
        comparer.compare(stretch, Comparison(0, 0))


def test_what_is_missing_is_brought_in_once_and_what_is_known_is_left_alone(bench: Bench) -> None:
    bench.accept("known")
    before = bench.ledger.run(watch.look("known"))
    bench.put(
        {"id": "a-1", "name": "Ada", "server": {"secret": SECRET}},
        {"id": "n-1", "number": "+15550100123", "twilioAuthToken": SECRET},
        call("known"),
        call("one") | {"assistant": None, "assistantId": "a-1", "phoneNumber": None, "phoneNumberId": "n-1"},
        call("two") | {"assistant": None, "assistantId": "a-1"},
        call("three") | {"assistant": None, "assistantId": "gone"},
    )

    first = bench.compare(backfill=True)
    second = bench.compare(backfill=True)

    assert (first.backfilled, first.missing, second.backfilled) == (3, {}, 0)
    assert first.buckets[Bucket.ON_THE_WAY] == second.buckets[Bucket.ON_THE_WAY] == 4
    after = bench.ledger.run(watch.look("known"))
    assert before
    assert after
    assert (after.record, after.packed) == (before.record, before.packed)
    entry = bench.ledger.run(watch.look("one"))
    assert entry
    unpacked = unpack(entry.packed)
    message = json.loads(unpacked.payload)
    assert (message["assistant"]["name"], message["phoneNumber"]["number"]) == ("Ada", "+15550100123")
    assert SECRET.encode() not in unpacked.payload
    assert json.loads(unpacked.properties) == {"ingest_source": "backfill"}
    assert read_message(unpacked.payload)


def test_where_redis_has_no_room_for_a_backfill_the_calls_are_kept_as_missing(bench: Bench) -> None:
    lane = bench.ledger.calls.keys.lane
    bench.ledger.client.hset(lane, "memory_short", 1)
    bench.put(call("one"), call("two"))

    found = bench.compare(backfill=True)

    assert (sorted(found.missing), found.backfilled) == (["one", "two"], 0)
    snapshot = bench.ledger.run(watch.snapshot())
    assert snapshot.reconciled
    assert snapshot.reconciled.missing == 2
    bench.ledger.client.hset(lane, "memory_short", 0)
    assert bench.compare(backfill=True).backfilled == 2


@pytest.mark.parametrize(
    ("status", "brought_in"), [(400, ["plain", "saved"]), (404, ["plain", "saved"]), (500, ["plain"])]
)
def test_an_assistant_that_vapi_does_not_tell_holds_up_no_other_call(
    bench: Bench, status: int, brought_in: list[str]
) -> None:
    listed = [call("plain"), call("saved") | {"assistant": None, "assistantId": "a-1"}]

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path != "/call":
            return httpx.Response(status)
        sent = [
            one
            for one in listed
            if request.url.params["createdAtGe"] <= one["createdAt"] < request.url.params["createdAtLt"]
        ]
        return httpx.Response(200, json=sent)

    found = Comparison(NOW_MS - DAY_MS, NOW_MS)
    with bench.vapi(transport=httpx.MockTransport(handle), sleep=lambda seconds: None) as vapi:
        comparer = Comparer(bench.ledger, vapi, RULES, Intake(IngestSettings()), backfill=True, now=NOW.timestamp)
        comparer.compare(Stretch(StretchKind.NEW, found.since_ms, found.until_ms), found)

    assert found.done_ms == NOW_MS
    assert [one for one in ("plain", "saved") if bench.ledger.run(watch.look(one))] == brought_in
    assert list(found.missing) == [one for one in ("saved",) if one not in brought_in]
    if found.missing:
        assert "assistantId" in found.unusable["saved"]


def test_a_call_of_which_no_report_can_be_made_stays_missing_and_says_why(bench: Bench) -> None:
    bench.put(call("with a blank"), call("good"))

    found = bench.compare(backfill=True)

    assert (list(found.missing), found.backfilled) == (["with a blank"], 1)
    assert "call.id" in found.unusable["with a blank"]


class TestAWorker:
    def test_it_compares_all_that_vapi_keeps_and_then_what_is_new(self, bench: Bench) -> None:
        bench.put(call("old", 10 * 24 * 60), call("new", 60))
        first = bench.worker().once()
        asked = bench.asked()
        later = NOW.timestamp() + 16 * 60
        bench.put(call("newer", 0))

        second = bench.worker(now=lambda: later, reconcile_minutes=0.00001).once()

        assert first
        assert sorted(first.missing) == ["new", "old"]
        assert second
        assert bench.asked() - asked == 2
        found = bench.ledger.run(watch.snapshot()).reconciled
        assert found
        assert (found.missing, found.watermark_ms) == (2, round((later - 15 * 60) * 1000))

    def test_a_call_that_ended_after_its_window_was_read_is_found_by_the_next_pass(self, bench: Bench) -> None:
        bench.put(call("long", 300) | {"status": "in-progress", "endedAt": None, "updatedAt": at(300)})
        first = bench.worker().once()
        bench.put(call("long", 300, lasts=290))
        later = NOW.timestamp() + 20 * 60

        second = bench.worker(now=lambda: later, reconcile_minutes=0.00001).once()

        assert first
        assert first.missing == {}
        assert second
        assert list(second.missing) == ["long"]

    def test_it_waits_for_its_turn(self, bench: Bench) -> None:
        worker = bench.worker()

        assert worker.once()
        assert worker.once() is None

    def test_a_window_that_could_not_be_read_stops_the_watermark_in_front_of_it(self, bench: Bench) -> None:
        bench.put(*(call(f"c{n:04}", 120) for n in range(1001)), call("before", 180), call("after", 60))

        failed = bench.worker().once()

        found = bench.ledger.run(watch.snapshot()).reconciled
        assert failed
        assert failed.incomplete
        assert found
        assert (found.error, found.at_ms) == ("too_many", 0)
        assert NOW_MS - 181 * 60_000 < found.watermark_ms <= NOW_MS - 120 * 60_000

    def test_whatever_vapi_answers_in_mid_pass_the_next_one_goes_on_behind_the_last_whole_window(
        self, bench: Bench
    ) -> None:
        read: list[tuple[int, int]] = []

        def pass_until(failure: httpx.Response | Exception | None) -> Comparison | None:
            def handle(request: httpx.Request) -> httpx.Response:
                if failure and len(read) == 3:
                    if isinstance(failure, Exception):
                        raise failure
                    return failure
                ends = (request.url.params[name] for name in ("createdAtGe", "createdAtLt"))
                since, until = (round(datetime.fromisoformat(one).timestamp() * 1000) for one in ends)
                read.append((since, until))
                return httpx.Response(200, json=[])

            def vapi(settings: VapiSettings, **more: Any) -> Vapi:
                quick: dict[str, Any] = {"transport": httpx.MockTransport(handle), "sleep": lambda _: None}
                return bench.vapi(settings, **more | quick)

            read.clear()
            worker = bench.worker(reconcile_minutes=0.00001)
            worker._make_vapi = vapi
            return worker.once()

        watermark = NOW_MS - 14 * DAY_MS
        for failure in (
            *map(httpx.Response, (429, 500, 400)),
            httpx.ReadTimeout("late"),
            httpx.Response(200, text="<"),
        ):
            found = pass_until(failure)
            assert found
            assert found.incomplete
            assert read[0][0] == watermark
            stand = bench.ledger.run(watch.snapshot()).reconciled
            assert stand
            watermark = stand.watermark_ms
            assert watermark == read[-1][1]
        last = pass_until(None)
        assert last
        assert not last.incomplete
        assert read[0][0] == watermark

    def test_a_first_pass_that_was_broken_off_goes_on_and_does_not_begin_anew(self, bench: Bench) -> None:
        bench.put(*(call(f"c{n:04}", 120) for n in range(1001)), call("before", 180))
        bench.worker().once()
        bench.http.put("/_sandbox/vapi", json={"retention_days": 0.01}).raise_for_status()
        asked = bench.asked()

        again = bench.worker(reconcile_minutes=0.00001).once()

        assert again
        assert not again.incomplete
        assert bench.asked() - asked < 5

    def test_with_backfill_on_nothing_stays_missing(self, bench: Bench) -> None:
        bench.put(call("one"), call("two", 3000))

        found = bench.worker(backfill=True).once()

        assert found
        assert found.backfilled == 2
        snapshot = bench.ledger.run(watch.snapshot())
        assert snapshot.queues["replay"] == 2
        assert snapshot.reconciled
        assert snapshot.reconciled.missing == 0
        assert snapshot.reconciled.result["vapi"] == 2

    def test_what_was_missing_and_came_by_itself_is_missing_no_more(self, bench: Bench) -> None:
        bench.put(call("late"))
        bench.worker().once()
        bench.accept("late")

        bench.worker(reconcile_minutes=0.00001).once()

        found = bench.ledger.run(watch.snapshot()).reconciled
        assert found
        assert found.missing == 0

    def test_without_a_key_nothing_is_asked(self, bench: Bench) -> None:
        worker = Reconciler(bench.ledger, VapiSettings(), IngestSettings(), WorkerSettings())

        worker.start()
        worker.stop()

        assert bench.ledger.run(watch.snapshot()).reconciled is None
