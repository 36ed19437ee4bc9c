"""The breaker: what opens it, its one probe, and how the lane comes back."""

import pytest
from road import LEASE_MS, Road

from roark_ledger.moves import delivery, desk
from roark_ledger.moves.delivery import Defer, Deliver, LaneState, Signal


class TestOpening:
    def test_most_of_the_attempts_in_the_window_have_to_fail(self, road: Road) -> None:
        road.accept(20)
        road.deliver(*road.start(4))

        road.fail(*road.start(15))
        assert road.lane.state == "open", "two of five that fail by chance could look like this"
        road.fail(*road.start(1))

        assert road.lane.state == "breaker-open"
        assert road.lane.reason == "16 of 20 attempts failed in 30 s: reason: 16"
        assert road.lane.since_ms == road.clock.now_ms
        assert road.lane.next_ms == road.clock.now_ms + 5_000
        assert road.snapshot.total("breaker_opened") == 1

    def test_fewer_than_the_least_number_do_not_open_it(self, road: Road) -> None:
        road.accept(3)

        road.fail(*road.start(3))

        assert road.lane.state == "open"

    def test_half_of_many_open_it(self, road_with: object) -> None:
        road = road_with(least=20)  # type: ignore[operator] # a fixture's function
        for _ in range(15):
            road.accept(20)
            road.deliver(*road.start(10))
            assert road.lane.state == "open"
            road.fail(*road.start(10))

        assert road.lane.state == "breaker-open"

    def test_refusals_that_come_at_once_do_not_outrun_good_answers_that_take_their_time(
        self, road_with: object
    ) -> None:
        road = road_with(least=20)  # type: ignore[operator] # a fixture's function
        for _ in range(40):
            road.accept(5)
            road.fail(*road.start(5)[:2])
            road.clock.advance(50)

        assert road.lane.state == "open", "80 refusals in a row, and 120 uploads that are still out"
        road.deliver(*road.out)
        assert road.snapshot.total("breaker_opened") == 0

    def test_uploads_that_hang_are_no_good_ones_that_take_their_time(self, road_with: object) -> None:
        road = road_with(least=20)  # type: ignore[operator] # a fixture's function
        road.accept(60)
        for _ in range(30):
            road.start(1)
            road.clock.advance(50)
        road.clock.advance(5_000)
        for one in road.out[:19]:
            road.fail(one)
            road.start(1)
            road.clock.advance(50)
        assert road.lane.state == "open"

        road.fail(road.out[0])

        assert road.lane.state == "breaker-open"

    def test_failures_of_long_ago_do_not_count(self, road: Road) -> None:
        road.accept(4)
        road.fail(*road.start(3))
        road.clock.advance(60_000)

        road.fail(*road.start(1))

        assert road.lane.state == "open"

    def test_as_many_in_a_row_as_the_least_number_open_it_however_many_succeeded_before(self, road: Road) -> None:
        road.accept(105)
        for _ in range(2):
            road.deliver(*road.start(50))
        road.fail(*road.start(1))
        for _ in range(3):
            assert road.lane.state == "open"
            road.clock.advance(200)
            road.fail(*road.start(1))

        assert road.lane.state == "breaker-open"
        assert road.lane.reason == "4 attempts in a row failed, in 0.6 s: reason: 4"

    def test_one_success_that_began_in_between_ends_the_row(self, road: Road) -> None:
        road.accept(110)
        road.deliver(*road.start(50))
        road.deliver(*road.start(50))
        road.fail(*road.start(1))
        for _ in range(2):
            road.clock.advance(200)
            road.fail(*road.start(1))
        road.deliver(*road.start(1))
        road.clock.advance(200)

        road.fail(*road.start(2))

        assert road.lane.state == "open"

    def test_slow_answers_from_before_the_first_failure_do_not_end_the_row(self, road: Road) -> None:
        road.accept(160)
        road.deliver(*road.start(50))
        road.deliver(*road.start(50))
        slow = road.start(20)
        road.clock.advance(200)
        road.fail(*road.start(1))
        for one in slow[:3]:
            road.clock.advance(200)
            road.deliver(one)
            road.fail(*road.start(1))

        assert road.lane.state == "breaker-open"

    def test_uploads_that_all_end_at_one_moment_are_one_failure_in_the_row(self, road: Road) -> None:
        road.accept(180)
        for _ in range(3):
            road.deliver(*road.start(50))

        road.fail(*road.start(20))

        assert road.lane.state == "open", "a proxy that restarts drops all its connections"

    @pytest.mark.parametrize("signal", [Signal.NONE, Signal.OVERLOAD, Signal.UNSENT])
    def test_what_is_no_failure_of_roarks_never_opens_it(self, road: Road, signal: Signal) -> None:
        road.accept(20)

        started = road.start(20)
        road.fail(*started[:10], signal=signal)
        road.bury(*started[10:], signal=signal)

        assert road.snapshot.total("breaker_opened") == 0

    def test_a_breaker_of_least_0_never_opens(self, road_with: object) -> None:
        road = road_with(least=0)  # type: ignore[operator] # a fixture's function
        road.accept(100)

        road.fail(*road.start(100))

        assert road.lane.state == "open"

    def test_what_was_in_flight_when_it_opened_is_settled_and_changes_nothing(self, road: Road) -> None:
        road.accept(17)
        late = road.start(3)
        road.fail(*road.start(14))
        assert road.lane.state == "breaker-open"
        until = road.lane.next_ms

        road.clock.advance(1_000)
        road.deliver(late[0])
        road.fail(late[1])
        road.bury(late[2])

        assert (road.lane.state, road.lane.next_ms) == ("breaker-open", until)
        assert road.snapshot.total("breaker_opened") == 1


class TestTheProbe:
    def test_nothing_is_handed_out_before_the_cooldown_is_over(self, road: Road) -> None:
        road.break_open()
        road.accept(10)
        road.clock.advance(4_999)

        claim = road.claim()

        assert (claim.lane, claim.wait_ms, claim.reports) == (LaneState.BREAKER_OPEN, 1, ())

    def test_it_is_one_report_however_many_are_wanted_and_however_many_ask(self, road: Road) -> None:
        road.break_open()
        road.accept(10)
        road.clock.advance(5_000)

        claims = [road.claim() for _ in range(5)]

        assert [len(claim.reports) for claim in claims] == [1, 0, 0, 0, 0]
        assert {claim.lane for claim in claims} == {LaneState.HALF_OPEN}
        assert claims[1].wait_ms == LEASE_MS

    def test_as_long_as_its_lease_is_prolonged_there_is_no_other(self, road: Road) -> None:
        road.break_open()
        one = road.probe()
        road.accept(10)
        for _ in range(6):
            road.clock.advance(10_000)
            road.run(delivery.renew([one], lease_ms=LEASE_MS))

            assert road.claim().reports == ()

    def test_a_lost_one_is_followed_by_another_when_its_lease_ends(self, road: Road) -> None:
        road.break_open()
        road.probe()
        road.accept()
        road.clock.advance(LEASE_MS - 1)
        assert road.claim().reports == ()
        road.clock.advance(1)

        assert len(road.claim().reports) == 1

    def test_one_that_is_given_back_is_followed_by_another_at_once(self, road: Road) -> None:
        road.break_open()

        road.release(road.probe())

        assert len(road.claim().reports) == 1

    def test_one_that_was_never_sent_tells_nothing(self, road: Road) -> None:
        road.break_open()

        road.bury(road.probe(), signal=Signal.UNSENT)

        assert road.lane.state == "half-open"
        road.accept()
        assert len(road.claim().reports) == 1

    def test_one_that_is_erased_is_followed_by_another(self, road: Road) -> None:
        road.break_open()
        one = road.probe()

        road.run(desk.erase(one.call_id, key=b"key", who=b"{}"))

        road.accept()
        assert len(road.claim().reports) == 1

    def test_it_waits_as_long_as_roark_asked_for(self, road: Road) -> None:
        road.accept(14)
        road.fail(*road.start(4), pause_ms=120_000)
        road.clock.advance(5_000)

        claim = road.claim()

        assert (claim.lane, claim.wait_ms, claim.reports) == (LaneState.BREAKER_OPEN, 115_000, ())
        assert road.lane.next_ms == road.clock.now_ms + 115_000
        road.clock.advance(115_000)
        assert [len(road.claim().reports) for _ in range(2)] == [1, 0]

    def test_a_bad_one_doubles_the_cooldown_up_to_the_longest(self, road: Road) -> None:
        road.break_open()
        gaps = []
        for _ in range(5):
            road.fail(road.probe())
            gaps.append(road.lane.next_ms - road.clock.now_ms)

        assert gaps == [10_000, 20_000, 40_000, 60_000, 60_000]

    def test_not_so_fast_is_no_failure_and_no_reason_to_go_on_at_full_speed(self, road: Road) -> None:
        road.break_open()

        road.fail(road.probe(), signal=Signal.OVERLOAD)

        assert road.lane.state == "breaker-open"
        assert road.lane.next_ms - road.clock.now_ms == 5_000

    @pytest.mark.parametrize("how", ["deliver", "bury", "fail"])
    def test_one_that_roark_judges_closes_it(self, road: Road, how: str) -> None:
        road.break_open()
        one = road.probe()

        if how == "fail":
            road.fail(one, signal=Signal.NONE)
        else:
            getattr(road, how)(one)

        assert (road.lane.state, road.lane.reason, road.lane.since_ms) == ("open", "", 0)


class TestEvidence:
    @staticmethod
    def fail(road: Road, *causes: str) -> None:
        held = road.start(len(causes))
        failed = [Defer(one, 60_000, cause, b"{}", Signal.FAULT) for one, cause in zip(held, causes, strict=True)]
        assert all(road.run(delivery.defer(failed, rules=road.rules)))
        road.out = [one for one in road.out if one not in held]

    def test_it_counts_the_causes_the_most_frequent_first_and_names_some_calls(self, road: Road) -> None:
        road.accept(4)
        self.fail(road, "http_503", "connect_tls", "connect_tls", "connect_tls")

        evidence = road.lane.evidence
        assert list(evidence.reasons.items()) == [("connect_tls", 3), ("http_503", 1)]
        assert evidence.calls == ("call 0", "call 1", "call 2")
        assert road.lane.reason == "4 of 4 attempts failed in 30 s: connect_tls: 3, http_503: 1"

    def test_what_failed_long_before_is_not_among_it(self, road: Road) -> None:
        road.accept(5)
        self.fail(road, "http_503")
        road.clock.advance(120_000)

        self.fail(road, "connect_dns", "connect_dns", "connect_dns", "connect_dns")

        assert road.lane.evidence.reasons == {"connect_dns": 4}

    def test_a_probe_that_fails_of_something_else_says_what_is_to_be_mended_now(self, road: Road) -> None:
        road.break_open()
        road.clock.advance(max(0, road.lane.next_ms - road.clock.now_ms))
        road.accept()

        self.fail(road, "connect_dns")

        assert road.lane.evidence.reasons == {"connect_dns": 1}

    def test_it_is_gone_when_the_breaker_is_closed(self, road: Road) -> None:
        road.break_open()

        road.deliver(road.probe())

        assert road.lane.evidence.reasons == {}


class TestTelling:
    def test_whoever_records_the_failure_that_opens_it_is_told_the_evidence(self, road: Road) -> None:
        road.accept(4)
        failed = [Defer(one, 1_000, "http_500", b"{}", Signal.FAULT) for one in road.start(4)]

        recorded = road.run(delivery.defer(failed, rules=road.rules))

        assert recorded == [True] * 4
        assert recorded.news == (("breaker_opened", "4 of 4 attempts failed in 30 s"),)

    def test_whoever_records_the_good_probe_is_told_that_the_lane_is_open(self, road: Road) -> None:
        road.break_open()
        one = road.probe()

        recorded = road.run(delivery.deliver([Deliver(one, "roark-1", b"{}")], keep_payloads=False, rules=road.rules))

        assert recorded == [True]
        assert recorded.news == (("lane_open", "a probe was good"),)

    def test_otherwise_there_is_nothing_to_tell(self, road: Road) -> None:
        road.accept(1)

        recorded = road.run(
            delivery.deliver([Deliver(road.start()[0], "roark-1", b"{}")], keep_payloads=False, rules=road.rules)
        )

        assert recorded.news == ()


class TestComingBack:
    def test_the_level_starts_low_and_doubles_with_each_round(self, road: Road) -> None:
        road.break_open()
        road.deliver(road.probe())
        road.accept(300)
        rounds = []
        for _ in range(6):
            found = road.claim(200)
            rounds.append(len(found.reports))
            road.clock.advance(100)
            road.deliver(*road.out)

        assert rounds == [5, 10, 20, 40, 64, 64], "4, and one for the probe itself"

    def test_failures_right_after_it_closed_open_it_again_for_twice_as_long(self, road: Road) -> None:
        road.break_open()
        road.fail(road.probe())
        road.deliver(road.probe())
        road.accept(8)

        road.fail(*road.start(1))
        road.clock.advance(1)
        road.fail(*road.start(3))

        assert road.lane.state == "breaker-open"
        assert road.lane.next_ms - road.clock.now_ms == 20_000

    def test_after_some_good_ones_it_begins_with_the_first_cooldown(self, road: Road) -> None:
        road.break_open()
        road.fail(road.probe())
        road.deliver(road.probe())
        road.accept(20)
        road.clock.advance(100)
        road.deliver(*road.start(4))
        road.clock.advance(60_000)

        road.fail(*road.start(8))

        assert road.lane.next_ms - road.clock.now_ms == 5_000

    def test_resuming_by_hand_lets_the_probe_through_at_once(self, road: Road) -> None:
        road.break_open()

        road.run(delivery.resume(by="ada"))

        road.accept(10)
        assert [len(road.claim().reports) for _ in range(3)] == [1, 0, 0]

    def test_resuming_by_hand_while_the_probe_is_out_makes_no_second_one(self, road: Road) -> None:
        road.break_open()
        one = road.probe()

        road.run(delivery.resume(by="ada"))

        road.accept(10)
        assert road.claim().reports == ()
        road.deliver(one)
        assert road.lane.state == "open"


class TestBesideAHold:
    def test_a_breakers_probe_that_roark_refuses_puts_the_lane_on_hold(self, road: Road) -> None:
        road.break_open()

        road.refuse(road.probe())

        assert (road.lane.state, road.lane.by) == ("held", "roark")
        assert road.lane.next_ms - road.clock.now_ms == 10_000

    def test_the_holds_good_probe_closes_the_breaker_too(self, road: Road) -> None:
        road.break_open()
        road.refuse(road.probe())

        road.deliver(road.probe())

        assert road.lane.state == "open"

    def test_the_holds_probe_goes_out_alone_though_the_breaker_has_one_due(self, road: Road) -> None:
        road.break_open()
        road.refuse(road.probe())
        road.clock.advance(60_000)
        road.accept(10)

        claims = [road.claim() for _ in range(3)]

        assert [len(claim.reports) for claim in claims] == [1, 0, 0]
        assert claims[0].lane is LaneState.PROBING

    def test_a_hold_by_hand_outlasts_the_breakers_good_probe(self, road: Road) -> None:
        road.break_open()
        one = road.probe()
        road.run(delivery.hold(by="ada", reason="Roark is being moved"))

        road.deliver(one)

        assert (road.lane.state, road.lane.by) == ("held", "ada")
        road.run(delivery.resume(by="ada"))
        assert road.lane.state == "open", "the breaker's probe was good meanwhile"

    def test_resuming_by_hand_leaves_the_breakers_probe_to_find_out(self, road: Road) -> None:
        road.break_open()
        one = road.probe()
        road.run(delivery.hold(by="ada", reason="Roark is being moved"))

        road.run(delivery.resume(by="ada"))

        road.accept(10)
        assert road.lane.state == "half-open"
        assert road.claim().reports == ()
        road.deliver(one)
        assert road.lane.state == "open"
