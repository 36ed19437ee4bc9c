"""What Flower shows of the lane: a row with the reason in plain words, ended when the lane opens."""

import pytest

from roark_ledger.records.lane import Lane, LaneNews
from roark_worker.flower.lane_row import lane_event
from roark_worker.flower.report_events import ReportEvent

AT = 1_800_000_000.5


def told(state: str, reason: str = "", by: str = "") -> ReportEvent:
    return lane_event(LaneNews(Lane(state, reason, by, 0, 0, 0), 59), None, AT)


@pytest.mark.parametrize(
    ("state", "reason", "by", "words"),
    [
        (
            "held",
            "http_403 no",
            "roark",
            "Uploads are paused. Reports ready: 59. Our token has no permission to upload",
        ),
        (
            "held",
            "moving",
            "ada",
            "Uploads are paused. Reports ready: 59. ada paused uploads: moving.",
        ),
        ("breaker-open", "http_503: 9", "", "Uploads are paused: circuit breaker open. Reports ready: 59."),
        ("half-open", "http_503: 9", "", "Uploads are paused: circuit breaker half-open. "),
    ],
)
def test_a_shut_lane_is_shut_in_words_with_the_command_on_top_of_the_list(
    state: str, reason: str, by: str, words: str
) -> None:
    event = told(state, reason, by)
    assert (event.type, event.fields["name"], event.fields["received"]) == ("task-shut", "roark.lane", AT)
    assert event.fields["exception"].startswith(words)
    assert "Next: roark-ingest " in event.fields["exception"]


@pytest.mark.parametrize("state", ["open", "throttled"])
def test_one_that_lets_reports_through_is_open_in_the_same_row(state: str) -> None:
    event = told(state)
    assert event.type == "task-open"
    assert event.fields["uuid"] == told("held").fields["uuid"]
    assert event.fields["exception"] is None


def test_neither_roarks_words_nor_a_phone_number_go_there() -> None:
    assert "my card" not in str(told("held", "http_401 my card number", "roark").fields)
    assert "5550101234" not in str(told("held", "call +15550101234", "ada +15550101234").fields)
