"""Claims and outcomes over partitions, as plans: whom they ask what, without a server."""

from typing import Any

import pytest

from roark_ledger.errors import LedgerUnavailable
from roark_ledger.flow import NO_LIMITS
from roark_ledger.ids import CallId, LeaseToken
from roark_ledger.lane_states import LaneState
from roark_ledger.moves import delivery
from roark_ledger.moves.delivery import Claim, Claimed, Deliver, Held, Refuse
from roark_ledger.moves.goes import HOME
from roark_ledger.moves.lane import PERMIT_SECONDS, Leave, Noted, PermitId, Queue, Ready
from roark_ledger.moves.operation import Operation
from roark_ledger.partitions.lane import Permitted, Plan

AWAY = LedgerUnavailable("away")
PARTITIONS = 8


def number_in(call_id: str, partitions: int) -> int:
    return int(call_id.rpartition("-")[2]) % partitions


class Places:
    """Answers what plans ask: one report is ready in each partition, and the home gives leave for all."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.rounds: list[list[tuple[int, str]]] = []
        self.leave = Leave(LaneState.OPEN, 0, ())
        self.permits = [PermitId(f"permit-{number}") for number in range(100)]
        self.away: set[int] = set()
        self.claim_takes = 0.0
        self.permitted = Permitted(PARTITIONS, partition_of=number_in, chance=lambda: 0.5, clock=lambda: self.seconds)

    def carry_out(self, plan: Plan[Any]) -> Any:
        answers: list[Any] | None = None
        while True:
            try:
                asked = plan.send(answers)  # type: ignore[arg-type] # a generator is begun by sending it nothing
            except StopIteration as end:
                return end.value
            self.rounds.append([(where, operation.script) for where, operation in asked])
            answers = [AWAY if where in self.away else self._answer(where, operation) for where, operation in asked]

    def _answer(self, where: int, operation: Operation[Any]) -> Any:
        match operation.script:
            case "ready":
                return Ready(0, Queue(1, 100))
            case "permit":
                wanted = int(operation.args[0])
                given, self.permits = self.permits[:wanted], self.permits[wanted:]
                return Leave(self.leave.lane, self.leave.wait_ms, tuple(given))
            case "probe_candidate":
                return 50 if where == 6 else 100
            case "claim":
                self.seconds += self.claim_takes
                report = Claimed(CallId(f"call-{where}"), LeaseToken(where), 0, 0, False, "f", b"")
                return Claim(LaneState.OPEN, 0, (report,))
            case "outcomes":
                return Noted((True,) * 9, (1,) * 9)
            case "renew" | "deliver" | "prolong" | "refused_before":
                return [True]
        return None

    def claim(self, wanted: int = 2) -> Claim:
        def some(number: int, most_bytes: int, _route: object, which: str) -> Operation[Claim]:
            return delivery.claim(wanted=number, lease_ms=1, listen_ms=1, most_bytes=most_bytes, which=which)

        plan = self.permitted.claim(some, wanted=wanted, lease_ms=1, listen_ms=1, most_bytes=1000, rules=NO_LIMITS)
        claim: Claim = self.carry_out(plan)
        return claim

    def deliver(self, *reports: Claimed) -> Any:
        outcomes = [Deliver(Held(one.call_id, one.token), "roark-1", b"{}") for one in reports]
        return self.carry_out(self.permitted.settle(outcomes, _recorded, rules=NO_LIMITS))

    def asked(self, script: str) -> list[int]:
        return [where for each in self.rounds for where, name in each if name == script]


def _recorded(outcomes: Any) -> Operation[Any]:
    return delivery.deliver(outcomes, keep_payloads=False)


@pytest.fixture
def places() -> Places:
    return Places()


def test_a_claim_asks_some_partitions_what_is_ready_then_the_home_then_those_that_have_some(places: Places) -> None:
    claim = places.claim(2)

    assert len(claim.reports) == 2
    assert [{name for _, name in each} for each in places.rounds] == [{"ready"}, {"permit", "ready"}, {"claim"}]
    assert places.asked("permit") == [HOME]


def test_no_more_partitions_are_asked_for_reports_than_four(places: Places) -> None:
    places.claim(8)

    assert len(places.asked("claim")) <= 4


def test_what_is_claimed_after_its_leave_ended_is_released_and_never_sent(places: Places) -> None:
    places.claim_takes = PERMIT_SECONDS

    claim = places.claim(2)

    assert claim.reports == ()
    assert len(places.asked("release")) == 2
    assert places.asked("give_back") == [HOME]
    assert places.permitted.permits == {}


def test_leave_that_partitions_could_not_use_is_given_back(places: Places) -> None:
    places.claim(2)
    places.away = set(range(PARTITIONS))

    assert places.claim(2).reports == ()
    assert places.asked("give_back") == [HOME]


def test_without_a_home_nothing_is_claimed(places: Places) -> None:
    places.away = {HOME}

    with pytest.raises(LedgerUnavailable):
        places.claim(2)
    assert places.asked("claim") == []


def test_a_home_that_is_away_is_told_later(places: Places) -> None:
    first, second = places.claim(2).reports
    places.away = {HOME}
    recorded = places.deliver(first)
    places.away = set()
    places.deliver(second)

    assert list(recorded) == [True]
    assert places.asked("outcomes") == [HOME, HOME]
    assert places.permitted.permits == {}


def test_a_refusal_waits_for_the_home(places: Places) -> None:
    (report,) = places.claim(1).reports
    refused = Refuse(Held(report.call_id, report.token), "http_401", "", b"{}", b"{}")
    places.away = {HOME}

    plan = places.permitted.refuse([refused], rules=NO_LIMITS, longest_gap_ms=1, most_sends=1)

    assert places.carry_out(plan).away == (0,)
    assert places.asked("refuse_as_judged") == []
    assert len(places.permitted.permits) == 1


def test_a_probe_is_the_report_that_was_refused_least_lately_wherever_it_is(places: Places) -> None:
    places.leave = Leave(LaneState.PROBING, 0, ())
    places.permits = places.permits[:1]

    (probe,) = places.claim(5).reports

    assert probe.call_id == "call-6"


def test_all_partitions_are_looked_at_within_two_seconds_however_seldom_one_claims(places: Places) -> None:
    seen: set[int] = set()
    for _ in range(3):
        places.seconds += 1.0
        places.claim(1)
        seen |= set(places.asked("ready"))

    assert seen == set(range(PARTITIONS))
