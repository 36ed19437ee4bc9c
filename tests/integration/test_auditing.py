"""The workers' own audit: now and then, one worker at a time, whatever happens to Redis meanwhile."""

import threading
import time
from collections.abc import Iterator

import pytest
from delivering import Bench, report, reports
from pipeline import wait_until
from servers import Server, running

from roark_ledger.ledger import Ledger
from roark_ledger.moves import delivery, watch
from roark_ledger.moves.delivery import Deliver, Held
from roark_ledger.server.connection import connect
from roark_worker.upkeep.auditing import Auditor


@pytest.fixture
def bench(valkey: Server, prefix: str) -> Iterator[Bench]:
    bench = Bench(valkey.url, prefix)
    yield bench
    bench.close()


def audited_at(bench: Bench) -> int:
    found = bench.snapshot().audited
    return found.at_ms if found else 0


def test_it_audits_by_itself_again_and_again(bench: Bench) -> None:
    bench.submit(reports(20))
    auditor = Auditor(bench.ledger, every_seconds=0.2)
    auditor.start()
    try:
        wait_until(lambda: audited_at(bench), "the first audit has ended")
        first = audited_at(bench)
        wait_until(lambda: audited_at(bench) > first, "the next audit has ended")
    finally:
        auditor.stop()

    found = bench.snapshot().audited
    assert found
    assert found.holds
    assert found.looked_at >= 20


def test_one_that_is_switched_off_does_nothing(bench: Bench) -> None:
    auditor = Auditor(bench.ledger, every_seconds=0)
    auditor.start()
    auditor.stop()

    assert threading.active_count() == len([thread for thread in threading.enumerate() if thread.name != "audit"])


def test_reports_that_are_delivered_meanwhile_are_never_called_broken(bench: Bench) -> None:
    over = threading.Event()

    def deliver() -> None:
        mover = Bench(bench.url, bench.prefix)
        for round_ in range(1000):
            if over.is_set():
                break
            mover.submit([report(f"call-{round_}-{number}") for number in range(20)])
            held = [Held(one.call_id, one.token) for one in mover.claim(20).reports]
            mover.ledger.run(
                delivery.deliver([Deliver(one, "roark-1", b"{}") for one in held[5:]], keep_payloads=False)
            )
            mover.ledger.run(delivery.release(held[:5]))
        mover.close()

    moving = threading.Thread(target=deliver)
    moving.start()
    auditor = Auditor(bench.ledger, every_seconds=0.001, share=0.5)
    try:
        wait_until(lambda: bench.snapshot().total("accepted") > 100, "reports move")
        verdicts = []
        while len(verdicts) < 5:
            # It may be a millisecond too early for the next one.
            verdicts += [verdict for verdict in [auditor.once()] if verdict]
    finally:
        over.set()
        moving.join()

    assert {verdict.broken for verdict in verdicts} == {()}
    assert {verdict.accounts.difference for verdict in verdicts} == {0}


def test_its_end_does_not_wait_for_an_audit_that_is_under_way(bench: Bench) -> None:
    bench.submit(reports(400))
    auditor = Auditor(bench.ledger, every_seconds=0.01, share=0.00001)
    auditor.start()
    turn = bench.ledger.calls.keys.lane
    wait_until(lambda: bench.ledger.client.hget(turn, "audit_by"), "an audit is under way")
    began = time.monotonic()
    auditor.stop()

    assert time.monotonic() - began < 5
    assert audited_at(bench) == 0


def test_it_survives_that_redis_goes_away(prefix: str) -> None:
    with running() as server:
        ledger = Ledger(connect(server.url), prefix=prefix)
        auditor = Auditor(ledger, every_seconds=0.2)
        server.kill()
        auditor.start()
        try:
            server.start()
            wait_until(lambda: ledger.run(watch.snapshot()).audited, "an audit has ended")
        finally:
            auditor.stop()
            ledger.close()
