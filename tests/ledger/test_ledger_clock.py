"""The server's clock jumps an hour, either way: nothing is lost, and nothing stands still for an hour."""

import pytest
from workbench import DELAY_MS, LEASE_MS, Workbench, all_held

from roark_ledger.flow import FlowRules
from roark_ledger.moves import delivery, upkeep
from roark_ledger.moves.delivery import Signal
from roark_ledger.moves.upkeep import Reaped
from roark_ledger.records.accounts import Accounts

HOUR_MS = 3_600_000
SOON_MS = 65_000
RULES = FlowRules(
    per_second=1,
    burst=1,
    ceiling=100,
    adaptive=False,
    window_ms=30_000,
    least=2,
    share=0.5,
    cooldown_ms=5_000,
    longest_cooldown_ms=60_000,
)


def claim(bench: Workbench) -> list[str]:
    got = bench.run(delivery.claim(wanted=1, lease_ms=LEASE_MS, listen_ms=400, most_bytes=10**9, rules=RULES))
    return [report.call_id for report in got.reports]


class TestAnHourBack:
    def test_a_report_that_waits_is_due_after_its_own_delay(self, bench: Workbench) -> None:
        bench.promote()
        bench.bring("call-1", "waiting")
        bench.clock.advance(1_000 - HOUR_MS)
        assert bench.promote() == 0

        bench.clock.advance(DELAY_MS)

        assert bench.promote() == 1
        assert bench.state() == "ready"

    def test_it_does_not_matter_how_many_wait(self, bench: Workbench) -> None:
        bench.promote()
        bench.accept_all(*(f"call-{number}" for number in range(25)))
        for one in all_held(bench.claim().reports):
            bench.defer(one)
        bench.clock.advance(-HOUR_MS)
        for _ in range(6):
            assert bench.promote(most=5) == 0
        bench.clock.advance(DELAY_MS)

        assert bench.promote() == 25

    def test_what_began_to_wait_by_the_new_clock_keeps_its_time(self, bench: Workbench) -> None:
        bench.promote()
        bench.clock.advance(-HOUR_MS)
        bench.bring("call-1", "waiting")
        bench.clock.advance(1_000)
        bench.promote()
        bench.clock.advance(DELAY_MS - 1_001)
        assert bench.promote() == 0
        bench.clock.advance(1)

        assert bench.promote() == 1

    def test_the_report_of_a_worker_that_died_comes_back_after_its_lease(self, bench: Workbench) -> None:
        bench.bring("call-1", "uploading")
        bench.clock.advance(-HOUR_MS)
        assert bench.reap() == Reaped(0)

        bench.clock.advance(LEASE_MS)

        assert bench.reap() == Reaped(1)

    def test_a_worker_that_lives_keeps_its_report(self, bench: Workbench) -> None:
        one = bench.bring("call-1", "uploading")
        assert one
        bench.clock.advance(-HOUR_MS)
        for _ in range(5):
            bench.reap()
            bench.clock.advance(LEASE_MS // 2)
            assert bench.renew(one)

        assert bench.reap() == Reaped(0)
        assert bench.deliver(one)

    def test_a_rate_limit_lets_the_next_one_through(self, bench: Workbench) -> None:
        bench.accept_all("call-1", "call-2", "call-3")
        assert claim(bench) == ["call-1"]
        bench.clock.advance(-HOUR_MS)
        assert claim(bench) == []

        bench.clock.advance(1_000)

        assert claim(bench) == ["call-2"]

    def test_an_open_breaker_lets_its_probe_through(self, bench: Workbench) -> None:
        bench.accept_all("call-1", "call-2", "call-3")
        first, second = all_held(bench.claim(2).reports)
        for one in (first, second):
            failed = delivery.Defer(one, DELAY_MS, "http_503", b"{}", Signal.FAULT)
            bench.run(delivery.defer([failed], rules=RULES))
        assert bench.lane().state == "breaker-open"
        bench.clock.advance(-HOUR_MS)
        assert claim(bench) == []

        bench.clock.advance(SOON_MS)

        assert claim(bench) == ["call-3"]

    def test_a_held_lane_is_probed(self, bench: Workbench) -> None:
        bench.accept_all("call-1", "call-2")
        one = bench.take("call-1")
        bench.hold_by_roark(one)
        bench.release(one)
        bench.clock.advance(-HOUR_MS)
        bench.claim(1)

        bench.clock.advance(SOON_MS)

        assert len(bench.claim(1).reports) == 1

    def test_a_lost_wake_up_is_replaced(self, bench: Workbench) -> None:
        bench.accept_all("call-1", "call-2")
        bench.take("call-1")
        bench.clock.advance(-HOUR_MS)
        bench.pulse()
        bench.clock.advance(2_000)

        assert bench.pulse()

    def test_the_audit_takes_its_turn(self, bench: Workbench) -> None:
        ask = upkeep.audit_turn(who="a", every_ms=600_000, patience_ms=60_000)
        assert bench.run(ask)
        bench.run(upkeep.audit_done(Accounts(looked_at=1, took_ms=1), who="a"))
        assert not bench.run(ask)

        bench.clock.advance(-HOUR_MS)

        assert bench.run(ask)

    def test_memory_is_looked_at_again(self, real_bench: Workbench) -> None:
        real_bench.accept("call-1")
        real_bench.clock.advance(-HOUR_MS)
        real_bench.accept("call-2")

        assert real_bench.ledger.client.hget(real_bench.ledger.calls.keys.lane, "memory_at") == b"%d" % (
            real_bench.clock.now_ms
        )


class TestAnHourAhead:
    @pytest.mark.parametrize("state", ["ready", "uploading", "waiting", "dead", "discarded"])
    def test_nothing_is_lost(self, bench: Workbench, state: str) -> None:
        bench.bring("call-1", state)
        bench.clock.advance(HOUR_MS)
        bench.promote()
        bench.reap()

        assert bench.state() == (state if state in {"dead", "discarded"} else "ready")

    def test_one_jump_is_not_three_deaths(self, bench: Workbench) -> None:
        bench.bring("call-1", "uploading")
        bench.clock.advance(HOUR_MS)

        assert bench.reap() == Reaped(1)
        assert bench.reap() == Reaped(0)

    def test_who_held_a_report_records_nothing_over_the_next_holder(self, bench: Workbench) -> None:
        one = bench.bring("call-1", "uploading")
        assert one
        bench.clock.advance(HOUR_MS)
        bench.reap()
        bench.take("call-1")

        assert not bench.deliver(one)

    def test_and_back_again_it_goes_on_as_before(self, bench: Workbench) -> None:
        bench.promote()
        bench.clock.advance(HOUR_MS)
        bench.promote()
        bench.bring("call-1", "uploading")
        bench.bring("call-2", "waiting")
        bench.accept("call-3")
        bench.clock.advance(-HOUR_MS)
        bench.promote()
        bench.reap()
        bench.clock.advance(SOON_MS)
        bench.promote()
        bench.reap()

        assert sorted(bench.claimed_ids()) == ["call-1", "call-2", "call-3"]
