"""How long Roark asks us to wait, in every form that its SDKs understand."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roark_worker.answers.retry_after import retry_after_seconds

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({}, None, id="nothing asked"),
        pytest.param({"retry-after": "2"}, 2, id="seconds"),
        pytest.param({"retry-after": " 2 "}, 2, id="seconds between blanks"),
        pytest.param({"retry-after": "0.5"}, 0.5, id="a fraction of a second"),
        pytest.param({"retry-after": "1e2"}, 100, id="seconds with an exponent"),
        pytest.param({"retry-after": "0"}, None, id="no wait at all"),
        pytest.param({"retry-after": "-3"}, None, id="a wait in the past"),
        pytest.param({"retry-after": ""}, None, id="empty"),
        pytest.param({"retry-after-ms": "250"}, 0.25, id="milliseconds"),
        pytest.param({"retry-after-ms": "0.5"}, 0.0005, id="half a millisecond"),
        pytest.param({"retry-after-ms": "250", "retry-after": "9"}, 0.25, id="milliseconds before seconds"),
        pytest.param({"retry-after-ms": "soon", "retry-after": "9"}, 9, id="unreadable milliseconds do not count"),
        pytest.param(
            {"retry-after-ms": "-250", "retry-after": "9"}, None, id="negative milliseconds do, as in the SDK"
        ),
        pytest.param({"retry-after": "Sun, 22 Nov 2026 12:01:30 GMT"}, 90, id="an HTTP date"),
        pytest.param({"retry-after": "Sunday, 22-Nov-26 12:01:30 GMT"}, 90, id="an HTTP date of RFC 850"),
        pytest.param({"retry-after": "Sun, 22 Nov 2026 13:01:30 +0100"}, 90, id="a date with an offset"),
        pytest.param({"retry-after": "Sun, 22 Nov 2026 12:01:30 -0000"}, 90, id="a date without a zone is UTC"),
        pytest.param({"retry-after": "Sun, 22 Nov 2026 11:59:00 GMT"}, None, id="a date in the past"),
        pytest.param({"retry-after": "Sun, 22 Nov 2026 12:00:00 GMT"}, None, id="a date that is now"),
        pytest.param({"retry-after": "Fri, 31 Dec 9999 23:59:59 -1200"}, 251606995199, id="a date at the end of time"),
        pytest.param({"retry-after": "Sun, 99 Nov 2026 12:01:30 GMT"}, None, id="no such day"),
        pytest.param({"retry-after": "in a while"}, None, id="words"),
        pytest.param({"retry-after": "2, 3"}, None, id="two values"),
        pytest.param({"retry-after": "inf"}, None, id="infinity"),
        pytest.param({"retry-after": "-inf"}, None, id="minus infinity"),
        pytest.param({"retry-after": "nan"}, None, id="not a number"),
        pytest.param({"retry-after-ms": "nan", "retry-after": "inf"}, None, id="neither a number"),
        pytest.param({"retry-after": "9" * 400}, None, id="more than a float holds"),
        pytest.param({"retry-after-ms": "1e-330"}, None, id="less than a float holds"),
    ],
)
def test_every_form_of_asking_is_understood(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_seconds(headers, NOW) == seconds


@given(st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms"]), st.text()))
def test_no_text_ever_makes_it_fail_or_wait_backwards(headers: dict[str, str]) -> None:
    seconds = retry_after_seconds(headers, NOW)

    assert seconds is None or seconds > 0


@given(st.floats(min_value=0.001, max_value=1e9))
def test_a_number_of_seconds_is_taken_as_it_is(seconds: float) -> None:
    assert retry_after_seconds({"retry-after": repr(seconds)}, NOW) == seconds


@given(st.integers(1, 10**9))
def test_a_date_is_as_far_away_as_it_says(seconds: int) -> None:
    then = datetime.fromtimestamp(NOW.timestamp() + seconds, UTC)

    assert retry_after_seconds({"retry-after": then.strftime("%a, %d %b %Y %H:%M:%S GMT")}, NOW) == seconds
