"""What a worker counts: closed sets of labels, buckets as Prometheus wants them, one place for each number."""

import re
from array import array
from typing import get_args

import pytest
from prometheus_client.parser import text_string_to_metric_families

from roark_ledger.ids import CallId, LeaseToken
from roark_ledger.moves.delivery import Claim, Claimed, Deliver, Held, LaneState
from roark_producer.metrics import SECONDS, text_of
from roark_worker.answers.verdict import Delivered, OurFault, Passing, Refused
from roark_worker.metrics.counting import FAULT_OF, FAULTS, Counts, known_reason
from roark_worker.upload.roark import Reason

PREFIX = "roark_ingest_worker_"


def counted(counts: Counts) -> dict[tuple[str, ...], float]:
    """Return every sample by name and the values of its labels, a bucket's bound last; what is zero is left out."""
    found = {}
    for family in text_string_to_metric_families(text_of(counts.families()).decode()):
        for sample in family.samples:
            labels = sorted(sample.labels, key=["result", "reason", "fault", "outcome", "ended", "le"].index)
            key = (sample.name.removeprefix(PREFIX), *(sample.labels[label] for label in labels))
            found[key] = sample.value
    return {key: value for key, value in found.items() if value}


@pytest.fixture
def counts() -> Counts:
    return Counts.unshared()


def held() -> Held:
    return Held(CallId("call-1"), LeaseToken(1))


def test_an_upload_is_counted_in_every_bucket_that_it_fits(counts: Counts) -> None:
    counts.attempted(Delivered(200), 0.5)
    counts.attempted(Delivered(200), 4000)

    found = counted(counts)

    buckets = {key[-1]: value for key, value in found.items() if key[0] == "upload_seconds_bucket"}
    assert buckets == {str(bound): 1 for bound in SECONDS if bound >= 0.5} | {"+Inf": 2}
    assert found["upload_seconds_count", "delivered"] == 2
    assert found["upload_seconds_sum", "delivered"] == 4000.5


def test_buckets_reach_from_a_millisecond_to_an_hour() -> None:
    assert (SECONDS[0], SECONDS[-1]) == (0.001, 3600)
    assert list(SECONDS) == sorted(set(SECONDS))


def test_a_failure_is_counted_by_its_reason_and_whose_fault_it_is(counts: Counts) -> None:
    counts.attempted(Passing("http_503", 503), 0.1)
    counts.attempted(Passing("connect"), 0.1)
    counts.attempted(OurFault("http_401", 401), 0.1)
    counts.attempted(Refused("http_422", 422), 0.1)
    counts.attempted(Refused("http_422", 422), 0.1)

    failed = {key[1:]: value for key, value in counted(counts).items() if key[0] == "failed_attempts_total"}

    assert failed == {
        ("http_503", "roark"): 1,
        ("connect", "connection"): 1,
        ("http_401", "us"): 1,
        ("http_422", "report"): 2,
    }


def test_whatever_status_is_answered_its_label_is_one_of_a_closed_set(counts: Counts) -> None:
    reasons = [f"http_{status}" for status in range(1000)]
    assert {known_reason(reason) for reason in reasons} <= set(FAULT_OF)
    for reason in reasons:
        counts.attempted(Passing(reason), 0)
    assert sum(value for key, value in counted(counts).items() if key[0] == "failed_attempts_total") == 1000


@pytest.mark.parametrize("reason", [*get_args(Reason), "not_roark", "damaged"])
def test_every_reason_without_a_status_has_a_label_of_its_own(reason: str) -> None:
    assert known_reason(reason) == reason


def test_a_surprise_is_no_label_of_its_own() -> None:
    assert known_reason("+15550101234 said hello") == "other"


def test_all_faults_are_known() -> None:
    assert set(FAULT_OF.values()) == set(FAULTS)


def test_a_claim_counts_its_round_trip_and_how_late_each_report_was(counts: Counts) -> None:
    reports = (
        Claimed(CallId("call-1"), LeaseToken(1), 0, 0, False, "fresh", b"", 40),
        Claimed(CallId("call-2"), LeaseToken(1), 1, 9000, False, "retry", b"", 60),
    )
    counts.claimed(Claim(LaneState.OPEN, 0, reports), 0.003)

    found = counted(counts)

    assert (found["claim_seconds_count",], found["claim_seconds_sum",]) == (2, 0.1)
    assert (found["claim_call_seconds_count",], found["claim_call_seconds_sum",]) == (1, 0.003)


def test_only_what_was_delivered_has_an_end_to_end_time(counts: Counts) -> None:
    counts.delivered([Deliver(held(), "", b"", took_ms=5, age_ms=1500)])
    counts.settled("delivered", 1)
    counts.settled("lost", 3)

    found = counted(counts)

    assert (found["delivery_seconds_count",], found["delivery_seconds_sum",]) == (1, 1.5)
    assert (found["settled_total", "delivered"], found["settled_total", "lost"]) == (1, 3)


def test_what_flower_was_told_is_taken_over_as_it_is(counts: Counts) -> None:
    counts.told_flower({"sent": 3})
    counts.told_flower({"sent": 5, "dropped": 2})
    assert counted(counts) == {("flower_outcomes_total", "sent"): 5, ("flower_outcomes_total", "dropped"): 2}


def test_numbers_do_not_get_into_each_others_places(counts: Counts) -> None:
    counts.in_flight(7)
    counts.drained("throttled")
    assert counted(counts) == {("in_flight_reports",): 7, ("drains_total", "throttled"): 1}


def test_every_label_is_there_from_the_start_and_from_closed_sets(counts: Counts) -> None:
    text = text_of(counts.families()).decode()
    labels = dict.fromkeys(re.findall(r'(\w+)="', text))
    assert set(labels) == {"result", "reason", "fault", "outcome", "ended", "le"}
    assert text.count("failed_attempts_total{") == len(FAULT_OF)


def test_what_a_dead_process_told_flower_stays_counted() -> None:
    # given a process that told of five and died, so that the next one counts in its place
    numbers = array("d", bytes(8 * 1000))
    Counts(numbers).told_flower({"sent": 5})

    following = Counts(numbers)
    following.told_flower({"sent": 1})
    following.told_flower({"sent": 3})

    assert counted(following)["flower_outcomes_total", "sent"] == 8
