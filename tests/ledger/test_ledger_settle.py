"""Settling an attempt: delivered, deferred, buried or released; leases; and the newer report that came meanwhile."""

from collections.abc import Callable

import pytest
from workbench import DELAY_MS, DETAIL, LEASE_MS, Workbench, all_held, packed

from roark_ledger.ids import LeaseToken
from roark_ledger.moves import delivery
from roark_ledger.moves.delivery import Deliver, Held

Settle = Callable[[Workbench, Held], bool]
SETTLE: dict[str, Settle] = {
    "deliver": lambda bench, one: bench.deliver(one),
    "defer": lambda bench, one: bench.defer(one),
    "bury": lambda bench, one: bench.bury(one),
    "release": lambda bench, one: bench.release(one),
}
by_each_settlement = pytest.mark.parametrize("settle", SETTLE.values(), ids=SETTLE)


class TestDeliver:
    def test_a_delivery_drops_the_payload_and_keeps_what_roark_called_it(self, bench: Workbench) -> None:
        bench.accept("call-1")

        assert bench.deliver(bench.take(), "roark-17")

        assert bench.state() == "delivered"
        assert bench.record().note == "roark-17"
        assert bench.record().attempts == 1
        assert bench.entry().packed == b""
        assert bench.count("delivered") == 1

    def test_a_delivery_keeps_the_payload_where_retention_says_so(self, bench: Workbench) -> None:
        bench.accept("call-1", "a")

        bench.deliver(bench.take(), keep=True)

        assert bench.entry().packed == packed("call-1", "a")

    def test_a_first_try_leaves_no_history(self, bench: Workbench) -> None:
        bench.accept("call-1")

        bench.deliver(bench.take(), detail=b'{"status":200}')

        assert bench.events() == []

    def test_a_later_try_is_told_with_its_detail(self, bench: Workbench) -> None:
        bench.bring("call-1", "waiting")
        bench.clock.advance(DELAY_MS)
        bench.promote()

        bench.deliver(bench.take(), detail=b'{"status":200}')

        assert bench.events() == ["deferred", "delivered"]
        assert bench.entry().history[-1].detail == {"status": 200}
        assert bench.entry().history[-1].at_ms == bench.clock.now_ms
        assert bench.record().attempts == 2

    def test_several_outcomes_are_recorded_at_once_and_a_lost_lease_spoils_only_its_own(self, bench: Workbench) -> None:
        bench.accept_all("call-1", "call-2", "call-3")
        first, second, third = all_held(bench.claim().reports)
        bench.erase("call-2")

        outcomes = [Deliver(one, "", b"{}") for one in (first, second, third)]
        results = bench.run(delivery.deliver(outcomes, keep_payloads=False))

        assert results == [True, False, True]

    @pytest.mark.parametrize("name", ["a b", "a\nb", " ", "", "\t", "-", "x" * 300, "ä€"])
    def test_whatever_roark_calls_it_the_record_stays_readable(self, bench: Workbench, name: str) -> None:
        bench.accept("call-1")

        bench.deliver(bench.take(), name)

        assert bench.state() == "delivered"
        assert bench.accept("call-1") == "duplicate"


class TestDefer:
    def test_a_deferred_report_waits_until_it_is_due(self, bench: Workbench) -> None:
        bench.accept("call-1")

        assert bench.defer(bench.take(), 7_000, "status-503")

        assert bench.state() == "waiting"
        assert bench.entry().score_ms == bench.clock.now_ms + 7_000
        assert bench.record().note == "status-503"
        assert bench.record().attempts == 1
        assert bench.entry().history[0].detail == {"status": 503}

    def test_an_outcome_of_roark_ends_the_run_of_deaths(self, bench: Workbench) -> None:
        bench.accept("call-1")
        bench.take()
        bench.clock.advance(LEASE_MS)
        bench.reap()

        bench.defer(bench.take())

        assert bench.record().deaths == 0


class TestBury:
    def test_a_buried_report_keeps_its_payload_its_reason_and_its_history(self, bench: Workbench) -> None:
        bench.accept("call-1", "a")

        assert bench.bury(bench.take(), "status-422")

        assert bench.state() == "dead"
        assert bench.record().note == "status-422"
        assert bench.entry().packed == packed("call-1", "a")
        assert bench.entry().score_ms == bench.clock.now_ms
        assert bench.events() == ["buried"]

    @pytest.mark.parametrize("reason", ["", "two words", "line\nbreak"])
    def test_whatever_the_reason_the_record_stays_readable(self, bench: Workbench, reason: str) -> None:
        bench.accept_all("call-1", "call-2")
        first, second = all_held(bench.claim().reports)

        bench.bury(first, reason)
        bench.defer(second, DELAY_MS, reason)

        assert (bench.state("call-1"), bench.state("call-2")) == ("dead", "waiting")


class TestRelease:
    def test_a_released_report_counts_no_attempt_and_leaves_no_history(self, bench: Workbench) -> None:
        bench.accept("call-1")

        assert bench.release(bench.take())

        assert bench.state() == "ready"
        assert bench.record().attempts == 0
        assert bench.events() == []

    def test_a_fresh_report_goes_back_to_its_old_place(self, bench: Workbench) -> None:
        for number in range(3):
            bench.accept(f"call-{number}")
            bench.clock.advance(10)
        before = bench.inventory().zsets["fresh"]
        bench.clock.advance(1_000)

        for one in all_held(bench.claim(2).reports):
            bench.release(one)

        assert bench.inventory().zsets["fresh"] == before

    def test_a_retry_goes_to_the_back_of_its_own_queue(self, bench: Workbench) -> None:
        bench.bring("call-1", "waiting")
        bench.clock.advance(DELAY_MS)
        bench.promote()
        bench.clock.advance(10)

        bench.release(bench.take())

        assert bench.inventory().zsets["retry"] == [(b"call-1", float(bench.clock.now_ms))]


class TestLeases:
    @by_each_settlement
    def test_a_report_is_settled_once(self, bench: Workbench, settle: Settle) -> None:
        bench.accept("call-1")
        one = bench.take()
        assert settle(bench, one)
        before = bench.inventory()

        assert [again(bench, one) for again in SETTLE.values()] == [False] * 4

        assert bench.inventory() == before

    @by_each_settlement
    def test_a_worker_whose_lease_was_taken_back_records_nothing(self, bench: Workbench, settle: Settle) -> None:
        bench.accept("call-1")
        late = bench.take()
        bench.clock.advance(LEASE_MS)
        bench.reap()
        bench.take()
        before = bench.inventory()

        assert not settle(bench, late)

        assert bench.inventory() == before

    @by_each_settlement
    def test_a_lease_that_ran_out_still_counts_until_it_is_taken_back(self, bench: Workbench, settle: Settle) -> None:
        bench.accept("call-1")
        one = bench.take()
        bench.clock.advance(LEASE_MS * 2)

        assert settle(bench, one)

    @by_each_settlement
    def test_a_made_up_token_records_nothing(self, bench: Workbench, settle: Settle) -> None:
        bench.accept("call-1")
        one = bench.take()
        before = bench.inventory()

        assert not settle(bench, Held(one.call_id, LeaseToken(one.token + 1)))

        assert bench.inventory() == before

    def test_renewing_moves_the_end_of_the_lease(self, bench: Workbench) -> None:
        bench.accept("call-1")
        one = bench.take()
        bench.clock.advance(LEASE_MS - 1)

        assert bench.renew(one)
        bench.clock.advance(LEASE_MS - 1)

        assert bench.reap().reclaimed == 0
        assert bench.entry().score_ms == bench.clock.now_ms + 1

    def test_a_lost_lease_cannot_be_renewed(self, bench: Workbench) -> None:
        bench.accept("call-1")
        late = bench.take()
        bench.clock.advance(LEASE_MS)
        bench.reap()
        bench.take()
        before = bench.inventory()

        assert not bench.renew(late, LEASE_MS * 10)

        assert bench.inventory() == before


class TestTheNewerReportThatCameMeanwhile:
    def test_it_follows_a_delivery_as_a_revision_that_roark_must_not_skip(self, bench: Workbench) -> None:
        one = bench.bring("call-1", "uploading")
        bench.accept("call-1", "b")

        assert one is not None
        bench.deliver(one)

        (report,) = bench.claim().reports
        assert report.packed == packed("call-1", "b")
        assert report.revision
        assert report.attempts == 0
        assert bench.count("revisions") == 1
        assert bench.count("delivered") == 0
        assert bench.snapshot().balanced

    def test_it_takes_the_place_of_a_deferred_one_and_waits_as_long(self, bench: Workbench) -> None:
        one = bench.bring("call-1", "uploading")
        bench.accept("call-1", "b")

        assert one is not None
        bench.defer(one, DELAY_MS)

        assert bench.state() == "waiting"
        assert bench.entry().score_ms == bench.clock.now_ms + DELAY_MS
        assert bench.entry().packed == packed("call-1", "b")
        assert bench.record().attempts == 0
        assert bench.events() == ["deferred", "replaced"]

    def test_it_takes_the_place_of_a_buried_one_and_is_ready(self, bench: Workbench) -> None:
        one = bench.bring("call-1", "uploading")
        bench.accept("call-1", "b")

        assert one is not None
        bench.bury(one)

        (report,) = bench.claim().reports
        assert report.packed == packed("call-1", "b")
        assert not report.revision
        assert bench.events() == ["buried", "replaced"]

    def test_it_takes_the_place_of_a_released_one(self, bench: Workbench) -> None:
        one = bench.bring("call-1", "uploading")
        bench.accept("call-1", "b")

        assert one is not None
        bench.release(one)

        assert bench.state() == "ready"
        assert bench.entry().packed == packed("call-1", "b")
        assert bench.record().fingerprint == "print-b"

    def test_it_takes_the_place_of_one_whose_worker_died(self, bench: Workbench) -> None:
        bench.bring("call-1", "uploading")
        bench.accept("call-1", "b")
        bench.clock.advance(LEASE_MS)

        bench.reap()

        assert bench.state() == "ready"
        assert bench.entry().packed == packed("call-1", "b")
        assert bench.record().deaths == 0

    def test_it_outlives_a_poisoned_one(self, bench: Workbench) -> None:
        bench.bring("call-1", "uploading")
        bench.accept("call-1", "b")
        bench.clock.advance(LEASE_MS)

        bench.reap(deaths=1)

        assert bench.state() == "ready"
        assert bench.entry().packed == packed("call-1", "b")

    @by_each_settlement
    def test_it_is_no_longer_beside_when_the_attempt_is_over(self, bench: Workbench, settle: Settle) -> None:
        one = bench.bring("call-1", "uploading")
        bench.accept("call-1", "b")

        assert one is not None
        settle(bench, one)

        assert not bench.entry().has_newer
        assert bench.snapshot().besides == 0
        bench.inventory().check()
        assert bench.accept("call-1", "b") == "duplicate"


def test_the_detail_of_an_attempt_is_kept_as_it_was_given(bench: Workbench) -> None:
    bench.accept("call-1")

    bench.defer(bench.take())

    assert bench.inventory().hashes["histories"][b"call-1"].endswith(b" deferred " + DETAIL + b"\n")
