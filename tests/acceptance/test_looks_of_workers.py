"""A real worker looks deliveries up at Roark by itself, on the thread that it has for that."""

import json
import time

import httpx
from commands import report
from pipeline import Pipeline, wait_until

from roark_ledger.ledger import Ledger
from roark_ledger.moves import delivery
from roark_ledger.moves.delivery import Deliver, Held

AGO_MS = 5 * 60_000


def test_a_worker_looks_up_what_was_delivered_some_minutes_ago() -> None:
    with Pipeline() as line:
        sandbox = line.start_sandbox()
        line.submit([report("seen"), report("gone")])
        body = {"vapiEndOfCallReportPayload": json.loads(report("seen"))}
        answer = httpx.post(f"{sandbox.url}/v1/vapi/call", json=body)
        named = answer.raise_for_status().json()["data"]["callId"]
        earlier = Ledger(
            line.ledger.client, prefix=line.ledger.calls.prefix, clock=lambda: round(time.time() * 1000) - AGO_MS
        )
        claimed = earlier.run(delivery.claim(wanted=2, lease_ms=1000, listen_ms=0, most_bytes=10**9)).reports
        outcomes = [
            Deliver(
                Held(one.call_id, one.token), named if one.call_id == "seen" else "no-such-call", b"{}", look_up=True
            )
            for one in claimed
        ]
        assert earlier.run(delivery.deliver(outcomes, keep_payloads=False, first_look_ms=240_000)) == [True, True]

        line.start_worker()
        wait_until(lambda: line.snapshot().receipts.in_time, "the one is seen", 30)

        told = line.snapshot().receipts
        assert (told.in_time, told.late, told.open, told.error) == (1, 0, 1, "")
        assert [step.name for step in line.look("seen").history] == ["seen"]
