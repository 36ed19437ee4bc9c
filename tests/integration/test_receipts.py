"""Deliveries are looked up at Roark: through a real worker's parts, from the upload to what `why` and `status` say."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from clocks import Clock
from commands import CommandLine
from delivering import TOKEN, Bench, worker_settings
from pydantic import SecretStr
from servers import Server

from roark_ledger.lifecycle import State
from roark_sandbox.options import SandboxOptions
from roark_sandbox.server import background
from roark_worker.calls.receipts import ReceiptLooker
from roark_worker.calls.roark_calls import RoarkCalls
from roark_worker.upload.roark import Token


def report(call_id: str, *, ended_seconds_ago: float = 10) -> dict[str, Any]:
    ended = datetime.now(UTC) - timedelta(seconds=ended_seconds_ago)
    return {"type": "end-of-call-report", "call": {"id": call_id}, "endedAt": ended.isoformat()}


def looker(bench: Bench, url: str, answer: Callable[[httpx.Request], httpx.Response] | None = None) -> ReceiptLooker:
    settings = worker_settings(roark_base_url=url, receipt_share=1)

    def made(*arguments: Any, **more: Any) -> RoarkCalls:
        transport = httpx.MockTransport(answer) if answer else None
        return RoarkCalls(*arguments, **{**more, "per_second": 0, "transport": transport})

    return ReceiptLooker(bench.ledger, settings, Token(SecretStr(TOKEN)), make_roark=made)


async def look_after(clock: Clock, looks: ReceiptLooker, *minutes: float) -> list[int | None]:
    """Look when so many minutes have passed, and return how many looks were kept each time."""
    kept = []
    for more in minutes:
        clock.advance(round(more * 60_000))
        kept.append(await asyncio.to_thread(looks.once))
    return kept


@pytest.fixture
def clock() -> Clock:
    return Clock(round(time.time() * 1000))


@pytest.fixture
async def bench(valkey: Server, prefix: str, clock: Clock) -> AsyncIterator[Bench]:
    made = Bench(valkey.url, prefix, clock)
    yield made
    made.close()


async def deliver(bench: Bench, url: str, *reports: dict[str, Any], **more: Any) -> None:
    bench.submit(json.dumps(one).encode() for one in reports)
    values = {"roark_base_url": url, "receipt_share": 1} | more
    async with bench.delivery(**values) as delivery:
        await bench.settle_all(delivery)


async def test_what_roark_shows_is_told_by_why_status_and_metrics(
    bench: Bench, clock: Clock, valkey: Server, prefix: str, tmp_path: Path
) -> None:
    with background(SandboxOptions(port=0, token=TOKEN)) as url:
        await deliver(bench, url, report("call-1"), report("call-2", ended_seconds_ago=400))
        assert bench.count(State.DELIVERED) == 2
        assert await look_after(clock, looker(bench, url), 1, 3.1) == [0, 2]

    line = CommandLine(valkey.url, prefix, tmp_path)
    why, status, figures = line.run("why", "call-1"), line.run("status"), line.run("metrics").stdout
    assert "visible at Roark" in why.stdout
    assert line.run("why", "call-1", "--json").document["receipt"] == "seen"
    assert "100 % of 2 looked up visible within 10 min" in status.stdout
    assert "1 of 2 calls within 5 min of their end" in status.stdout
    assert "roark_ingest_receipts_visible_share 1.0" in figures
    assert 'roark_ingest_events_total{event="calls_in_time"} 1.0' in figures


async def test_what_roark_does_not_show_is_looked_for_again_told_and_alerted(
    bench: Bench, clock: Clock, valkey: Server, prefix: str, tmp_path: Path
) -> None:
    gone = httpx.Response(404, json={"type": "not_found", "code": "not_found", "message": "no"})
    with background(SandboxOptions(port=0)) as url:
        await deliver(bench, url, *(report(f"call-{number}") for number in range(4)))
    assert await look_after(clock, looker(bench, url, lambda _: gone), 4, 5) == [4, 4]

    line = CommandLine(valkey.url, prefix, tmp_path)
    assert "not visible at Roark within 10 minutes" in line.run("why", "call-1").stdout
    status = line.run("status")
    assert "Roark does not show" in status.stdout
    assert "reconcile --since 24h --at-roark" in status.stdout
    assert bench.snapshot().receipts.are_missing


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (httpx.Response(401, json={}), "token"),
        (httpx.Response(403, text="no"), "token"),
        (httpx.Response(429, headers={"retry-after": "7"}), "busy"),
        (httpx.Response(503), "status"),
        (httpx.Response(404, text="<html>nginx</html>"), "odd_answer"),
        (httpx.Response(200, text="<html>"), "odd_answer"),
        (httpx.Response(200, json={"data": {"id": "another"}}), "odd_answer"),
        (httpx.Response(200, json=[]), "odd_answer"),
    ],
)
async def test_an_answer_that_tells_nothing_says_nothing_of_the_call(
    bench: Bench, clock: Clock, answer: httpx.Response, code: str
) -> None:
    with background(SandboxOptions(port=0)) as url:
        await deliver(bench, url, report("call-1"))

    assert await look_after(clock, looker(bench, url, lambda _: answer), 4) == [0]

    told = bench.snapshot().receipts
    assert (told.open, told.in_time, told.late, told.error, told.at_ms) == (1, 0, 0, code, 0)


async def test_a_sample_is_looked_up_and_with_none_nothing(bench: Bench) -> None:
    with background(SandboxOptions(port=0)) as url:
        await deliver(bench, url, *(report(f"none-{number}") for number in range(20)), receipt_share=0)
        assert bench.snapshot().receipts.open == 0
        await deliver(bench, url, *(report(f"some-{number}") for number in range(200)), receipt_share=0.1)

    assert 5 <= bench.snapshot().receipts.open <= 40


class _Killed(BaseException):
    """kill -9: nothing is caught, nothing is cleaned up."""


async def test_a_worker_that_dies_between_two_looks_leaves_the_rest_to_another(bench: Bench, clock: Clock) -> None:
    with background(SandboxOptions(port=0)) as url:
        await deliver(bench, url, *(report(f"call-{number}") for number in range(5)))
    looked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        looked.append(request.url.path)
        if len(looked) == 3:
            raise _Killed
        return httpx.Response(200, json={"data": {"id": request.url.path.rpartition("/")[2]}})

    clock.advance(4 * 60_000)
    with pytest.raises(_Killed):
        looker(bench, url, answer).once()
    told = bench.snapshot().receipts
    assert (told.in_time, told.open) == (2, 3)
    other = looker(bench, url, answer)
    other._who = "another"
    assert other.once() is None, "the dead one has the turn for a while"
    clock.advance(90_000)
    assert other.once() == 3

    told = bench.snapshot().receipts
    assert (told.in_time, told.late, told.open) == (5, 0, 0)
    assert len(looked) == 6
    assert [bench.events(f"call-{number}") for number in range(5)] == [["seen"]] * 5
