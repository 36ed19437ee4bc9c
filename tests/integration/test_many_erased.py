"""`erase` among a hundred thousand reports and as many lines of the logbook: no command takes 10 ms of Redis's CPU."""

import json
from time import monotonic, process_time

import pytest
from redis_costs import costs_of, in_words
from servers import Server

from roark_ledger.ids import CallId
from roark_ledger.ledger import Ledger
from roark_ledger.moves import desk, intake
from roark_ledger.moves.intake import Acceptable
from roark_ledger.packing import pack
from roark_ledger.records.logbook import Action, doer
from roark_ledger.server.connection import connect
from roark_ledger.server.rewriting import rewrite
from roark_ops.access import Access
from roark_ops.erasing.eraser import Eraser
from roark_ops.erasing.logbook import clean_logbook
from roark_ops.erasing.numbers import PhoneNumber
from roark_ops.erasing.searching import Sought
from roark_producer.settings import IngestSettings

MANY, HERS, LONG_MS = 100_000, 100, 10
SOUGHT = Sought((PhoneNumber.read("+33612345678"),))


def payload(number: int) -> bytes:
    hers = number % (MANY // HERS) == 0
    said = [
        {"role": "bot", "message": f"Very well, {number} it is, and I shall call you {place}."} for place in range(20)
    ]
    customer = {"number": "06.12.34.56.78" if hers else f"+336{number:08}"}
    return json.dumps(
        {"type": "end-of-call-report", "call": {"id": f"c-{number}"}, "customer": customer, "m": said}
    ).encode()


@pytest.mark.many
@pytest.mark.timeout(1800)
def test_one_persons_reports_among_a_hundred_thousand(valkey: Server, prefix: str) -> None:
    with connect(valkey.url) as client:
        ledger = Ledger(client, prefix=prefix)
        for first in range(0, MANY, 500):
            some = range(first, first + 500)
            reports = [Acceptable(CallId(f"c-{number}"), "print", pack(payload(number), b"")) for number in some]
            ledger.run(intake.accept(reports, revisions="record", per_wakeup=64))
            lines = [
                desk.log_deed(Action.REPAIR, who=doer("ada", "a reason"), calls=[f"c-{number}"]) for number in some
            ]
            ledger.run_all(lines)
        # As a retry or a deletion of many writes them.
        for first in range(0, MANY, 500):
            calls = [f"c-{number}-{'x' * 30}" for number in range(first + 1, first + 501)]
            ledger.run(desk.log_deed(Action.DISCARD, who=doer("ada", "a reason"), calls=calls))
        eraser = Eraser(
            Access(IngestSettings(_env_file=None, redis_url=valkey.url, prefix=prefix)), by="ada", sought=SOUGHT
        )
        with costs_of(client) as costs:
            began, cpu = monotonic(), process_time()
            found = {one.call_id for one in eraser.find()}
            print(f"found {len(found)} in {monotonic() - began:.0f} s, {process_time() - cpu:.0f} s of CPU")
            eraser.erase(found)
            began, cpu = monotonic(), process_time()
            changed = clean_logbook(ledger, SOUGHT, found)
            print(f"changed {changed} lines in {monotonic() - began:.0f} s, {process_time() - cpu:.0f} s of CPU")
        print(in_words(costs))
        began = monotonic()
        assert rewrite(client, seconds=600).files
        print(f"rewritten in {monotonic() - began:.0f} s")

        assert len(found) == changed == HERS
        assert {"HSCAN", "erased_among", "copy_deeds", "deeds", "swap_deeds"} <= set(costs)
        assert {name: max(each) for name, each in costs.items() if max(each) > LONG_MS} == {}
