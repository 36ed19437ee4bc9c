"""Roark's bad days of the simulation, shortened, on two real worker processes and the sandbox: `make sweep`.

Each prints its figures. The ranges are wider than in virtual time, because the machine has a say here.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from pipeline import TOKEN, Pipeline, Sandbox, wait_until

from roark_ledger.lifecycle import State
from roark_ledger.records.record import Record
from roark_ledger.records.snapshot import Snapshot
from roark_samples import sample_reports
from roark_worker.upkeep.audit import audit

pytestmark = [pytest.mark.acceptance, pytest.mark.sweep]

REPORTS = 1_500


@pytest.fixture(scope="module")
def bodies() -> list[bytes]:
    """Reports without oddities and duplicates."""
    return [sample.body(wrap=True) for sample in sample_reports(REPORTS, odd=0, dup=0)]


@pytest.fixture
def line() -> Iterator[Pipeline]:
    with Pipeline() as line:
        yield line


@dataclass(frozen=True)
class Outcome:
    """What the run came to: at the sandbox (`requests`, most in flight) and in the ledger."""

    requests: int
    in_flight: int
    delivered: int
    snapshot: Snapshot

    @property
    def wasted(self) -> float:
        """The share of the uploads that delivered nothing."""
        return 1 - self.delivered / self.requests


def settle(line: Pipeline, roark: Sandbox, scenario: str, *, dead: int = 0) -> Outcome:
    """Wait for the end; demand that nothing is lost, nothing is there twice, and nothing died that need not."""
    line.wait_until_settled(120)
    snapshot, stats, calls = line.snapshot(), roark.stats(), roark.calls()
    delivered = snapshot.states[State.DELIVERED]
    outcome = Outcome(stats["requests"], stats["in_flight_max"], delivered, snapshot)
    print(
        f"{scenario}: {delivered} delivered, {snapshot.states[State.DEAD]} dead, {outcome.requests} uploads, "
        f"{outcome.wasted:.2%} wasted, at most {outcome.in_flight} in flight, by status {stats['by_status']}"
    )
    assert snapshot.states[State.DEAD] == dead
    assert {call["imported"] for call in calls.values() if call["imported"]} == {1}
    assert sum(call["imported"] for call in calls.values()) == delivered
    assert audit(line.ledger).holds
    return outcome


def record_of(line: Pipeline, call_id: str) -> Record:
    record = line.look(call_id).record
    assert record, "the report is not erased"
    return record


def test_a_slow_link_gets_more_uploads_in_flight_and_jitter_costs_none(line: Pipeline, bodies: list[bytes]) -> None:
    roark = line.start_sandbox("--latency-ms", "1000", "--jitter-ms", "1000")
    line.start_supervisor(2)

    line.submit(bodies[:800])

    outcome = settle(line, roark, "slow link with jitter")
    assert outcome.delivered == 800
    assert outcome.wasted == 0
    assert outcome.in_flight > 64, "more than the level it begins with"


def test_sudden_slowness_costs_no_attempt(line: Pipeline, bodies: list[bytes]) -> None:
    roark = line.start_sandbox("--latency-ms", "50")
    line.start_supervisor(2, ROARK_INGEST_RATE="100/s")
    line.submit(bodies[:1000])
    line.wait_for(State.DELIVERED, 200)

    roark.behave(latency_ms=1000)
    line.wait_for(State.DELIVERED, 500)
    roark.behave(latency_ms=50)

    outcome = settle(line, roark, "twenty times slower for a while")
    assert outcome.delivered == 1000
    assert outcome.wasted == 0


def test_what_roark_can_take_at_once_is_found(line: Pipeline, bodies: list[bytes]) -> None:
    roark = line.start_sandbox("--latency-ms", "100", "--limit", "30")
    line.start_supervisor(2)

    line.submit(bodies)

    outcome = settle(line, roark, "503 above 30 at once")
    assert outcome.delivered == REPORTS
    assert outcome.wasted < 0.15


def test_what_roark_takes_in_a_second_is_found(line: Pipeline, bodies: list[bytes]) -> None:
    roark = line.start_sandbox("--latency-ms", "50", "--limit", "50/s")
    line.start_supervisor(2)

    line.submit(bodies[:600])

    outcome = settle(line, roark, "429 above 50/s")
    assert outcome.delivered == 600
    assert outcome.wasted < 0.2


def test_coming_and_going_costs_few_attempts(line: Pipeline, bodies: list[bytes]) -> None:
    roark = line.start_sandbox("--latency-ms", "20", "--scenario", "flap:3s@2s")
    line.start_supervisor(2, ROARK_INGEST_RATE="120/s")

    line.submit(bodies)

    outcome = settle(line, roark, "down 3 s, up 3 s")
    assert outcome.delivered == REPORTS
    assert outcome.wasted < 0.15
    assert outcome.snapshot.total("breaker_opened") >= 1


def test_one_bad_report_dies_alone(line: Pipeline, bodies: list[bytes]) -> None:
    bad = line.producer.submit(bodies[0]).call_id
    roark = line.start_sandbox("--fail", f"422:calls={bad}")
    line.start_supervisor(2)

    line.submit(bodies[1:400])

    outcome = settle(line, roark, "one bad report", dead=1)
    assert outcome.requests == 400, "no report but the bad one failed, and that one once"
    assert record_of(line, bad).state is State.DEAD
    assert outcome.snapshot.total("breaker_opened") == 0
    assert outcome.snapshot.lane.state == "open"


@pytest.mark.parametrize("status", [402, 404])
def test_a_refusal_of_everything_kills_no_report(line: Pipeline, bodies: list[bytes], status: int) -> None:
    roark = line.start_sandbox("--fail", f"{status}:1", "--token", TOKEN)
    line.start_supervisor(2)
    line.submit(bodies[:300])
    wait_until(lambda: line.snapshot().lane.state == "held", "the lane is held")
    refused = roark.stats()["requests"]
    wait_until(lambda: roark.stats()["requests"] >= refused + 3, "three probes")
    assert line.snapshot().lane.reason.startswith(f"http_{status}")

    roark.behave(fail=[])

    outcome = settle(line, roark, f"{status} until mended")
    assert outcome.delivered == 300
    assert outcome.snapshot.lane.state == "open"
    assert {record_of(line, call).attempts for call in roark.calls()} == {1}, "no refusal counted as an attempt"
