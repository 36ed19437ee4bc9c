"""The calls of a demo as its Vapi lists them, and which of their reports are never sent."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import httpx

from roark_ledger.moves.intake import Acceptable
from roark_ops.up.comparing import reconciled
from roark_ops.up.vapi_list import VapiList
from roark_producer.settings import IngestSettings
from roark_producer.taking import Intake
from roark_producer.vapi.calls import report_of
from roark_samples import Sample, sample_reports
from roark_worker.calls.reconcile import AtRoark, Comparison
from roark_worker.calls.rules import Bucket, ReconcileRules, bucket, read_listed

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)


def feed(count: int, seed: int = 1, **shares: float) -> tuple[VapiList, list[Sample]]:
    listed = VapiList(lambda: NOW)
    return listed, list(listed.sent_of(sample_reports(count, seed, **shares)))


def handed_over(listed: VapiList) -> list[dict[str, Any]]:
    bodies: list[bytes] = []

    def sandbox(request: httpx.Request) -> httpx.Response:
        bodies.append(request.content)
        return httpx.Response(200)

    async def hand_over() -> None:
        async with httpx.AsyncClient(base_url="http://sandbox", transport=httpx.MockTransport(sandbox)) as client:
            await listed.hand_over(client)

    asyncio.run(hand_over())
    return [call for body in bodies for call in json.loads(body)]


def test_three_calls_of_300_reports_are_left_out_with_all_that_is_said_of_them() -> None:
    for seed in range(1, 6):
        listed, sent = feed(300, seed, dup=0.5, mix=0.15)

        assert len(listed.left_out) == 3
        assert not listed.left_out & {sample.call_id for sample in sent}
        reports = [sample for sample in sent if sample.label != "other"]
        assert 300 <= len(reports) + listed.messages_left_out <= 301


def test_a_demo_of_a_few_reports_sends_them_all() -> None:
    listed, sent = feed(9)

    assert not listed.left_out
    assert len(sent) >= 9


def test_each_call_is_listed_once_and_would_be_missing_without_its_report() -> None:
    listed, sent = feed(300, odd=0.3, dup=0.3)
    rules = ReconcileRules(settle_ms=0, back_ms=1)
    calls = handed_over(listed)

    assert {call["id"] for call in calls} == {sample.call_id for sample in sent if sample.call_id} | listed.left_out
    assert len(calls) == len({call["id"] for call in calls})
    for call in calls:
        found = read_listed(json.dumps(call).encode())
        assert found
        assert listed.since_ms <= found.created_ms <= NOW_MS
        assert bucket(found, "delivered", rules, NOW_MS) is Bucket.DELIVERED
        if call["id"] in listed.left_out:
            assert bucket(found, "unknown", rules, NOW_MS) is Bucket.MISSING


def test_of_a_call_that_was_left_out_a_whole_report_can_be_made() -> None:
    listed, _ = feed(300)
    intake = Intake(IngestSettings())
    whole = [call for call in handed_over(listed) if call["id"] in listed.left_out]

    assert len(whole) == 3
    for call in whole:
        assert isinstance(intake.prepare(report_of(call)), Acceptable)
        assert {"artifact", "analysis", "assistant"} <= call.keys()


def test_the_figures_are_those_of_both_comparisons() -> None:
    first, last = Comparison(0, 1), Comparison(0, 1)
    first.backfilled, first.missing = 3, {"unusable": 1}
    last.buckets[Bucket.DELIVERED] = 8
    last.at_roark = AtRoark(visible=8)

    found = reconciled(3, first, last)
    assert (found.never_came, found.brought_in) == (4, 3)
    assert (found.at_vapi, found.here, found.at_roark, found.agree) == (8, 8, 8, True)

    last.at_roark.silent = "Roark answered 503"
    found = reconciled(3, first, last)
    assert (found.agree, found.incomplete) == (False, "Roark answered 503")
