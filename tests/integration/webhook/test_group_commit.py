"""Whoever brings a report to the group commit gets an answer, at whatever moment it comes. On a real Valkey."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from webhook_process import Valkey, report

from roark_ledger.ledger import AsyncLedger
from roark_ledger.moves.intake import Acceptable, Result
from roark_ledger.packing import pack
from roark_ledger.server.connection import connect, connect_async
from roark_ledger.server.durability import inspect, keep
from roark_producer.vapi.report import Report, read_message
from roark_producer.webhook.accepting import GroupCommit
from roark_producer.webhook.promise import PromisedLedger
from roark_producer.webhook.tally import Tally

Run = Callable[[Callable[[GroupCommit], Coroutine[Any, Any, None]]], None]


def acceptable(number: int) -> Acceptable:
    found = read_message(report(f"call-{number}"))
    assert isinstance(found, Report)
    return Acceptable(found.call_id, found.fingerprint, pack(found.payload))


@pytest.fixture
def run(valkey: Valkey) -> Run:
    """Run something with a commit of its own on the server, which must end within ten seconds."""

    async def bounded(body: Callable[[GroupCommit], Coroutine[Any, Any, None]]) -> None:
        with connect(valkey.url) as checker:
            client = connect_async(valkey.url)
            promised = PromisedLedger(
                lambda: keep("fsync", inspect(checker)),
                lambda after_write: AsyncLedger(client, prefix="commit", after_write=after_write),
            )
            commit = GroupCommit(
                promised, Tally(promised), revisions="record", reports_per_wakeup=64, wake=lambda: None
            )
            async with asyncio.timeout(10):
                await body(commit)
            await client.aclose()

    return lambda body: asyncio.run(bounded(body))


def test_a_report_that_comes_at_the_moment_a_flight_lands_is_answered(run: Run) -> None:
    async def one_after_the_other(commit: GroupCommit) -> None:
        # The second is brought in the very turn of the event loop in which the first gets its answer.
        assert [await commit.accept(acceptable(number)) for number in range(20)] == [Result.ACCEPTED] * 20

    run(one_after_the_other)


def test_reports_left_over_when_two_flights_land_together_are_answered(run: Run) -> None:
    async def many(commit: GroupCommit) -> None:
        async def chain(first: int) -> list[Result]:
            return [await commit.accept(acceptable(first + number)) for number in range(5)]

        found = await asyncio.gather(*(chain(1_000 + 10 * number) for number in range(150)))
        assert found == [[Result.ACCEPTED] * 5] * 150

    run(many)
