"""Receipts, the three sums, and the way in: does Roark have what was delivered, and was every call brought here?"""

import json

import pytest
from clocks import Clock
from commands import CommandLine, report
from console_pages import text
from consoles import ConsoleUnderTest

from roark_ledger.ledger import Ledger
from roark_ledger.moves import delivery, intake
from roark_ledger.moves.delivery import Deliver
from roark_ledger.moves.desk import switch_route
from roark_ledger.moves.intake import Acceptable
from roark_ledger.moves.receipts import LookedUp, receipts_note, receipts_turn
from roark_ledger.moves.reconcile import reconcile_note, reconcile_turn
from roark_ledger.packing import pack
from roark_ledger.records.logbook import doer
from roark_worker.calls.reconcile import Comparison
from roark_worker.calls.rules import Bucket
from roark_worker.receipt_rules import ReceiptRules


def looked_up(line: CommandLine, *, seen: int, unseen: int) -> None:
    """Have reports delivered that are looked up at Roark."""
    calls = [f"call-{number:03}" for number in range(seen + unseen)]
    packed = pack(report("call"), ended_ms=line.snapshot().now_ms)
    line.ledger.run(
        intake.accept([Acceptable(call, call, packed, 0) for call in calls], revisions="record", per_wakeup=64)
    )
    for call_id in calls:
        outcome = Deliver(line.claim(call_id), "roark-1", b"{}", in_time=call_id != calls[0], look_up=True)
        assert line.ledger.run(delivery.deliver([outcome], keep_payloads=False, first_look_ms=240_000)) == [True]
    now_ms, prefix = line.snapshot().now_ms, line.environment["ROARK_INGEST_PREFIX"]
    rules = ReceiptRules(1, 240_000, 300_000)
    for age_ms in rules.ages_ms[:2]:
        later = Ledger(line.ledger.client, prefix=prefix, clock=Clock(now_ms + age_ms + 30_000))
        turn = later.run(receipts_turn(who="w", patience_ms=90_000, most=100)) or ()
        found = [
            LookedUp(due, due.call_id in calls[:seen], _looked(visible=due.call_id in calls[:seen])) for due in turn
        ]
        later.run(receipts_note(found, in_time_ms=rules.in_time_ms, ages_ms=rules.ages_ms))


def _looked(*, visible: bool) -> bytes:
    return json.dumps({"visible": visible}).encode()


def test_receipts_tell_what_was_looked_up_at_roark_and_which_calls_were_in_time(
    line: CommandLine, console: ConsoleUnderTest
) -> None:
    looked_up(line, seen=3, unseen=1)
    page = text(console.get("/receipts").text)
    status = line.run("status").stdout
    (told,) = [row.partition("at Roark")[2].strip() for row in status.splitlines() if " looked up visible " in row]
    assert told in page
    assert "75 % at Roark within 5 minutes" in page
    assert "receipt visible at Roark" in text(console.get("/call", id="call-001").text)


@pytest.mark.parametrize(("ended", "told"), [(3, "3 Vapi: ended = 3 here"), (4, "4 Vapi: ended ≠ 3 here")])
def test_receipts_show_the_three_sums(line: CommandLine, console: ConsoleUnderTest, ended: int, told: str) -> None:
    found = Comparison(0, 1)
    found.buckets.update({Bucket.DELIVERED: 3, Bucket.MISSING: ended - 3})
    line.ledger.run(reconcile_turn(who="w", every_ms=1000, patience_ms=90_000))
    line.ledger.run(reconcile_note(who="w", phase="done", stand={"watermark": 1}, result=found.document()))
    page = text(console.get("/receipts").text)
    assert told in page
    assert ("The three sums agree." if ended == 3 else "The three sums do not agree") in page


def test_uploads_and_call_say_by_which_way_reports_are_sent(line: CommandLine, console: ConsoleUnderTest) -> None:
    line.accept("call-1")
    line.ledger.run(switch_route("call", who=doer("ada", "")))
    line.deliver("call-1", "by-external-id")
    page = text(console.get("/uploads").text)
    assert "POST /v1/call for all workers, chosen with roark-ingest route" in page
    call = text(console.get("/call", id="call-1").text)
    assert "sent by POST /v1/call" in call
    assert "known by its externalId, the call ID" in call
