"""AsyncLedger runs the same operations: a report's whole way, and what it does differently from the sync one."""

import asyncio

import pytest
from clocks import Clock
from servers import Server, configured
from workbench import DELAY_MS, DETAIL, LEASE_MS, PLENTY, acceptable, held, packed

from roark_ledger.errors import LedgerFull, LedgerUnavailable
from roark_ledger.ledger import AsyncLedger, Ledger
from roark_ledger.lifecycle import State
from roark_ledger.moves import delivery, desk, intake, upkeep, watch
from roark_ledger.moves.delivery import Bury, Claimed, Defer, Deliver, LaneState
from roark_ledger.moves.intake import Accepted, Result
from roark_ledger.server.connection import connect, connect_async

accept_one = intake.accept([acceptable("call-1")], revisions="record", per_wakeup=64)


async def take(ledger: AsyncLedger) -> Claimed:
    claim = await ledger.run(delivery.claim(wanted=1, lease_ms=LEASE_MS, listen_ms=0, most_bytes=PLENTY))
    (report,) = claim.reports
    return report


async def state(ledger: AsyncLedger, call_id: str = "call-1") -> State | None:
    entry = await ledger.run(watch.look(call_id))
    return entry.record.state if entry and entry.record else None


async def test_a_report_is_accepted_once(async_ledger: AsyncLedger) -> None:
    assert await async_ledger.run(accept_one) == Accepted((Result.ACCEPTED,), wake=True)
    assert await async_ledger.run(accept_one) == Accepted((Result.DUPLICATE,), wake=False)


async def test_a_claimed_report_comes_with_all_that_its_upload_needs(async_ledger: AsyncLedger, clock: Clock) -> None:
    await async_ledger.run(accept_one)
    clock.advance(1_500)

    report = await take(async_ledger)

    assert report.call_id == "call-1"
    assert report.packed == packed("call-1", "a")
    assert report.age_ms == 1_500
    assert await state(async_ledger) is State.UPLOADING


async def test_a_delivery_ends_the_way_of_a_report(async_ledger: AsyncLedger) -> None:
    await async_ledger.run(accept_one)
    one = held(await take(async_ledger))

    delivered = delivery.deliver([Deliver(one, "roark-1", b"{}")], keep_payloads=False)

    assert await async_ledger.run(delivered) == [True]
    assert await async_ledger.run(delivered) == [False]
    assert await state(async_ledger) is State.DELIVERED


async def test_a_failed_attempt_waits_and_comes_back(async_ledger: AsyncLedger, clock: Clock) -> None:
    await async_ledger.run(accept_one)
    one = held(await take(async_ledger))

    assert await async_ledger.run(delivery.defer([Defer(one, DELAY_MS, "status-503", DETAIL)])) == [True]

    assert await state(async_ledger) is State.WAITING
    clock.advance(DELAY_MS)
    assert await async_ledger.run(upkeep.promote(most=10)) == 1
    assert (await take(async_ledger)).attempts == 1


async def test_a_buried_report_is_a_dead_letter(async_ledger: AsyncLedger) -> None:
    await async_ledger.run(accept_one)
    one = held(await take(async_ledger))

    await async_ledger.run(delivery.bury([Bury(one, "status-422", DETAIL)]))

    (letter,) = (await async_ledger.run(desk.page(most=10))).letters
    assert letter.call_id == "call-1"
    assert letter.record.note == "status-422"


async def test_a_held_lane_hands_nothing_out(async_ledger: AsyncLedger) -> None:
    await async_ledger.run(accept_one)
    await async_ledger.run(delivery.hold(by="ada", reason="moving"))

    claim = await async_ledger.run(delivery.claim(wanted=1, lease_ms=1, listen_ms=0, most_bytes=1))

    assert (claim.lane, claim.reports) == (LaneState.HELD, ())


async def test_the_snapshot_is_balanced(async_ledger: AsyncLedger) -> None:
    await async_ledger.run(accept_one)
    await take(async_ledger)

    snapshot = await async_ledger.run(watch.snapshot())

    assert snapshot.states[State.UPLOADING] == 1
    assert snapshot.balanced


async def test_a_server_that_forgot_the_scripts_is_told_them_again(async_ledger: AsyncLedger) -> None:
    await async_ledger.client.script_flush()

    results = await async_ledger.run_all([intake.tally({"first": 1}), intake.tally({"second": 2})])

    assert results == [0, 0]
    assert (await async_ledger.run(watch.snapshot())).total("second") == 2


async def test_operations_of_one_loop_may_overlap(async_ledger: AsyncLedger) -> None:
    numbered = [
        intake.accept([acceptable(f"call-{number % 20}")], revisions="record", per_wakeup=64) for number in range(60)
    ]

    found = await asyncio.gather(*(async_ledger.run(operation) for operation in numbered))

    results = [accepted.results[0] for accepted in found]
    assert results.count(Result.ACCEPTED) == 20
    assert results.count(Result.DUPLICATE) == 40


async def test_both_ledgers_see_the_same_reports(real_ledger: Ledger, real_server: Server, clock: Clock) -> None:
    real_ledger.run(accept_one)
    prefix = real_ledger.calls.keys.records.partition("}")[0].strip("{")
    other = AsyncLedger(connect_async(real_server.url), prefix=prefix, clock=clock)

    assert (await other.run(accept_one)).results == (Result.DUPLICATE,)

    await other.aclose()


async def test_full_memory_and_an_unkept_promise_are_told_as_by_the_sync_one(
    real_server: Server, prefix: str, clock: Clock
) -> None:
    ledger = AsyncLedger(connect_async(real_server.url), prefix=prefix, clock=clock, after_write=("WAIT", 1, 20))
    with pytest.raises(LedgerUnavailable, match="0 of 1 confirmed"):
        await ledger.run_durably(accept_one)

    with connect(real_server.url) as client, configured(client, "maxmemory", "1mb"), pytest.raises(LedgerFull):
        await ledger.run(accept_one)

    await ledger.aclose()


async def test_a_server_that_is_away_is_told_as_by_the_sync_one(tmp_path: object) -> None:
    ledger = AsyncLedger(connect_async(f"unix://{tmp_path}/nobody.sock"))

    with pytest.raises(LedgerUnavailable, match="is unreachable"):
        await ledger.run(accept_one)

    await ledger.aclose()
