"""What an answer means for the lane, from the answer itself to what the outcome says about Roark."""

from datetime import UTC, datetime

import pytest
from attempts import judged

from roark_ledger.ids import CallId, LeaseToken
from roark_ledger.moves.delivery import Bury, Claimed, Defer, Outcome, Signal
from roark_worker.answers.verdict import Answer, Passing, Refused, Verdict, judge
from roark_worker.deciding import decide, signal_of
from roark_worker.schedule import Schedule

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SCHEDULE = Schedule(first_delay=5, max_delay=900, max_attempts=20, max_age=86_400, retry_after_max=3_600)


def settled(verdict: Verdict) -> Outcome:
    claimed = Claimed(CallId("call-1"), LeaseToken(1), 0, 1_000, False, "fresh", b"")
    return decide(judged(claimed, verdict), SCHEDULE, max_conflicts=3, chance=0.5)


@pytest.mark.parametrize(
    ("status", "headers", "signal"),
    [
        (500, {}, Signal.FAULT),
        (502, {}, Signal.FAULT),
        (503, {}, Signal.BOTH),
        (504, {}, Signal.BOTH),
        (429, {}, Signal.OVERLOAD),
        (408, {}, Signal.NONE),
        (409, {}, Signal.NONE),
        (425, {}, Signal.NONE),
        (400, {"x-should-retry": "true"}, Signal.NONE),
        (422, {"x-should-retry": "true"}, Signal.NONE),
    ],
)
def test_a_failure_that_passes_says_what_it_says_about_roark(
    status: int, headers: dict[str, str], signal: Signal
) -> None:
    outcome = settled(judge(Answer(status, headers, b"{}"), NOW))

    assert isinstance(outcome, Defer)
    assert outcome.signal is signal


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_report_that_is_refused_says_nothing_about_roark(status: int) -> None:
    outcome = settled(judge(Answer(status, {}, b"{}"), NOW))

    assert isinstance(outcome, Bury)
    assert outcome.signal is Signal.NONE


@pytest.mark.parametrize(
    ("reason", "signal"),
    [
        ("timeout", Signal.BOTH),
        ("connect", Signal.FAULT),
        ("network", Signal.FAULT),
        ("transport", Signal.FAULT),
        ("not_roark", Signal.FAULT),
    ],
)
def test_no_answer_is_a_fault_and_one_that_comes_too_late_is_overload_too(reason: str, signal: Signal) -> None:
    assert signal_of(Passing(reason)) is signal


def test_a_report_that_could_not_be_sent_is_no_word_of_roarks() -> None:
    outcome = settled(Refused("damaged", message="a stored payload cannot be read"))

    assert isinstance(outcome, Bury)
    assert outcome.signal is Signal.UNSENT


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_a_pause_for_the_whole_lane(status: int) -> None:
    outcome = settled(judge(Answer(status, {"retry-after": "7"}, b"{}"), NOW))

    assert isinstance(outcome, Defer)
    assert outcome.pause_ms == 7_000


def test_retry_after_of_a_502_is_for_the_one_report() -> None:
    outcome = settled(judge(Answer(502, {"retry-after": "7"}, b"{}"), NOW))

    assert isinstance(outcome, Defer)
    assert (outcome.pause_ms, outcome.delay_ms) == (0, 7_000)


def test_a_mistaken_retry_after_does_not_stop_the_lane_for_longer_than_its_cap() -> None:
    outcome = settled(judge(Answer(429, {"retry-after": "31536000"}, b"{}"), NOW))

    assert isinstance(outcome, Defer)
    assert outcome.pause_ms == 3_600_000
