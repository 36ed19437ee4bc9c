"""The table of reasons: each row means the same to everybody who reads it."""

from collections import Counter
from datetime import UTC, datetime

import pytest
from attempts import judged
from offenders import for_each
from prometheus_client.parser import text_string_to_metric_families
from schedules import USUAL
from test_alert_causes import RULES, dead

from roark_ledger.ids import CallId, LeaseToken
from roark_ledger.moves.delivery import Bury, Claimed, Defer, Signal
from roark_ledger.packing import pack
from roark_ledger.records.alerts import AlertKind, Facts
from roark_producer.metrics import text_of
from roark_worker.alerts.causes import causes
from roark_worker.answers import reasons
from roark_worker.answers.explain import catalogue, explain, explain_hold, explain_shut
from roark_worker.answers.reasons import FAULT_OF, OTHER, REASONS, Judged, Reason, Side, label_of, reason_of, status_of
from roark_worker.answers.verdict import Answer, OurFault, Passing, Refused, judge
from roark_worker.deciding import decide
from roark_worker.flower.report_events import events_of
from roark_worker.metrics.counting import FAULTS, Counts

NOW = datetime(2026, 11, 27, tzinfo=UTC)
ROWS = [(row, code) for row in REASONS for code in row.codes]
CLASSES = {Judged.PASSING: Passing, Judged.BUSY: Passing, Judged.REFUSED: Refused, Judged.OURS: OurFault}
CLAIMED = Claimed(CallId("c-1"), LeaseToken(1), 0, 0, False, "f", pack(b'{"call":{"id":"c-1"}}'))


def example(code: str) -> str:
    """A code that the row's stands for, and no other row's."""
    return code.replace("xx", "18")


def verdict_of(row: Reason, code: str) -> Passing | Refused | OurFault:
    """The verdict by an answer with that code where there is one, else as the worker makes it."""
    status = status_of(code)
    if code.endswith("_error"):
        found = judge(Answer(status, {}, b'{"success":false}'), NOW)
    elif status:
        body = b"<html>" if code.endswith("_not_roark") else b'{"message":"no"}'
        found = judge(Answer(status, {}, body), NOW)
    elif code == "not_roark":
        found = judge(Answer(200, {}, b"<html>"), NOW)
    else:
        found = Passing(code) if row.judged is Judged.PASSING else Refused(code)
    assert isinstance(found, Passing | Refused | OurFault)
    return found


def test_each_code_stands_in_one_row() -> None:
    codes = Counter(code for row in (*REASONS, OTHER) for code in row.codes)
    assert set(codes.values()) == {1}


@for_each(("row", "named"), ROWS)
def test_a_row_means_the_same_to_all_who_read_it(row: Reason, named: str) -> None:
    code = example(named)
    assert reason_of(code) is row
    assert label_of(code) == named

    # explain, and through it groups and `why`
    found = explain(code, call_id="c-1")
    assert (found.side, found.replay, found.todo) == (row.side, row.replay, row.to_do)
    assert any(named in entry.codes for entry in catalogue() if entry.kind == "dead letter")
    # alerts
    facts = Facts(deaths=99, newest_reason=code, fading=0, held_up=0, spools=())
    assert row.to_do in alert(facts)
    if row.judged is Judged.UNTRIED:
        assert named not in FAULT_OF
        return

    # verdict
    verdict = verdict_of(row, code)
    assert isinstance(verdict, CLASSES[row.judged])
    assert verdict.reason == code
    # outcome: what it means for breaker and level
    outcome = decide(judged(CLAIMED, verdict), USUAL, max_conflicts=3, chance=0.5)
    match outcome:
        case Defer(reason=reason, signal=signal):
            assert (reason, signal) == (code, row.signal)
        case Bury(reason=reason, signal=signal):
            assert (reason, signal) == (code, row.signal if row.signal is Signal.UNSENT else Signal.NONE)
        case _:
            assert row.judged is Judged.OURS
    # metrics
    assert counted(verdict) == {(named, row.fault)}
    # the lane
    if row.judged is Judged.OURS:
        assert explain_hold(f"{code} no", "roark").side is row.side
        return
    # Flower
    told = [event.fields.get("exception") or "" for event in events_of(outcome, 1.0)]
    assert any(row.what.partition("{")[0] in said for said in told)


def alert(facts: Facts) -> str:
    return causes(dead(1), facts, RULES)[AlertKind.DEAD_LETTERS].explanation


def counted(verdict: Passing | Refused | OurFault) -> set[tuple[str, str]]:
    counts = Counts.unshared()
    counts.attempted(verdict, 0.1)
    return {
        (sample.labels["reason"], sample.labels["fault"])
        for family in text_string_to_metric_families(text_of(counts.families()).decode())
        for sample in family.samples
        if "reason" in sample.labels and sample.value
    }


@pytest.mark.parametrize("status", [401, 404, 413, 422, 429, 503])
@pytest.mark.parametrize("judged", [Judged.PASSING, Judged.REFUSED, Judged.OURS])
def test_the_class_of_a_status_is_changed_in_one_row(
    monkeypatch: pytest.MonkeyPatch, status: int, judged: Judged
) -> None:
    row = next(row for row in REASONS if row.judged is judged)
    monkeypatch.setitem(reasons._BY_CODE, f"http_{status}", row)

    verdict = judge(Answer(status, {}, b'{"message":"no"}'), NOW)

    assert isinstance(verdict, CLASSES[judged])
    assert explain(f"http_{status}").side is row.side


def test_every_side_that_an_attempt_can_fail_on_has_a_label() -> None:
    assert set(FAULT_OF.values()) == set(FAULTS)


@for_each("status", range(1000))
def test_every_status_has_a_row(status: int) -> None:
    assert reason_of(f"http_{status}") is not OTHER or status < 100


@for_each(("row", "named"), ROWS)
@for_each("state", ["breaker-open", "half-open"])
def test_a_breaker_is_on_the_side_of_what_it_opened_for(state: str, row: Reason, named: str) -> None:
    found = explain_shut(state, example(named))

    assert found
    assert found.side is row.side
    assert row.what.partition("{")[0] in found.what
    assert found.todo.startswith(row.todo)
    assert found.command == ("roark-ingest status" if row.side is Side.ROARK else "roark-ingest doctor")


def test_a_breaker_of_which_nothing_is_known_is_on_roarks_side() -> None:
    found = explain_shut("breaker-open")
    assert found
    assert (found.side, found.command) == (Side.ROARK, "roark-ingest status")
