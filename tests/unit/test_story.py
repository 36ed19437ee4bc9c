"""The story of a call: for every state it says what comes next, and when."""

import pytest
from histories import lines_of

from roark_ledger.lifecycle import State
from roark_ledger.records.lane import Lane
from roark_ledger.records.record import Entry, Event, Record
from roark_ops.desk.story import Story, tell
from roark_worker.answers.explain import Side

NOW = 1_000_000
OPEN = Lane("open", "", "", 0, 0, 0)


def entry(state: State, *events: Event, score_ms: int = 0, note: str = "", newer: bool = False, **more: int) -> Entry:
    attempts = more.get("attempts", len(events))
    record = Record(state, "print", 900_000, 950_000, attempts, 0, 0, "fresh", False, note, more.get("expires_ms", 0))
    return Entry("c-1", NOW, record, False, score_ms, lines_of(*events), b"", newer, False)


def failed(at_ms: int = 960_000, name: str = "deferred", **detail: object) -> Event:
    return Event(at_ms, name, {"attempt": 1, "ms": 41, "status": 503, "reason": "http_503", "message": "busy"} | detail)


def story(*args: object, lane: Lane = OPEN, **more: object) -> Story:
    return tell(entry(*args, **more), lane)  # type: ignore[arg-type] # passed on


@pytest.mark.parametrize("state", [state for state in State if state not in {State.EXPIRED, State.ERASED}])
def test_every_state_has_a_next_step(state: State) -> None:
    told = story(state, note="http_503" if state in {State.WAITING, State.DEAD} else "")
    assert told.state is state
    assert told.next.what.endswith(".")


def test_an_attempt_is_told_with_status_duration_and_roarks_reason() -> None:
    (step,) = story(State.WAITING, failed(), note="http_503", score_ms=NOW + 5000).steps
    assert (step.attempt, step.status, step.duration_ms, step.reason, step.message) == (1, 503, 41, "http_503", "busy")


def test_a_waiting_report_says_which_attempt_follows_and_when() -> None:
    told = story(State.WAITING, failed(), note="http_503", score_ms=NOW + 5000)
    assert (told.next.what, told.next.at_ms) == ("Attempt 2.", NOW + 5000)
    assert "is due" in story(State.WAITING, failed(), note="http_503", score_ms=NOW - 1).next.what


def test_an_upload_under_way_says_when_its_lease_ends() -> None:
    assert story(State.UPLOADING, score_ms=NOW + 9000).next.at_ms == NOW + 9000
    assert "newer report" in story(State.UPLOADING, newer=True).next.what


@pytest.mark.parametrize(
    ("lane", "said"),
    [
        (Lane("held", "http_402 No credits", "roark", 1, NOW + 500, 0), "no credits left"),
        (Lane("held", "maintenance", "ada", 1, 0, 0), "ada paused uploads: maintenance."),
        (Lane("breaker-open", "30 of 40 attempts failed", "", 1, NOW + 500, 0), "a probe succeeds"),
        (Lane("throttled", "", "", 0, NOW + 500, 0), "asked us to slow down"),
    ],
)
def test_a_ready_report_says_what_the_lane_makes_it_wait_for(lane: Lane, said: str) -> None:
    told = story(State.READY, lane=lane)
    assert said in told.next.what
    assert told.next.at_ms == lane.next_ms


def test_a_dead_report_is_explained_by_its_last_attempt_though_it_was_discarded_and_restored_since() -> None:
    events = (failed(name="buried", reason="timeout", status=0), Event(970_000, "restored", {"by": "ada"}))
    told = story(State.DEAD, *events, note="exhausted")
    assert told.explanation
    assert (told.explanation.side, told.steps[-1].by) == (Side.NETWORK, "ada")
    assert told.next.command == "roark-ingest dlq replay c-1"


def test_a_delivered_report_has_roarks_id_and_no_explanation() -> None:
    told = story(State.DELIVERED, note="roark-77")
    assert (told.roark_call_id, told.reason, told.explanation) == ("roark-77", "", None)


def test_an_erased_call_has_no_story_but_that() -> None:
    told = tell(Entry("c-1", NOW, None, True, 0, b"", b"", False, False), OPEN)
    assert (told.state, told.steps, told.since_ms) == (State.ERASED, (), 0)
    assert "are refused" in told.next.what


def test_an_event_that_this_version_does_not_know_is_told_by_its_name() -> None:
    (step,) = story(State.READY, Event(960_000, "teleported", {})).steps
    assert step.what == "teleported"
