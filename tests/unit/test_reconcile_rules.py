"""What a comparison with Vapi reads, and into which bucket each call belongs."""

import json
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from call_objects import CALLS, call_bytes
from hypothesis import given
from hypothesis import strategies as st

from roark_ledger.moves.reconcile import Stand
from roark_worker.calls.rules import (
    HOUR_MS,
    KNOWN,
    OVERLAP_MS,
    Bucket,
    Listed,
    ReconcileRules,
    Stretch,
    StretchKind,
    bucket,
    last_night_ms,
    plan,
    read_listed,
)

MINUTE = 60_000
DAY = 24 * HOUR_MS
RULES = ReconcileRules(settle_ms=15 * MINUTE, back_ms=14 * DAY)
ENDED = 1793527320500
NOON = round(datetime(2026, 11, 10, 12, tzinfo=UTC).timestamp() * 1000)


def judged(found: str = "unknown", *, minutes_later: float = 60, **changes: Any) -> Bucket:
    call = read_listed(call_bytes(**changes))
    assert call
    return bucket(call, found, RULES, ENDED + round(minutes_later * MINUTE))


@pytest.mark.parametrize(("found", "kind"), KNOWN.items())
def test_what_the_ledger_knows_counts_whatever_vapi_says(found: str, kind: Bucket) -> None:
    assert judged(found) is kind
    assert judged(found, status="in-progress", minutes_later=0) is kind


def test_an_ended_call_without_a_report_is_missing_once_its_report_had_time_to_come() -> None:
    assert judged() is Bucket.MISSING
    assert judged(minutes_later=14) is Bucket.NOT_YET
    assert judged(updatedAt="2026-11-01T10:58:00.000Z") is Bucket.NOT_YET


@pytest.mark.parametrize("status", ["in-progress", "ringing", "queued", "forwarding", "a-status-of-next-year"])
def test_a_call_that_goes_on_is_judged_later_and_odd_when_it_never_ends(status: str) -> None:
    assert judged(status=status) is Bucket.NOT_YET
    assert judged(status=status, minutes_later=12 * 60) is Bucket.NOT_YET
    assert judged(status=status, minutes_later=14 * 60) is Bucket.ODD


def test_a_call_for_next_week_is_not_odd() -> None:
    assert judged(status="scheduled", minutes_later=5 * 24 * 60) is Bucket.NOT_YET


@pytest.mark.parametrize("status", ["not-found", "deletion-failed"])
def test_what_vapi_cannot_tell_is_odd(status: str) -> None:
    assert judged(status=status) is Bucket.ODD


@pytest.mark.parametrize("artifact", [None, {}, {"messages": []}, {"transcript": "", "recordingUrl": None}])
def test_a_call_whose_content_was_not_kept_is_unrecoverable(artifact: object) -> None:
    assert judged(artifact=artifact, messages=None) is Bucket.UNRECOVERABLE


def test_a_call_that_failed_at_its_start_has_no_content_and_is_missing_all_the_same() -> None:
    assert judged(artifact=None, messages=[], startedAt=None, endedReason="assistant-error") is Bucket.MISSING


def test_a_call_without_a_status_is_judged_by_its_end() -> None:
    assert judged(status=None) is Bucket.MISSING
    assert judged(status=None, endedAt=None) is Bucket.NOT_YET


@given(call=CALLS, found=st.sampled_from([*KNOWN, "unknown"]), now=st.integers(0, 2**45))
def test_each_call_of_the_schema_has_a_bucket(call: dict[str, Any], found: str, now: int) -> None:
    listed = read_listed(json.dumps(call).encode())

    if listed:
        assert listed.call_id == call["id"]
        assert isinstance(bucket(listed, found, RULES, now), Bucket)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"id":1}', b'{"id":""}', b'{"name":"x"}', b"\xff"])
def test_what_is_no_call_is_none(body: bytes) -> None:
    assert read_listed(body) is None


def test_only_calls_of_the_assistants_that_are_named_are_expected() -> None:
    mine = ReconcileRules(0, 0, frozenset({"a-1"}))
    call, other = read_listed(call_bytes(assistantId="a-1")), read_listed(call_bytes(assistantId="a-2"))
    assert call
    assert other
    assert mine.expects(call)
    assert not mine.expects(other)
    assert RULES.expects(other)


def test_the_first_pass_reads_all_that_vapi_keeps() -> None:
    assert plan(Stand(), RULES, NOON) == [Stretch(StretchKind.NEW, NOON - 14 * DAY, NOON - 15 * MINUTE)]


def test_a_pass_reads_what_is_new_and_again_what_may_have_ended_since() -> None:
    stand = Stand(NOON - 30 * MINUTE, NOON - 15 * MINUTE, NOON - HOUR_MS)

    assert plan(stand, RULES, NOON) == [
        Stretch(StretchKind.NEW, NOON - 30 * MINUTE, NOON - 15 * MINUTE),
        Stretch(StretchKind.AGAIN, NOON - 30 * MINUTE - OVERLAP_MS, NOON - 30 * MINUTE, NOON - 90 * MINUTE),
    ]


def test_once_a_night_all_that_vapi_keeps_is_read_again_and_goes_on_where_it_was_broken_off() -> None:
    stand = Stand(NOON - 30 * MINUTE, NOON - 15 * MINUTE, NOON - 23 * HOUR_MS)
    broken_off = Stand(NOON - 30 * MINUTE, NOON - 15 * MINUTE, NOON - 23 * HOUR_MS, NOON - 5 * DAY)

    assert plan(stand, RULES, NOON)[1] == Stretch(StretchKind.FULL, NOON - 14 * DAY, NOON - 30 * MINUTE)
    assert plan(broken_off, RULES, NOON)[1] == Stretch(StretchKind.FULL, NOON - 5 * DAY, NOON - 30 * MINUTE)


def test_workers_that_were_away_for_longer_than_vapi_keeps_calls_read_what_there_is() -> None:
    assert plan(Stand(NOON - 20 * DAY), RULES, NOON) == [Stretch(StretchKind.NEW, NOON - 14 * DAY, NOON - 15 * MINUTE)]


@given(
    now=st.integers(NOON, NOON + 400 * DAY),
    back=st.integers(0, 30 * DAY),
    swept=st.integers(0, DAY),
    full=st.integers(0, 2 * DAY),
)
def test_whatever_stands_no_moment_between_the_watermark_and_now_is_left_out(
    now: int, back: int, swept: int, full: int
) -> None:
    stand = Stand(now - back, now - swept, now - full)

    new = [stretch for stretch in plan(stand, RULES, now) if stretch.part is StretchKind.NEW]

    watermark = min(stand.watermark_ms, now - RULES.settle_ms)
    covered = [(stretch.from_ms, stretch.to_ms) for stretch in new]
    from_ms = max(watermark, now - RULES.back_ms)
    assert covered == ([(from_ms, now - RULES.settle_ms)] if from_ms < now - RULES.settle_ms else [])


def found_after(rules: ReconcileRules, created: int, ended: int, *, wrong_clock: Callable[[int], int]) -> float:
    """Return how many minutes after a call's end the first pass finds it missing; passes are made every 15 minutes."""
    stand = Stand(NOON - HOUR_MS, NOON - HOUR_MS, NOON - HOUR_MS)
    for number in range(3 * 96):
        true = NOON + number * 15 * MINUTE
        now = true + wrong_clock(number)
        has_ended = ended <= true
        listed = Listed("c", created, ended if has_ended else created, ended * has_ended, "ended", "", True, True, b"")
        listed = listed if has_ended else replace(listed, status="in-progress")
        stretches = plan(stand, rules, now)
        for one in stretches:
            is_listed = (
                one.from_ms <= created < one.to_ms and created <= true and listed.updated_ms >= one.updated_from_ms
            )
            if is_listed and bucket(listed, "unknown", rules, now) is Bucket.MISSING:
                return (true - ended) / MINUTE
        read = [one.to_ms for one in stretches if one.part is StretchKind.NEW]
        is_full = all(one.part is not StretchKind.AGAIN for one in stretches)
        stand = Stand(max(stand.watermark_ms, *read, 0), now, now if is_full else stand.full_ms)
    raise AssertionError("it was never found")


@pytest.mark.parametrize("settle", [1, 15, 60, 120, 300])
def test_a_missing_call_is_found_by_the_second_pass_after_its_time_however_long_it_lasted(settle: int) -> None:
    rules = ReconcileRules(settle_ms=settle * MINUTE, back_ms=14 * DAY)
    for lasts in (0, 1, 30, 59, 100, 240, 715):
        for begins in range(0, 24 * 60, 47):
            created = NOON + begins * MINUTE
            took = found_after(rules, created, created + lasts * MINUTE, wrong_clock=lambda number: 0)
            assert took <= settle + 30, (lasts, begins)


@pytest.mark.parametrize("hours", [-30, -3, 3, 30])
@pytest.mark.parametrize("which", [[0], range(0, 300, 2)])
def test_a_worker_whose_clock_is_wrong_delays_nothing_by_more_than_its_own_passes(
    hours: int, which: Collection[int]
) -> None:
    for lasts in (1, 100, 240):
        for begins in range(0, 12 * 60, 47):
            created = NOON + begins * MINUTE
            ended = created + lasts * MINUTE
            took = found_after(RULES, created, ended, wrong_clock=lambda n: hours * HOUR_MS if n in which else 0)
            assert took <= 60, (lasts, begins)


def test_the_night_is_at_three() -> None:
    at = [datetime(2026, 11, 10, hour, 30, tzinfo=UTC) for hour in (2, 3)]
    nights = [datetime.fromtimestamp(last_night_ms(round(one.timestamp() * 1000)) / 1000, UTC) for one in at]

    assert nights == [datetime(2026, 11, 9, 3, tzinfo=UTC), datetime(2026, 11, 10, 3, tzinfo=UTC)]
