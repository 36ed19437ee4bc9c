"""A report whose audio links have ended is uploaded with fresh ones from Vapi, and never waits for them in vain."""

import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
from delivering import Bench
from pydantic import SecretStr
from servers import Server

from roark_ledger.ledger import AsyncLedger, Ledger
from roark_ledger.lifecycle import State
from roark_ledger.moves import reconcile as reconciled
from roark_worker.calls.fresh_audio import FreshAudio
from roark_worker.calls.vapi import AsyncVapi
from roark_worker.calls.vapi_settings import VapiSettings

NOW_MS = time.time() * 1000
HOUR = 3_600_000
GAP_SECONDS = 0.02
Vapi = Callable[[httpx.Request], httpx.Response]


def report(call_id: str, *, ends_in_hours: float, link: str = "https://s/a?X=old") -> bytes:
    ends = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime((NOW_MS + ends_in_hours * HOUR) / 1000))
    artifact = {"presignedMonoUrl": link, "presignedUrlsExpiresAt": ends, "cost": 1.1}
    return json.dumps({"type": "end-of-call-report", "call": {"id": call_id}, "artifact": artifact}).encode()


class Uploads:
    """What Roark received, and what Vapi was asked for."""

    def __init__(self, vapi: Vapi) -> None:
        self.links: dict[str, str] = {}
        self.asked: list[str] = []
        self.asked_at: list[float] = []
        self._vapi = vapi

    def roark(self, request: httpx.Request) -> httpx.Response:
        payload = json.loads(request.content)["vapiEndOfCallReportPayload"]
        self.links[payload["call"]["id"]] = payload["artifact"]["presignedMonoUrl"]
        return httpx.Response(200, json={"data": {"callId": "r"}})

    def vapi(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path)
        self.asked_at.append(time.monotonic())
        return self._vapi(request)

    def fresh_audio(self, ledger: AsyncLedger) -> FreshAudio:
        settings = VapiSettings(vapi_api_key=SecretStr("key"), vapi_base_url="http://localhost")
        transport = httpx.MockTransport(self.vapi)
        vapi = AsyncVapi(settings, ledger, gap_seconds=GAP_SECONDS, transport=transport)
        return FreshAudio(vapi, lambda: NOW_MS)


def found(request: httpx.Request) -> httpx.Response:
    call_id = request.url.path.rpartition("/")[2]
    return httpx.Response(200, content=report(call_id, ends_in_hours=0.5, link="https://s/a?X=new"))


@pytest.fixture
async def bench(valkey: Server, prefix: str) -> AsyncIterator[Bench]:
    made = Bench(valkey.url, prefix, clock=lambda: round(NOW_MS))
    yield made
    made.close()


@asynccontextmanager
async def uploaded(bench: Bench, vapi: Vapi, *bodies: bytes, waited_ms: int = 2 * HOUR) -> AsyncIterator[Uploads]:
    """Hand reports in, let time pass, and deliver them."""
    bench.submit(bodies)
    began = time.monotonic()
    bench.clock = lambda: round(NOW_MS + waited_ms + (time.monotonic() - began) * 1000)
    bench.ledger.calls.clock = bench.clock
    uploads = Uploads(vapi)
    async with bench.delivery(handler=uploads.roark, fresh_audio=uploads.fresh_audio) as delivery:
        await bench.settle_all(delivery)
        yield uploads


async def test_a_report_whose_links_have_ended_is_uploaded_with_fresh_ones(bench: Bench) -> None:
    ended, good = report("ended", ends_in_hours=-1), report("good", ends_in_hours=1)

    async with uploaded(bench, found, ended, good) as uploads:
        assert uploads.links == {"ended": "https://s/a?X=new", "good": "https://s/a?X=old"}
        assert uploads.asked == ["/call/ended"]


async def test_one_that_has_just_come_is_not_asked_for(bench: Bench) -> None:
    async with uploaded(bench, found, report("ended", ends_in_hours=-1), waited_ms=1000) as uploads:
        assert (uploads.links, uploads.asked) == ({"ended": "https://s/a?X=old"}, [])


@pytest.mark.parametrize("status", [401, 404, 400])
async def test_without_an_answer_of_vapis_it_is_uploaded_as_it_is(bench: Bench, status: int) -> None:
    bodies = [report(f"c{number}", ends_in_hours=-1) for number in range(20)]

    async with uploaded(bench, lambda _: httpx.Response(status), *bodies) as uploads:
        assert len(uploads.links) == 20
        assert set(uploads.links.values()) == {"https://s/a?X=old"}
        assert len(uploads.asked) <= (20 if status == 404 else 4)
        assert bench.count(State.DELIVERED) == 20


async def test_a_busy_vapi_is_asked_again(bench: Bench) -> None:
    answers = [httpx.Response(429, headers={"retry-after": "0.1"})]

    def busy(request: httpx.Request) -> httpx.Response:
        return answers.pop() if answers else found(request)

    async with uploaded(bench, busy, report("ended", ends_in_hours=-1)) as uploads:
        assert uploads.links == {"ended": "https://s/a?X=new"}


async def test_what_lies_in_the_ledger_stays_what_was_sent(bench: Bench) -> None:
    async with uploaded(bench, found, report("ended", ends_in_hours=-1)):
        assert bench.submit([report("ended", ends_in_hours=-1)]) == ["duplicate"]


async def test_who_must_wait_for_vapi_keeps_no_slot_and_no_attempt_is_counted(bench: Bench) -> None:
    ended = [report(f"ended-{number:02}", ends_in_hours=-1) for number in range(60)]
    good = [report(f"good-{number:02}", ends_in_hours=1) for number in range(60)]

    async with uploaded(bench, found, *ended, *good) as uploads:
        assert {name: link[-3:] for name, link in uploads.links.items()} == {
            **{f"ended-{number:02}": "new" for number in range(60)},
            **{f"good-{number:02}": "old" for number in range(60)},
        }
        assert sorted(uploads.asked) == [f"/call/ended-{number:02}" for number in range(60)]
        took = max(uploads.asked_at) - min(uploads.asked_at)
        assert took >= 58 * GAP_SECONDS
        last_good = max(place for place, name in enumerate(uploads.links) if name.startswith("good"))
        assert last_good < 60 + 30, "they did not wait for those that had to"
        waited = [entry for name in uploads.links if (entry := bench.look(name)).history]
        assert len(waited) >= 40
        assert {tuple(one.name for one in entry.history) for entry in waited} == {("deferred", "delivered")}
        assert {entry.history[0].detail["reason"] for entry in waited} == {"waits_for_audio"}
        assert {entry.history[1].detail["attempt"] for entry in waited} == {1}


async def test_where_too_many_wait_it_is_uploaded_with_the_links_that_it_has(bench: Bench) -> None:
    hours = 12 * HOUR

    def far_behind(ledger: Ledger) -> None:
        ask = reconciled.ask_vapi(gap_ms=hours, patience_ms=-1, latest_ms=2 * hours)
        assert ledger.run(ask).back_ms
        ledger.run(reconciled.ask_vapi(gap_ms=30_000, patience_ms=0, latest_ms=0))

    bench.ledger.calls.clock = lambda: round(NOW_MS) + 2 * HOUR
    far_behind(bench.ledger)
    async with uploaded(bench, found, report("ended", ends_in_hours=-1)) as uploads:
        assert (uploads.links, uploads.asked) == ({"ended": "https://s/a?X=old"}, [])
