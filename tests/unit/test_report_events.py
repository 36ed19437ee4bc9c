"""What Flower is told of an outcome: which row, which state, which words, and nothing else."""

from uuid import UUID

import msgspec
import pytest

from roark_ledger.ids import CallId, LeaseToken
from roark_ledger.moves.delivery import Bury, Defer, Deliver, Held, Outcome, Refuse, Release
from roark_worker.flower.report_events import ReportEvent, events_of, poisoned, started, task_uuid

CALL = CallId("01a19b7c-f28d-782e-a014-00426f00450b")
HELD = Held(CALL, LeaseToken(7))
AT = 1_800_000_000.5


def detail(**facts: object) -> bytes:
    return msgspec.json.encode({"attempt": 2, "ms": 130, **facts})


def told(outcome: Outcome) -> ReportEvent:
    received, event = events_of(outcome, AT)
    assert received.type == "task-received"
    assert received.fields["uuid"] == event.fields["uuid"]
    return event


class TestTheRow:
    def test_a_call_id_that_is_a_uuid_is_the_rows_uuid(self) -> None:
        assert task_uuid(CALL) == CALL

    @pytest.mark.parametrize("call_id", ["call-1", "a/b?c", "x" * 200, CALL.upper(), f"{CALL}-2"])
    def test_any_other_call_id_has_one_of_its_own(self, call_id: str) -> None:
        assert UUID(task_uuid(call_id))
        assert task_uuid(call_id) == task_uuid(call_id)
        assert task_uuid(call_id) != task_uuid("call-0")

    def test_a_revision_has_a_row_of_its_own(self) -> None:
        plain = told(Deliver(HELD, "", detail(status=200)))
        revised = told(Deliver(HELD, "", detail(status=200, revision=True)))
        assert plain.fields["uuid"] == CALL
        assert revised.fields["uuid"] == task_uuid(CALL, revision=True) != CALL
        assert events_of(Deliver(HELD, "", detail(status=200, revision=True)), AT)[0].fields["args"] == CALL


class TestTheWords:
    def test_a_delivery_is_a_success_with_what_roark_answered(self) -> None:
        received, event = events_of(Deliver(HELD, "rk_9", detail(status=200)), AT)
        assert received.type == "task-received"
        assert received.fields == {
            "uuid": CALL,
            "name": "roark.report",
            "args": CALL,
            "kwargs": "{}",
            "timestamp": AT - 0.13,
        }
        assert event.type == "task-succeeded"
        assert event.fields == {
            "uuid": CALL,
            "started": AT - 0.13,
            "timestamp": AT,
            "runtime": 0.13,
            "retries": 1,
            "result": "delivered on attempt 2: 200 in 130 ms; Roark's ID rk_9",
            "exception": None,
        }

    def test_a_report_that_was_there_already_is_a_success(self) -> None:
        event = told(Deliver(HELD, "", detail(status=409, already_there=True)))
        assert event.fields["result"] == "already at Roark on attempt 2: 409 in 130 ms"

    def test_a_failed_attempt_is_a_retry_that_says_when(self) -> None:
        event = told(Defer(HELD, 4200, "http_503", detail(status=503, reason="http_503")))
        assert event.type == "task-retried"
        assert event.fields["exception"] == "Roark failed (503). Attempt 3 in 4.2 s."

    def test_a_dead_letter_is_a_failure_that_says_what_to_do(self) -> None:
        event = told(Bury(HELD, "http_422", detail(status=422, reason="http_422", parameter="call.endedReason")))
        assert event.type == "task-failed"
        said = event.fields["exception"]
        assert said.startswith("Roark refused the report as invalid (422). It names the field call.endedReason.")
        assert said.endswith(f"Next: roark-ingest dlq edit {CALL}")

    def test_an_exhausted_one_says_what_came_last(self) -> None:
        event = told(Bury(HELD, "exhausted", detail(reason="timeout")))
        assert event.fields["exception"].startswith("Every planned attempt failed. The last one: Roark did not answer")

    def test_a_report_that_was_refused_as_all_might_be_says_why(self) -> None:
        event = told(Refuse(HELD, "http_401", "Unauthorized", detail(status=401, reason="http_401"), b"{}"))
        assert event.type == "task-retried"
        assert event.fields["exception"].startswith("Roark rejected our token (401).")

    def test_one_that_is_refused_alone_is_its_own_matter(self) -> None:
        event = told(Bury(HELD, "http_403", detail(status=403, reason="http_403", over="alone")))
        assert "Other reports succeed with the same token" in event.fields["exception"]

    def test_a_report_that_a_stopping_worker_gave_back_is_no_news(self) -> None:
        assert events_of(Release(HELD), AT) == ()

    def test_a_poisoned_one_is_a_failure(self) -> None:
        event = poisoned(CALL, AT)
        assert event.type == "task-failed"
        assert event.fields["uuid"] == CALL
        assert event.fields["exception"].startswith("Several workers in a row died")

    def test_one_that_takes_long_is_started(self) -> None:
        event = started(HELD, AT, revision=False)
        assert (event.type, event.fields["uuid"], event.fields["timestamp"]) == ("task-started", CALL, AT)
        assert "runtime" not in event.fields


class TestWhatIsNotSaid:
    @pytest.mark.parametrize("parameter", ["+15550101234", "my card is 4", "15550101234", "x" * 101, ""])
    def test_what_does_not_look_like_a_field_is_left_out(self, parameter: str) -> None:
        facts = detail(status=422, reason="http_422", parameter=parameter)
        assert "names the field" not in told(Bury(HELD, "http_422", facts)).fields["exception"]

    def test_roarks_own_words_are_left_out(self) -> None:
        facts = detail(status=400, reason="http_400", message="bad: my card number is four two")
        for outcome in (Bury(HELD, "http_400", facts), Defer(HELD, 1, "http_400", facts)):
            assert "my card" not in str(told(outcome).fields)
        refused = Refuse(HELD, "http_400", "my card", facts, facts)
        assert "my card" not in str(told(refused).fields)
