"""The gate: what a claim hands out, in which order and shares, and under which lease."""

import pytest
from workbench import DELAY_MS, LEASE_MS, PLENTY, Workbench, all_held, packed

from roark_ledger.ids import CallId
from roark_ledger.moves import intake
from roark_ledger.moves.delivery import LaneState
from roark_ledger.moves.intake import Acceptable


def queues(ids: list[str]) -> dict[str, int]:
    found = {"fresh": 0, "retry": 0, "replay": 0}
    for call_id in ids:
        found[call_id.split("-")[0]] += 1
    return found


def ready(bench: Workbench, **wanted: int) -> None:
    """Make so many reports ready on each queue; their ids begin with the queue's name."""
    doomed = [f"replay-{number:03}" for number in range(wanted.get("replay", 0))]
    late = [f"retry-{number:03}" for number in range(wanted.get("retry", 0))]
    if doomed or late:
        bench.accept_all(*doomed, *late)
        for one in all_held(bench.claim(len(doomed) + len(late)).reports):
            if one.call_id in doomed:
                bench.bury(one)
            else:
                bench.defer(one, DELAY_MS)
        bench.clock.advance(DELAY_MS)
        bench.promote()
        bench.replay(*doomed)
    if fresh := wanted.get("fresh"):
        bench.accept_all(*(f"fresh-{number:03}" for number in range(fresh)))


class TestWhatIsHandedOut:
    def test_a_claim_on_an_empty_ledger_gets_nothing_and_may_ask_again_at_once(self, bench: Workbench) -> None:
        claim = bench.claim()

        assert (claim.lane, claim.wait_ms, claim.reports) == (LaneState.OPEN, 0, ())

    def test_a_claimed_report_comes_with_all_that_its_upload_needs(self, bench: Workbench) -> None:
        bench.accept("call-1", "a")
        bench.clock.advance(1_234)

        (report,) = bench.claim().reports

        assert report.call_id == "call-1"
        assert report.packed == packed("call-1", "a")
        assert report.age_ms == 1_234
        assert report.attempts == 0
        assert not report.revision

    def test_reports_come_oldest_first(self, bench: Workbench) -> None:
        for call_id in ("call-3", "call-1", "call-2"):
            bench.accept(call_id)
            bench.clock.advance(1)

        assert bench.claimed_ids(2) == ["call-3", "call-1"]
        assert bench.claimed_ids() == ["call-2"]

    def test_a_claimed_report_is_handed_out_only_once(self, bench: Workbench) -> None:
        bench.accept("call-1")

        assert bench.claimed_ids() == ["call-1"]
        assert bench.claimed_ids() == []
        assert bench.state() == "uploading"

    def test_no_more_than_wanted_is_handed_out(self, bench: Workbench) -> None:
        ready(bench, fresh=5)

        assert len(bench.claimed_ids(3)) == 3
        assert len(bench.claimed_ids(3)) == 2

    def test_each_claim_has_a_token_of_its_own(self, bench: Workbench) -> None:
        ready(bench, fresh=4)

        first, second = (bench.claim(2).reports for _ in range(2))

        assert len({report.token for report in first}) == 1
        assert first[0].token < second[0].token

    def test_the_lease_ends_when_it_was_said_to(self, bench: Workbench) -> None:
        bench.accept("call-1")

        bench.claim(lease_ms=LEASE_MS)

        assert bench.entry().score_ms == bench.clock.now_ms + LEASE_MS

    def test_a_claim_of_more_than_a_script_can_write_back_gets_a_thousand(self, bench: Workbench) -> None:
        bench.accept_all(*(f"call-{number}" for number in range(1_500)))

        assert len(bench.claimed_ids(10_000)) == 1_000
        assert len(bench.claimed_ids(10_000)) == 500
        bench.inventory().check()


class TestShares:
    """Of eight slots five go to fresh reports, two to retries, one to replays."""

    def test_each_queue_gets_its_share_of_eight_slots(self, bench: Workbench) -> None:
        ready(bench, fresh=20, retry=20, replay=20)

        assert queues(bench.claimed_ids(8)) == {"fresh": 5, "retry": 2, "replay": 1}

    def test_single_claims_add_up_to_the_same_shares(self, bench: Workbench) -> None:
        ready(bench, fresh=20, retry=20, replay=20)

        ids = [bench.claimed_ids(1)[0] for _ in range(16)]

        assert queues(ids) == {"fresh": 10, "retry": 4, "replay": 2}

    def test_claims_of_three_add_up_to_the_same_shares(self, bench: Workbench) -> None:
        ready(bench, fresh=20, retry=20, replay=20)

        ids = [call_id for _ in range(8) for call_id in bench.claimed_ids(3)]

        assert queues(ids) == {"fresh": 15, "retry": 6, "replay": 3}

    @pytest.mark.parametrize(
        ("there", "handed_out"),
        [
            ({"fresh": 20}, {"fresh": 8, "retry": 0, "replay": 0}),
            ({"retry": 20}, {"fresh": 0, "retry": 8, "replay": 0}),
            ({"replay": 20}, {"fresh": 0, "retry": 0, "replay": 8}),
            ({"fresh": 20, "retry": 1}, {"fresh": 7, "retry": 1, "replay": 0}),
            ({"fresh": 1, "retry": 20, "replay": 20}, {"fresh": 1, "retry": 6, "replay": 1}),
            ({"fresh": 2, "retry": 1, "replay": 20}, {"fresh": 2, "retry": 1, "replay": 5}),
            ({"fresh": 1, "retry": 1, "replay": 1}, {"fresh": 1, "retry": 1, "replay": 1}),
        ],
    )
    def test_what_a_queue_cannot_use_goes_to_the_others_fresh_first(
        self, bench: Workbench, there: dict[str, int], handed_out: dict[str, int]
    ) -> None:
        ready(bench, **there)

        assert queues(bench.claimed_ids(8)) == handed_out

    def test_a_replay_of_many_does_not_hold_up_a_live_call(self, bench: Workbench) -> None:
        ready(bench, replay=40)
        bench.accept("fresh-live")

        assert "fresh-live" in bench.claimed_ids(8)


class TestBytes:
    def test_a_claim_stops_before_it_gets_larger_than_wanted(self, bench: Workbench) -> None:
        ready(bench, fresh=5)
        size = len(packed("fresh-000", "a"))

        assert len(bench.claim(5, most_bytes=3 * size).reports) == 3

    def test_one_that_is_larger_than_wanted_comes_alone(self, bench: Workbench) -> None:
        ready(bench, fresh=2)

        assert len(bench.claim(5, most_bytes=1).reports) == 1

    def test_what_is_left_keeps_its_place_in_the_queue(self, bench: Workbench) -> None:
        for number in range(4):
            bench.accept(f"call-{number}")
            bench.clock.advance(10)
        before = bench.inventory().zsets["fresh"]

        bench.claim(4, most_bytes=1)

        assert bench.inventory().zsets["fresh"] == before[1:]
        assert bench.record("call-1").state == "ready"
        bench.inventory().check()


class TestLargeReports:
    def test_a_claim_reads_no_more_than_it_hands_out(self, real_bench: Workbench) -> None:
        large = bytes(2_000_000)
        for number in range(32):
            one = Acceptable(CallId(f"call-{number:02}"), "print", large)
            real_bench.run(intake.accept([one], revisions="record", per_wakeup=64))
            real_bench.clock.advance(1)

        def timed(most_bytes: int) -> tuple[list[str], int]:
            real_bench.ledger.client.config_resetstat()
            claim = real_bench.claim(32, most_bytes=most_bytes)
            took_us = real_bench.ledger.client.info("commandstats")["cmdstat_evalsha"]["usec"]
            return [one.call_id for one in claim.reports], took_us

        some, some_us = timed(4 * len(large))
        others, others_us = timed(PLENTY)

        assert some + others == [f"call-{number:02}" for number in range(32)]
        assert len(some) == 4
        assert some_us < others_us / 3, "to read all 32 takes as long as to hand out 28"
        real_bench.inventory().check()

    def test_one_whose_payload_is_lost_does_not_take_the_place_of_the_first(self, bench: Workbench) -> None:
        bench.accept_all("call-1", "call-2", "call-3")
        bench.ledger.client.hdel(bench.ledger.calls.keys.payloads, "call-1")

        claim = bench.claim(3, most_bytes=1)

        assert [one.call_id for one in claim.reports] == ["call-2"]
        assert [bench.state(f"call-{number}") for number in (1, 2, 3)] == ["dead", "uploading", "ready"]


class TestThePulse:
    def test_nothing_ready_needs_no_wake_up(self, bench: Workbench) -> None:
        assert not bench.pulse()

    def test_ready_reports_that_nobody_ever_claimed_need_one(self, bench: Workbench) -> None:
        bench.accept("call-1")

        assert bench.pulse()

    def test_ready_reports_behind_a_claim_of_just_now_need_none_yet(self, bench: Workbench) -> None:
        ready(bench, fresh=2)
        bench.claim(1)
        bench.clock.advance(999)
        assert not bench.pulse(quiet_ms=1_000)

        bench.clock.advance(1)

        assert bench.pulse(quiet_ms=1_000)

    @pytest.mark.parametrize("state", ["uploading", "waiting", "delivered", "dead", "discarded", "erased"])
    def test_only_ready_reports_need_a_wake_up(self, bench: Workbench, state: str) -> None:
        bench.bring("call-1", state)
        bench.clock.advance(10_000)

        assert not bench.pulse()

    def test_a_hold_by_hand_needs_none(self, bench: Workbench) -> None:
        bench.accept("call-1")
        bench.hold_by_hand()
        bench.clock.advance(1_000_000)

        assert not bench.pulse()

    def test_a_hold_by_roark_needs_one_when_the_probe_is_due(self, bench: Workbench) -> None:
        bench.accept("call-1")
        bench.hold_by_roark(gap_ms=5_000)
        bench.clock.advance(4_999)
        assert not bench.pulse()

        bench.clock.advance(1)

        assert bench.pulse()

    def test_a_wake_up_that_was_lost_costs_the_quiet_time_and_not_a_report(self, bench: Workbench) -> None:
        assert bench.accept_all("call-1").wake
        bench.clock.advance(1_000)

        assert bench.pulse(quiet_ms=1_000)
        assert bench.claim(most_bytes=PLENTY).reports
