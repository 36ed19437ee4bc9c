"""The lane in its home, for reports that lie in partitions: leave to upload, and what came of it."""

import pytest
from clocks import Clock

from roark_ledger.flow import FlowRules
from roark_ledger.ids import CallId, LeaseToken
from roark_ledger.ledger import Ledger
from roark_ledger.moves import delivery, lane, watch
from roark_ledger.moves.delivery import Bury, Defer, Deliver, Held, LaneState, Outcome, Refuse, Release, Signal
from roark_ledger.moves.lane import Leave, Noted, PermitId, Uploaded
from roark_ledger.records.lane import Lane

LEASE_MS = 60_000
LONGEST_GAP_MS = 60_000


class Home:
    """Runs the lane's operations with a test's usual arguments."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self.ledger = ledger
        self.clock = clock
        self.rules = FlowRules()

    def permit(self, wanted: int = 1, *, ready: int = 100, untried: int = 100) -> Leave:
        ask = lane.permit(wanted=wanted, lease_ms=LEASE_MS, rules=self.rules, ready=ready, untried=untried)
        return self.ledger.run(ask)

    def take(self) -> PermitId:
        (permit,) = self.permit().permits
        return permit

    def give_back(self, *permits: PermitId) -> int:
        return self.ledger.run(lane.give_back(permits, rules=self.rules))

    def tell(self, *uploaded: tuple[PermitId, str, Outcome | None], ready: int = 100, most_sends: int = 20) -> Noted:
        told = [Uploaded(*one) for one in uploaded]
        return self.ledger.run(
            lane.outcomes(told, rules=self.rules, ready=ready, longest_gap_ms=LONGEST_GAP_MS, most_sends=most_sends)
        )

    def lane(self) -> Lane:
        return self.ledger.run(watch.snapshot()).lane

    @property
    def out(self) -> int:
        return self.ledger.client.zcard(self.ledger.calls.keys.uploading)  # type: ignore[return-value]

    def send(self, call_id: str, outcome: str, *, ready: int = 100) -> Noted:
        """Start an upload that is over after 10 ms."""
        permit = self.take()
        self.clock.advance(10)
        return self.tell((permit, call_id, said(call_id, outcome)), ready=ready)

    def hold(self) -> None:
        """Have three different reports refused."""
        permits = self.permit(3).permits
        self.clock.advance(10)
        self.tell(*((permit, f"h-{permit}", said("h", "401")) for permit in permits))
        assert self.lane().state == "held"

    def probe(self) -> PermitId:
        """Wait until the next probe goes."""
        self.clock.advance(max(0, self.lane().next_ms - self.clock.now_ms))
        leave = self.permit(10)
        assert leave.lane is LaneState.PROBING
        (permit,) = leave.permits
        return permit


def said(call_id: str, outcome: str, took_ms: int = 10) -> Outcome:
    held = Held(CallId(call_id), LeaseToken(1))
    match outcome:
        case "good":
            return Deliver(held, "roark-1", b"{}", took_ms)
        case "released":
            return Release(held)
        case "503":
            return Defer(held, 5000, "http_503", b"{}", Signal.FAULT)
        case "429":
            return Defer(held, 5000, "http_429", b"{}", Signal.OVERLOAD)
        case "422":
            return Bury(held, "http_422", b"{}")
        case "unsent":
            return Defer(held, 5000, "waits_for_audio", b"{}", Signal.UNSENT)
    return Refuse(held, f"http_{outcome}", "No permission", b"{}", b"{}", took_ms)


@pytest.fixture
def home(real_ledger: Ledger, clock: Clock) -> Home:
    return Home(real_ledger, clock)


def test_a_story_of_a_lane_in_its_home(ledger: Ledger, clock: Clock) -> None:
    """On each backend; the others are told on real servers only, where they take a fifth of the time."""
    home = Home(ledger, clock)
    home.rules = FlowRules(per_second=10, burst=3)
    home.give_back(*home.permit(3).permits)
    home.send("a", "good")
    home.send("b", "401")
    home.rules = FlowRules()
    home.hold()
    home.tell((home.probe(), "p", said("p", "good")))

    assert home.lane().state == "open"
    assert home.ledger.run(lane.passes(rules=home.rules))
    assert home.out == 0


class TestLeave:
    def test_is_given_as_often_as_it_is_wanted(self, home: Home) -> None:
        leave = home.permit(5)

        assert leave.lane is LaneState.OPEN
        assert len(set(leave.permits)) == 5
        assert home.out == 5
        assert not [one for one in leave.permits if " " in one]

    def test_counts_in_the_level_until_its_outcome_is_told(self, home: Home) -> None:
        home.rules = FlowRules(ceiling=3)
        first = home.permit(5).permits
        refused = home.permit(5)

        home.tell((first[0], "call-1", said("call-1", "good")))

        assert (len(first), refused.permits) == (3, ())
        assert len(home.permit(5).permits) == 1

    @pytest.mark.parametrize("outcome", ["good", "503", "429", "422", "401", "unsent", "released"])
    def test_ends_with_any_outcome(self, home: Home, outcome: str) -> None:
        home.send("call-1", outcome)

        assert home.out == 0

    def test_ends_with_its_lease_when_its_worker_died(self, home: Home) -> None:
        home.rules = FlowRules(ceiling=2)
        home.permit(2)

        home.clock.advance(LEASE_MS - 1)
        too_early = home.permit(2)
        home.clock.advance(1)

        assert too_early.permits == ()
        assert len(home.permit(2).permits) == 2

    def test_is_prolonged_while_its_upload_lives(self, home: Home) -> None:
        home.rules = FlowRules(ceiling=2)
        kept, _ = home.permit(2).permits
        home.clock.advance(LEASE_MS - 1)

        assert home.ledger.run(lane.prolong([kept, PermitId("1.1.0.1")], lease_ms=LEASE_MS)) == [True, False]
        home.clock.advance(1)
        assert len(home.permit(2).permits) == 1

    def test_that_ended_is_not_counted_again(self, home: Home) -> None:
        permit = home.take()

        first = home.tell((permit, "call-1", said("call-1", "503")))
        again = home.tell((permit, "call-1", said("call-1", "503")))

        assert (first.flags, again.flags) == ((True,), (False,))

    def test_outlives_a_clock_that_is_set_back_by_its_own_lease(self, home: Home) -> None:
        home.rules = FlowRules(ceiling=1)
        home.permit()

        home.clock.advance(-3_600_000)
        first = home.permit()
        home.clock.advance(LEASE_MS)

        assert first.permits == ()
        assert len(home.permit().permits) == 1

    def test_tells_what_partitions_have_to_know_of_the_lane(self, home: Home) -> None:
        before = home.permit()
        home.ledger.run(delivery.hold(by="ada", reason="moved"))
        home.ledger.run(delivery.resume(by="ada"))
        home.clock.advance(500)

        assert (before.route, before.resumed_ms) == (None, None)
        assert home.permit().resumed_ms == 500


class TestRate:
    def test_is_charged_for_leave(self, home: Home) -> None:
        home.rules = FlowRules(per_second=10, burst=3)

        assert len(home.permit(5).permits) == 3
        assert home.permit(5).wait_ms == 100
        home.clock.advance(100)
        assert len(home.permit(5).permits) == 1

    def test_gets_back_what_was_not_used(self, home: Home) -> None:
        home.rules = FlowRules(per_second=10, burst=3)

        home.give_back(*home.permit(3).permits)

        assert len(home.permit(3).permits) == 3

    def test_lets_no_more_through_for_those_who_ask_and_give_back(self, home: Home) -> None:
        home.rules = FlowRules(per_second=100, burst=10)
        held: list[tuple[PermitId, ...]] = []
        for _ in range(200):
            held.append(home.permit(10).permits)
            home.clock.advance(7)
            if len(held) > 5:
                home.give_back(*held.pop(0))

        out = sum(map(len, held))
        # What is held now was asked for within 42 ms.
        assert out + len(home.permit(100).permits) <= 10 + 100 * 0.042 + 1

    def test_is_not_used_up_by_those_who_ask_for_nothing(self, home: Home) -> None:
        home.rules = FlowRules(per_second=100, burst=10)
        for _ in range(100):
            permits = home.permit(10).permits
            home.clock.advance(2)
            home.give_back(*permits)

        assert len(home.permit(10).permits) >= 9

    def test_pauses_when_roark_asks_for_it(self, home: Home) -> None:
        permit = home.take()
        held = Held(CallId("call-1"), LeaseToken(1))

        home.tell((permit, "call-1", Defer(held, 5000, "http_429", b"{}", Signal.OVERLOAD, pause_ms=2000)))

        assert home.permit().lane is LaneState.THROTTLED
        home.clock.advance(2000)
        assert home.permit().permits


class TestHold:
    def test_by_hand_lets_nothing_through(self, home: Home) -> None:
        home.ledger.run(delivery.hold(by="ada", reason="moved"))

        assert home.permit(5) == Leave(LaneState.HELD, 0, ())

    def test_is_put_when_different_reports_are_refused_in_a_row(self, home: Home) -> None:
        home.send("a", "401")
        home.send("b", "401")
        noted = home.send("c", "401")

        assert noted.sends == (1,)
        assert noted.news == (("lane_held", "http_401 No permission"),)
        assert home.lane().evidence.reports == 3

    def test_is_not_put_while_others_pass(self, home: Home) -> None:
        for number in range(6):
            home.send(f"bad-{number}", "403")
            home.send(f"good-{number}", "good")

        assert home.lane().state == "open"

    def test_lets_one_probe_through_until_it_ends(self, home: Home) -> None:
        home.hold()

        probe = home.probe()
        beside = [home.permit(10) for _ in range(3)]

        assert [one.permits for one in beside] == [(), (), ()]
        home.tell((probe, "p", said("p", "good")))
        assert home.lane().state == "open"
        assert len(home.permit(10).permits) > 1

    def test_has_another_probe_when_the_first_was_lost(self, home: Home) -> None:
        home.hold()
        home.probe()

        home.clock.advance(LEASE_MS)

        assert len(home.permit(10).permits) == 1
        # What told of the first one is gone with its lease.
        assert home.ledger.client.hlen(home.ledger.calls.keys.records) == 1

    def test_has_the_next_probe_at_once_when_there_was_nothing_to_probe_with(self, home: Home) -> None:
        home.hold()

        home.give_back(home.probe())

        assert home.permit(10).lane is LaneState.PROBING

    def test_goes_on_with_growing_gaps_while_probes_are_refused(self, home: Home) -> None:
        home.hold()
        gaps = []
        for number in range(4):
            probe = home.probe()
            home.clock.advance(10)
            home.tell((probe, f"p-{number}", said("p", "401")))
            gaps.append(home.lane().next_ms - home.clock.now_ms)

        assert gaps == sorted(gaps)
        assert home.lane().state == "held"

    def test_asks_soon_when_there_is_at_last_a_report_that_was_not_refused(self, home: Home) -> None:
        home.hold()
        for _ in range(2):
            home.tell((home.probe(), "p", said("p", "401")))

        home.clock.advance(1000)

        assert home.permit(untried=0).permits == ()
        assert len(home.permit(untried=1).permits) == 1


class TestRefusals:
    def test_of_one_report_while_others_pass_are_its_own_matter_at_the_third(self, home: Home) -> None:
        sends = []
        for _ in range(3):
            sends += home.send("bad", "403").sends
            home.send("good", "good")

        assert sends == [1, 2, -3]
        assert home.lane().state == "open"

    def test_that_come_and_go_begin_to_count_anew(self, home: Home) -> None:
        home.send("bad", "403")
        home.send("other", "403")
        home.send("good", "good")
        home.send("other", "good")

        sends = []
        for _ in range(3):
            sends += home.send("bad", "403").sends
            home.send("good", "good")
        assert sends == [2, 3, -4], "the second send is the first one that counts"

    def test_of_the_only_report_hold_the_lane(self, home: Home) -> None:
        home.send("bad", "403", ready=0)
        noted = home.send("bad", "403", ready=0)

        assert [what for what, _ in noted.news] == ["lane_held"]

    def test_of_the_report_that_was_there_before_do_not_count(self, home: Home) -> None:
        for _ in range(2):
            home.send("bad", "403")
            home.send("good", "good")

        noted = home.ledger.run(lane.outcomes([Uploaded(home.take(), "bad", said("bad", "403"), anew=True)]))

        assert noted.sends == (1,)

    def test_told_twice_count_once(self, home: Home) -> None:
        permit = home.take()
        for _ in range(5):
            assert home.tell((permit, "bad", said("bad", "403"))).sends == (1,)

        assert home.lane().state == "open"

    def test_of_an_erased_call_are_forgotten(self, home: Home) -> None:
        home.send("bad", "403")

        assert home.lane().evidence.calls == ()
        home.hold()
        home.tell((home.probe(), "bad", said("bad", "403")))
        assert "bad" in str(home.ledger.client.hgetall(home.ledger.calls.keys.lane))

        assert home.ledger.run(lane.forget_refusals(["bad", "good"])) == 1

        assert "bad" not in str(home.ledger.client.hgetall(home.ledger.calls.keys.lane))
        assert b"bad" not in home.ledger.client.hkeys(home.ledger.calls.keys.refused)


class TestBreaker:
    def test_opens_by_failures_and_lets_one_probe_through(self, home: Home) -> None:
        home.rules = FlowRules(least=5, cooldown_ms=5000)
        permits = home.permit(12).permits
        for permit in permits:
            home.clock.advance(100)
            noted = home.tell((permit, "call", said("call", "503")))
            if noted.news:
                break
        while not noted.news:
            home.clock.advance(100)
            noted = home.send("call", "503")

        assert noted.news[0][0] == "breaker_opened"
        assert home.permit().lane is LaneState.BREAKER_OPEN
        home.clock.advance(5000)
        (probe,) = home.permit(10).permits
        assert home.permit(10).permits == ()
        home.tell((probe, "p", said("p", "good")))
        assert home.lane().state == "open"

    def test_is_told_to_who_asks_whether_anything_would_pass(self, home: Home) -> None:
        assert home.ledger.run(lane.passes(rules=home.rules))
        home.ledger.run(delivery.hold(by="ada", reason="moved"))

        assert not home.ledger.run(lane.passes(rules=home.rules))


class TestLevel:
    def test_rises_by_what_comes_back_well_while_it_is_what_holds_us_back(self, home: Home) -> None:
        home.rules = FlowRules(adaptive=True, ceiling=500)
        first = home.permit(100, ready=1000).permits
        for _ in range(20):
            permits = home.permit(100, ready=1000).permits or first
            home.clock.advance(100)
            home.tell(*((permit, permit, said("call", "good", 100)) for permit in permits))

        assert len(first) == 32
        assert home.lane().limit > 100

    def test_does_not_rise_while_supply_is_what_holds_us_back(self, home: Home) -> None:
        home.rules = FlowRules(adaptive=True, ceiling=500)
        for _ in range(20):
            permits = home.permit(32, ready=32).permits
            home.clock.advance(100)
            home.tell(*((permit, permit, said("call", "good", 100)) for permit in permits))

        assert home.lane().limit <= 32

    def test_counts_no_upload_as_begun_that_was_not(self, home: Home) -> None:
        home.rules = FlowRules(adaptive=True, ceiling=500)
        for _ in range(10):
            home.give_back(*home.permit(30).permits)

        begun = home.ledger.client.hget(home.ledger.calls.keys.lane, "begun")
        assert begun in {b"0", None}
