"""The figures of a demo, from what was answered and recorded."""

from dataclasses import replace

import pytest

from roark_ledger.lifecycle import State
from roark_ledger.records.record import Entry, Record
from roark_ops.up.told.summary import Received, ThreeSides, UpSummary, compare, percentile, summarise, taken_in
from roark_ops.up.told.telling import compared_in_words
from roark_ops.up.vapi import Posted

START_MS = 1_760_000_000_000
THREE_SIDES = ThreeSides(left_out=3, never_came=3, brought_in=3, at_vapi=284, here=284, at_roark=284, agree=True)


def entry(call_id: str, *, accepted_ms: int = 0, took_ms: int = 50, state: State = State.DELIVERED) -> Entry:
    record = Record(
        state=state,
        fingerprint="f",
        accepted_ms=START_MS + accepted_ms,
        since_ms=START_MS + accepted_ms + took_ms,
        attempts=1,
        deaths=0,
        token=1,
        priority="fresh",
        revision=False,
        note=f"roark-{call_id}",
    )
    return Entry(
        call_id=call_id,
        asked_ms=START_MS,
        record=record,
        erased=False,
        score_ms=0,
        lines=b"",
        packed=b"",
        has_newer=False,
        has_revision=False,
    )


def accepted(*call_ids: str) -> list[Posted]:
    return [Posted(call_id, "accepted") for call_id in call_ids]


def summary(*entries: Entry, answers: list[Posted] | None = None, received: Received | None = None) -> UpSummary:
    return summarise(answers or accepted(*(each.call_id for each in entries)), entries, received)


def test_a_latency_is_from_the_acceptance_to_the_recorded_delivery() -> None:
    figures = summary(entry("a", took_ms=40), entry("b", took_ms=60), entry("c", took_ms=500))

    assert (figures.p50_ms, figures.p95_ms, figures.slowest_ms) == (60, 500, 500)


def test_the_rate_counts_deliveries_between_the_first_acceptance_and_the_last_delivery() -> None:
    figures = summary(entry("a", accepted_ms=0, took_ms=100), entry("b", accepted_ms=900, took_ms=100))

    assert figures.seconds == pytest.approx(1.0)
    assert figures.reports_per_second == pytest.approx(2.0)


def test_an_example_names_the_call_at_both_ends() -> None:
    (example,) = summary(entry("a", took_ms=70)).examples

    assert (example.call_id, example.roark_call_id, example.latency_ms) == ("a", "roark-a", 70)


def test_a_demo_is_complete_when_each_call_is_delivered_and_came_once() -> None:
    assert summary(entry("a"), received=Received(calls=1, newer=0, twice=0, missing=0)).is_complete


@pytest.mark.parametrize(
    "received", [Received(calls=1, newer=0, twice=1, missing=0), Received(calls=0, newer=0, twice=0, missing=1)]
)
def test_a_demo_is_not_complete_when_the_sandbox_has_a_report_twice_or_not(received: Received) -> None:
    assert not summary(entry("a"), received=received).is_complete


def test_a_demo_is_not_complete_when_a_call_is_a_dead_letter() -> None:
    figures = summary(entry("a"), entry("b", state=State.DEAD))

    assert not figures.is_complete
    assert figures.states == {"delivered": 1, "dead": 1}


def test_a_demo_is_not_complete_when_a_report_was_not_taken_in() -> None:
    assert not summary(entry("a"), answers=[*accepted("a"), Posted("b", "failed", "HTTP 503")]).is_complete


@pytest.mark.parametrize(("agree", "incomplete"), [(False, ""), (True, "Vapi answered 503")])
def test_a_demo_is_not_complete_when_the_three_sides_do_not_agree_or_could_not_all_be_read(
    *, agree: bool, incomplete: str
) -> None:
    assert summarise(accepted("a"), [entry("a")], None, THREE_SIDES).is_complete
    compared = replace(THREE_SIDES, agree=agree, incomplete=incomplete)

    assert not summarise(accepted("a"), [entry("a")], None, compared).is_complete


def test_the_comparison_is_told_in_a_sentence_and_a_sum() -> None:
    told = {
        "good": THREE_SIDES,
        "more": replace(THREE_SIDES, never_came=5, brought_in=4, here=283, at_roark=280, agree=False),
        "none": replace(THREE_SIDES, left_out=0, never_came=0, brought_in=0),
        "broken": replace(THREE_SIDES, agree=False, incomplete="Vapi answered 503"),
    }

    lines = {name: [text for text, _ in compared_in_words(compared) if text] for name, compared in told.items()}

    assert lines["good"] == [
        "3 calls ended at Vapi whose reports never came (left out on purpose); brought in",
        "284 = 284 = 284 calls at Vapi, here, at Roark",
    ]
    assert lines["more"] == [
        "5 calls ended at Vapi whose reports never came (3 of them left out on purpose); 4 brought in",
        "284, 283, 280 calls at Vapi, here, at Roark: the sums do not agree",
    ]
    assert lines["none"][0] == "each call that ended at Vapi has a report here"
    assert lines["broken"][-1] == "not all could be compared: Vapi answered 503"


def test_a_call_that_went_to_the_spool_was_taken_in_and_counts_once() -> None:
    answers = [*accepted("a"), Posted("a", "spooled"), Posted("b", "spooled"), Posted("c", "duplicate")]

    assert taken_in(answers) == ["a", "b"]


def test_an_empty_demo_is_not_complete_and_has_no_figures() -> None:
    figures = summarise([], [], None)

    assert not figures.is_complete
    assert (figures.p50_ms, figures.reports_per_second, figures.examples) == (0, 0.0, ())


def test_a_call_whose_preliminary_report_went_first_did_not_come_twice() -> None:
    calls = {
        "once": {"sha256": ["1"]},
        "preliminary and full": {"sha256": ["2", "3"]},
        "twice": {"sha256": ["4", "4"]},
    }

    assert compare([*calls, "never came"], calls) == Received(calls=3, newer=1, twice=1, missing=1)


@pytest.mark.parametrize(("share", "expected"), [(1, 1), (50, 50), (95, 95), (100, 100)])
def test_a_percentile_is_the_value_that_so_many_in_a_hundred_do_not_exceed(share: int, expected: int) -> None:
    assert percentile(range(1, 101), share) == expected
