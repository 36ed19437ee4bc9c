"""The ledger's metrics: every state, what is overdue, the lane, the memory's forecast and the audit's verdict."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest
from clocks import Clock
from fakeredis import FakeStrictRedis
from fakes import ScriptingFakeServer
from prometheus_client.core import Metric

from roark_ledger.ids import CallId
from roark_ledger.ledger import Ledger
from roark_ledger.lifecycle import State
from roark_ledger.moves import delivery, intake, upkeep, watch
from roark_ledger.moves.delivery import Defer, Held
from roark_ledger.moves.intake import Acceptable
from roark_ledger.records.accounts import Accounts
from roark_ledger.records.snapshot import Snapshot
from roark_producer.ledger_metrics import ledger_families

INFINITE = float("inf")


def told(snapshot: Snapshot | None) -> dict[tuple[str, str], float]:
    """Return every sample by its name and its label's value."""
    families: Iterator[Metric] = ledger_families(snapshot)
    return {
        (sample.name.removeprefix("roark_ingest_"), "".join(sample.labels.values())): sample.value
        for family in families
        for sample in family.samples
    }


class Bench:
    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self.ledger = ledger
        self.clock = clock

    def accept(self, call_id: str, *, expires_ms: int = 0) -> None:
        report = Acceptable(CallId(call_id), "a", b"packed", expires_ms)
        self.ledger.run(intake.accept([report], revisions="record", per_wakeup=64))

    def claim(self, lease_ms: int = 60_000) -> Held:
        (one,) = self.ledger.run(delivery.claim(wanted=1, lease_ms=lease_ms, listen_ms=0, most_bytes=10**9)).reports
        return Held(one.call_id, one.token)

    def told(self) -> dict[tuple[str, str], float]:
        return told(self.snapshot())

    def snapshot(self) -> Snapshot:
        return self.ledger.run(watch.snapshot())


@pytest.fixture
def bench() -> Iterator[Bench]:
    clock = Clock()
    with FakeStrictRedis(server=ScriptingFakeServer()) as client:
        yield Bench(Ledger(client, clock=clock), clock)


def test_a_ledger_that_does_not_answer_is_told_as_down_and_nothing_is_made_up() -> None:
    assert told(None) == {("ledger_up", ""): 0}


def test_each_state_and_the_lane_are_told(bench: Bench) -> None:
    bench.accept("call-1")
    bench.ledger.run(delivery.hold(by="anna", reason="Roark is being moved"))

    found = bench.told()

    assert {state: found["reports", state.value] for state in State} == {
        state: int(state is State.READY) for state in State
    }
    assert (found["lane", "held"], found["lane", "open"]) == (1, 0)
    assert (found["lane_held", "person"], found["lane_held", "roark"]) == (1, 0)
    assert found["events_total", "accepted"] == 1
    assert found["unaccounted_reports", ""] == 0
    assert found["redis_memory_short_in_seconds", ""] == INFINITE


def test_who_holds_the_lane_is_roark_or_a_person(bench: Bench) -> None:
    bench.ledger.run(delivery.hold(by="roark", reason="http_401", gap_ms=1000, longest_gap_ms=1000))
    found = bench.told()
    assert (found["lane_held", "person"], found["lane_held", "roark"]) == (0, 1)


def test_what_never_was_is_infinitely_long_ago(bench: Bench) -> None:
    found = bench.told()
    assert {found[f"{what}_age_seconds", ""] for what in ("tick", "claim", "audit")} == {INFINITE}
    bench.ledger.run(upkeep.promote(most=1))
    bench.ledger.run(upkeep.audit_done(Accounts(took_ms=1)))
    bench.clock.advance(7_000)
    found = bench.told()
    assert (found["tick_age_seconds", ""], found["audit_age_seconds", ""]) == (7, 7)


def test_a_report_is_overdue_since_it_is_ready(bench: Bench) -> None:
    bench.accept("call-1")
    bench.clock.advance(30_000)
    assert bench.told()["past_due_seconds", ""] == 30


def test_a_report_that_waits_for_its_next_try_is_overdue_from_then_on_whatever_its_age(bench: Bench) -> None:
    bench.accept("call-1")
    held = bench.claim()
    bench.ledger.run(delivery.defer([Defer(held, 900_000, "http_503", b"{}")]))
    bench.clock.advance(900_000)
    assert bench.told()["past_due_seconds", ""] == 0
    bench.clock.advance(5_000)
    assert bench.told()["past_due_seconds", ""] == 5
    bench.ledger.run(upkeep.promote(most=1))
    assert bench.told()["past_due_seconds", ""] == 5


def test_an_upload_is_overdue_when_its_lease_has_ended_and_nobody_took_it_back(bench: Bench) -> None:
    bench.accept("call-1")
    bench.claim(lease_ms=15_000)
    bench.clock.advance(15_000)
    assert bench.told()["past_due_seconds", ""] == 0
    bench.clock.advance(4_000)
    assert bench.told()["past_due_seconds", ""] == 4


def test_reports_whose_audio_ends_soon_are_told_and_counted_when_it_has_ended(bench: Bench) -> None:
    bench.accept("call-soon", expires_ms=bench.clock.now_ms + 200_000)
    bench.accept("call-later", expires_ms=bench.clock.now_ms + 2_000_000)
    assert bench.told()["audio_ending_reports", ""] == 1
    bench.clock.advance(200_001)
    bench.ledger.run(upkeep.promote(most=1))
    found = bench.told()
    assert (found["audio_ending_reports", ""], found["events_total", "audio_expired"]) == (0, 1)


def test_a_growth_that_was_measured_long_ago_makes_no_forecast(bench: Bench) -> None:
    bench.accept("call-1")
    growing = {"memory_rate": 1_000_000, "memory_at": bench.clock.now_ms}
    bench.ledger.client.hset(bench.ledger.calls.keys.lane, mapping=growing)
    assert bench.snapshot().memory.growth_per_second == 1_000_000
    bench.clock.advance(60_000)
    assert bench.snapshot().memory.growth_per_second == 0


def test_the_forecast_is_when_memory_runs_short(bench: Bench) -> None:
    snapshot = bench.snapshot()
    memory = replace(snapshot.memory, used=450, most=1000, growth_per_second=4.0)
    assert told(replace(snapshot, memory=memory))["redis_memory_short_in_seconds", ""] == 100


def test_everything_that_the_scripts_count_is_told_from_the_start_but_for_states(bench: Bench) -> None:
    for name in ("salt", "token", "delivered"):
        bench.ledger.client.hset(bench.ledger.calls.keys.counters, name, 1)
    told_events = {label for name, label in bench.told() if name == "events_total"}
    assert {"accepted", "duplicates", "leases_expired", "poisoned", "ignored", "audio_expired"} <= told_events
    assert not told_events & {"salt", "token", *State}


def test_no_call_id_becomes_a_label(bench: Bench) -> None:
    bench.accept("call-1")
    bench.claim()
    assert not any("call-1" in label for _, label in bench.told())


def test_no_metric_is_told_twice(bench: Bench) -> None:
    names = Counter(family.name for family in ledger_families(bench.snapshot()))
    assert max(names.values()) == 1
