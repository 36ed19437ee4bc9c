"""What an answer from Roark means."""

import json
import unicodedata
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from offenders import for_each

from roark_worker.answers.error_inside import error_inside
from roark_worker.answers.verdict import Answer, Delivered, OurFault, Passing, Refused, Verdict, judge

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
ERROR = b'{"type":"validation","code":"invalid_request","message":"call.id is required","parameter":"call.id"}'
IMPORTED = b'{"data":{"callId":"roark-1"}}'
PAGE = b"<!DOCTYPE html><html><body>Please sign in.</body></html>"

DUPLICATE = 409
PASSING = (408, 425, 429, 500, 502, 503, 504, 520, 599, 600, 999)
OUR_FAULT = (100, 101, 300, 301, 302, 304, 307, 308, 401, 402, 403, 404, 405, 407, 410, 415)
REFUSED = (400, 406, 411, 412, 413, 414, 418, 421, 422, 423, 424, 426, 428, 431, 451, 499)

# Some bodies that a proxy, a captive portal or an attacker may send.
HOSTILE = [
    pytest.param(b"", id="nothing"),
    pytest.param(PAGE, id="html"),
    pytest.param(b"OK", id="a word"),
    pytest.param(b"{", id="half an object"),
    pytest.param(b'{"data":{"callId":"x"}} trailing', id="an object and more"),
    pytest.param(b"[]", id="an array"),
    pytest.param(b'"text"', id="a string"),
    pytest.param(b"null", id="null"),
    pytest.param(b"\xef\xbb\xbf{}", id="a byte order mark"),
    pytest.param(b"\xff\xfe{\x00}\x00", id="utf-16"),
    pytest.param(b'{"data":NaN}', id="not JSON's NaN"),
    pytest.param(b'{"data":"\\ud800"}', id="half a surrogate pair"),
    pytest.param(b"[" * 60_000, id="deep arrays"),
    pytest.param(b'{"a":' * 10_000 + b"1" + b"}" * 10_000, id="deep objects"),
    pytest.param(b'{"data":' * 8_000, id="deep and cut"),
]

TEXTS = st.text(st.characters(codec="utf-8"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS | st.sampled_from(["data", "callId", "message"]), inner),
)
ERROR_LIKE = st.dictionaries(st.sampled_from(["type", "code", "message", "parameter", "details", "data"]), JSON)
BODIES = st.binary() | st.builds(lambda value: json.dumps(value).encode(), JSON | ERROR_LIKE)
HEADERS = st.dictionaries(
    st.sampled_from(["retry-after", "retry-after-ms", "x-should-retry", "ratelimit", "x-ratelimit-remaining"]),
    st.text() | st.sampled_from(["true", "false", "5", "limit=1, remaining=0, reset=9"]),
)


def judged(status: int, body: bytes = ERROR, **headers: Any) -> Verdict:
    return judge(Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, body), NOW)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 226, 299])
def test_a_success_with_a_json_object_is_delivered(status: int) -> None:
    assert judged(status, IMPORTED) == Delivered(status, "roark-1")


@for_each("status", [200, 201, 204])
@for_each("body", HOSTILE)
def test_a_success_without_a_json_object_is_not_roarks_and_passes(status: int, body: bytes) -> None:
    verdict = judged(status, body)

    assert isinstance(verdict, Passing)
    assert verdict.reason == "not_roark"
    assert verdict.status == status


@pytest.mark.parametrize(
    ("body", "roark_call_id"),
    [
        (b"{}", ""),
        (b'{"data":null}', ""),
        (b'{"data":{}}', ""),
        (b'{"data":[]}', ""),
        (b'{"data":{"callId":7}}', ""),
        (b'{"data":{"callId":"an id with blanks"}}', ""),
        (b'{"data":{"callId":"two\\nlines"}}', ""),
        (b'{"data":{"callId":"' + b"x" * 65 + b'"}}', ""),
        (b'{"data":{"callId":"' + b"x" * 64 + b'"}}', "x" * 64),
        (b' {"data" : {"callId" : "roark-1", "more" : [1]} }', "roark-1"),
    ],
)
def test_roarks_id_is_kept_where_it_is_usable_and_missed_where_not(body: bytes, roark_call_id: str) -> None:
    verdict = judged(200, body)

    assert isinstance(verdict, Delivered)
    assert verdict.roark_call_id == roark_call_id
    assert verdict.confirmed is bool(roark_call_id)


def test_a_success_that_is_too_long_to_read_whole_is_delivered_if_it_begins_as_an_object() -> None:
    cut = b' {"data":{"callId":"roark-1","transcript":"' + b"x" * 65_000

    verdict = judge(Answer(200, {}, cut, cut=True), NOW)
    assert isinstance(verdict, Delivered)
    assert not verdict.confirmed
    assert isinstance(judge(Answer(200, {}, PAGE * 1000, cut=True), NOW), Passing)


@for_each("status", PASSING)
def test_overload_and_server_errors_pass(status: int) -> None:
    assert judged(status) == Passing(f"http_{status}", status, "call.id is required")


@for_each("status", OUR_FAULT)
def test_token_credits_and_url_are_our_fault_whatever_roark_says_about_retrying(status: int) -> None:
    expected = OurFault(f"http_{status}", status, "call.id is required")

    assert judged(status) == expected
    assert judged(status, x_should_retry="false") == expected


@for_each("status", REFUSED)
def test_every_other_client_error_is_a_refusal_of_this_report_with_roarks_reason(status: int) -> None:
    assert judged(status) == Refused(f"http_{status}", status, "call.id is required", "call.id")


@for_each("status", [*PASSING, *REFUSED, *OUR_FAULT, DUPLICATE])
def test_roarks_word_makes_every_failure_passing(status: int) -> None:
    assert isinstance(judged(status, x_should_retry="true"), Passing)


def test_roarks_word_ends_a_conflict_over_one_call() -> None:
    assert isinstance(judged(DUPLICATE, x_should_retry="false"), Refused)


@for_each("status", PASSING)
def test_an_outage_that_roark_wants_no_retries_in_is_no_reports_fault(status: int) -> None:
    assert judged(status, x_should_retry="false") == OurFault(f"http_{status}", status, "call.id is required")


@pytest.mark.parametrize("word", ["", "yes", "TRUE", "1"])
def test_another_word_than_roarks_own_two_changes_nothing(word: str) -> None:
    assert judged(503, x_should_retry=word) == judged(503)
    assert judged(400, x_should_retry=word) == judged(400)


@pytest.mark.parametrize(
    "message",
    [
        "Call was already imported",
        "This call has already been imported",
        "Call already exists",
        "already_exists",
        "AlreadyImported",
        "Duplicate externalId",
        "DUPLICATE_CALL",
    ],
)
def test_a_conflict_over_a_call_that_is_there_is_delivered(message: str) -> None:
    body = json.dumps({"type": "conflict", "code": "conflict", "message": message}).encode()

    assert judged(409, body) == Delivered(409, already_there=True, message=message, code="conflict")


@pytest.mark.parametrize(
    "message", ["The call is being processed", "Call is already being processed", "Already locked", "try again", ""]
)
def test_a_conflict_over_a_lock_passes_because_nobody_knows_how_it_will_end(message: str) -> None:
    body = json.dumps({"type": "conflict", "code": "conflict", "message": message}).encode()

    verdict = judged(409, body)

    assert isinstance(verdict, Passing)
    assert verdict.reason == "http_409"


def test_a_duplicates_id_at_roark_is_kept() -> None:
    body = b'{"message":"already imported","data":{"callId":"roark-1"}}'

    assert judged(409, body) == Delivered(409, "roark-1", already_there=True)


@pytest.mark.parametrize(
    ("headers", "retry_after"),
    [
        ({"retry_after": "7"}, 7.0),
        ({"retry_after_ms": "1500"}, 1.5),
        ({"retry_after": "Sun, 22 Nov 2026 12:00:09 GMT"}, 9.0),
        ({"retry_after": "-1"}, None),
        ({}, None),
    ],
)
def test_the_wait_that_roark_asks_for_comes_with_a_passing_failure(
    headers: dict[str, Any], retry_after: float | None
) -> None:
    verdict = judged(503, **headers)

    assert isinstance(verdict, Passing)
    assert verdict.retry_after == retry_after


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"message":"Too short"}', "Too short"),
        (b'{"code":"too_short"}', "too_short"),
        (b'{"message":"","code":"too_short"}', "too_short"),
        (b'{"message":["Too short","Too old"],"code":"too_short"}', "Too short; Too old"),
        (b'{"message":"Too short","parameter":["a","b"]}', "Too short"),
        (b'{"message":"Too short","details":{"deep":[1]}}', "Too short"),
        (b'{"message":"  Too\\n\\u001b[31mshort\\u0000\\u202e  "}', "Too [31mshort"),
        (PAGE, "Please sign in."),
        (b'["Too short"]', "Too short"),
        (b"", ""),
    ],
)
def test_roarks_reason_is_one_readable_line_or_missing(body: bytes, message: str) -> None:
    verdict = judged(422, body)

    assert isinstance(verdict, Refused | OurFault)
    assert verdict.message == message


def test_a_long_reason_is_shortened() -> None:
    verdict = judged(422, json.dumps({"message": "x" * 5000, "parameter": "y" * 5000}).encode())

    assert isinstance(verdict, Refused)
    assert verdict.message == "x" * 300
    assert verdict.parameter == "y" * 100


@for_each("status", [200, 204, 301, 400, 401, 409, 422, 429, 503])
@for_each("body", HOSTILE)
def test_no_hostile_body_makes_it_fail(status: int, body: bytes) -> None:
    judged(status, body)
    judge(Answer(status, {}, body, cut=True), NOW)


@given(st.integers(100, 999), HEADERS, BODIES, st.booleans())
def test_every_answer_has_a_verdict_that_can_be_recorded(
    status: int, headers: dict[str, str], body: bytes, cut: bool
) -> None:
    verdict = judge(Answer(status, headers, body, cut), NOW)

    texts: dict[str, Any] = {name: getattr(verdict, name, "") for name in ("reason", "message", "parameter", "code")}
    assert verdict.status == status
    assert all(len(text) <= 300 for text in texts.values())
    texts["excerpt"] = getattr(verdict, "excerpt", "")
    assert len(texts["excerpt"].encode()) <= 500
    assert not any(unicodedata.category(character) == "Cc" for text in texts.values() for character in text)
    assert " " not in texts["reason"]
    json.dumps(texts).encode()


@given(st.integers(100, 999), BODIES)
def test_a_report_is_refused_or_delivered_only_by_an_answer_that_says_so(status: int, body: bytes) -> None:
    match judge(Answer(status, {}, body), NOW):
        case Delivered():
            assert 200 <= status < 300 or status == 409
        case Refused() | OurFault() if 200 <= status < 300:
            assert error_inside(json.loads(body))
        case Refused():
            assert 400 <= status < 500
        case OurFault():
            assert status < 500
        case Passing():
            assert status >= 200
