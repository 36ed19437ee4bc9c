"""The ledger's metrics: every state, the lane, the memory's forecast and the audit's verdict."""

from clocks import Clock
from fakeredis import FakeStrictRedis
from fakes import ScriptingFakeServer
from prometheus_client.parser import text_string_to_metric_families

from roark_producer import operations
from roark_producer.ledger import Ledger
from roark_producer.lifecycle import State
from roark_producer.operations import Acceptable
from roark_producer.report import CallId
from roark_producer.webhook.ledger_metrics import ledger_text


def samples(text: bytes) -> dict[tuple[str, str], float]:
    families = text_string_to_metric_families(text.decode())
    return {
        (sample.name, "".join(sample.labels.values())): sample.value for family in families for sample in family.samples
    }


def test_a_ledger_that_does_not_answer_is_told_as_down_and_nothing_is_made_up() -> None:
    assert samples(ledger_text(None)) == {("roark_ingest_ledger_up", ""): 0}


def test_each_state_and_the_lane_are_told() -> None:
    clock = Clock()
    with FakeStrictRedis(server=ScriptingFakeServer()) as client:
        ledger = Ledger(client, clock=clock)
        report = Acceptable(CallId("call-1"), "a", b"packed")
        ledger.run(operations.accept([report], revisions="record", per_wakeup=64))
        ledger.run(operations.hold(by="anna", reason="Roark is being moved"))

        told = samples(ledger_text(ledger.run(operations.snapshot())))

    assert {state: told["roark_ingest_reports", state.value] for state in State} == {
        state: int(state is State.READY) for state in State
    }
    assert told["roark_ingest_lane", "held"] == 1
    assert told["roark_ingest_lane", "open"] == 0
    assert told["roark_ingest_events_total", "accepted"] == 1
    assert told["roark_ingest_unaccounted_reports", ""] == 0
    assert told["roark_ingest_redis_memory_short_seconds", ""] == float("inf")
    assert not any("call-1" in label for _, label in told)
