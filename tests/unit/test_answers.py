"""What becomes of a report by the answer to it: status and body in, state, side, words and next command out."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime

import attempts
import pytest
from schedules import USUAL

from roark_ledger.ids import CallId, LeaseToken
from roark_ledger.moves.delivery import Claimed
from roark_ledger.packing import pack
from roark_worker.answers.explain import Side, explain
from roark_worker.answers.verdict import Answer, Delivered, OurFault, Passing, Refused, judge
from roark_worker.deciding import decide

NOW = datetime(2026, 11, 27, tzinfo=UTC)
PACKED = pack(
    b'{"type":"end-of-call-report","call":{"id":"c-1","cost":null},"customer":{"number":"+15550101234"},'
    b'"transcript":"My name is Jane Doe and I live here","email":"jane@example.org"}'
)
NGINX = (
    b"<html>\r\n<head><title>400 The plain HTTP request was sent to HTTPS port</title></head>\r\n<body>\r\n"
    b"<center><h1>400 Bad Request</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
FASTAPI = {
    "detail": [{"type": "float_type", "loc": ["body", "call", "cost"], "msg": "Input should be a number", "input": "x"}]
}
ZOD = {"issues": [{"code": "invalid_type", "path": ["call", "cost"], "message": "Expected number, received null"}]}
PROBLEM = {
    "type": "https://roark.ai/errors/invalid",
    "title": "Your request is not valid.",
    "status": 422,
    "invalid-params": [{"name": "call.cost", "reason": "must be a number"}],
}
DETAILED = {
    "error": {"message": "Validation failed", "details": [{"path": ["call", "cost"], "message": "not a number"}]}
}


@dataclass(frozen=True)
class Case:
    """An answer, and what is to become of the report. `state` `held` is: the lane's business, not this report's."""

    name: str
    status: int
    body: object
    state: str
    reason: str = ""
    side: Side | None = None
    message: str = ""
    parameter: str = ""
    command: str = ""
    headers: dict[str, str] = field(default_factory=dict)


DOCTOR, REPLAY, EDIT, SHOW = "doctor", "dlq replay c-1", "dlq edit c-1", "dlq show c-1"
US, ROARK, REPORT = Side.SETTINGS, Side.ROARK, Side.REPORT

CASES = [
    # Delivered, and how sure that is.
    Case("named", 200, {"data": {"callId": "r-1"}}, "confirmed"),
    Case("named with 201", 201, {"data": {"callId": "r-1"}, "warnings": []}, "confirmed"),
    Case("named, errors empty", 200, {"data": {"callId": "r-1"}, "errors": [], "error": None}, "confirmed"),
    Case(
        "named, and failed", 200, {"data": {"callId": "r-1"}, "error": {"message": "no"}}, "unconfirmed", message="no"
    ),
    Case("named, without success", 200, {"data": {"callId": "r-1"}, "success": False}, "unconfirmed"),
    Case("nothing in it", 200, {}, "unconfirmed"),
    Case("null for the id", 200, {"data": {"callId": None}}, "unconfirmed"),
    Case("a number for the id", 200, {"data": {"callId": 7}}, "unconfirmed"),
    Case("blanks for the id", 200, {"data": {"callId": "  "}}, "unconfirmed"),
    Case("an overlong id", 200, {"data": {"callId": "x" * 65}}, "unconfirmed"),
    Case("queued", 202, {"message": "queued"}, "unconfirmed", message="queued"),
    Case("queued, with a code", 202, {"message": "queued", "code": "accepted"}, "unconfirmed", message="queued"),
    Case("skipped", 200, {"data": None, "message": "Call already imported"}, "unconfirmed", message="already imported"),
    Case("a duplicate", 409, {"code": "duplicate_call", "message": "exists"}, "unconfirmed", message="exists"),
    Case("a named duplicate", 409, {"error": {"code": "already_imported", "callId": "r-1"}}, "confirmed"),
    # A success with an error inside.
    Case("error, unknown", 200, {"error": {"message": "Oops"}}, "waiting", "http_200_error", ROARK, "Oops", "", REPLAY),
    Case("error as a text", 200, {"error": "Something broke"}, "waiting", "http_200_error", ROARK, "Something broke"),
    Case("errors", 200, {"errors": [{"message": "Oops"}]}, "waiting", "http_200_error", ROARK, "Oops"),
    Case("success false", 200, {"success": False}, "waiting", "http_200_error", ROARK),
    Case("ok false", 200, {"ok": False, "data": None}, "waiting", "http_200_error", ROARK),
    Case("status error", 200, {"status": "error", "message": "Oops"}, "waiting", "http_200_error", ROARK, "Oops"),
    Case("Roark's own shape", 200, {"type": "internal", "code": "x1", "message": "Oops"}, "waiting", "http_200_error"),
    Case("data null beside words", 200, {"data": None, "code": "E77", "message": "Oops"}, "waiting", "http_200_error"),
    Case("a detail", 200, {"detail": "Oops"}, "waiting", "http_200_error", ROARK, "Oops"),
    Case("inside data", 200, {"data": {"error": {"message": "Oops"}}}, "waiting", "http_200_error", ROARK, "Oops"),
    Case("unauthorized inside", 200, {"error": {"code": "unauthorized"}}, "held", "http_401", US, "", "", DOCTOR),
    Case("401 inside", 200, {"success": False, "statusCode": 401}, "held", "http_401", US, "", "", DOCTOR),
    Case("a rate limit inside", 200, {"error": {"type": "rate_limit"}}, "waiting", "http_429", ROARK, "", "", REPLAY),
    Case(
        "a validation inside", 200, {"error": {"type": "validation", "message": "no"}}, "dead", "http_422", REPORT, "no"
    ),
    Case("issues inside", 200, ZOD, "dead", "http_422", REPORT, "Expected number", "call.cost", EDIT),
    Case("a page", 200, b"<html><title>Sign in</title></html>", "waiting", "not_roark", US, "Sign in", "", DOCTOR),
    Case("nothing at all", 204, b"", "waiting", "not_roark", US, "", "", DOCTOR),
    # This report is refused, in any shape.
    Case(
        "refused", 400, {"code": "invalid", "message": "Too short"}, "dead", "http_400", REPORT, "Too short", "", SHOW
    ),
    Case(
        "a field",
        422,
        {"message": "bad", "parameter": "call.cost"},
        "dead",
        "http_422",
        REPORT,
        "bad",
        "call.cost",
        EDIT,
    ),
    Case("details", 422, DETAILED, "dead", "http_422", REPORT, "Validation failed", "call.cost", EDIT),
    Case("fastapi", 422, FASTAPI, "dead", "http_422", REPORT, "Input should be a number", "call.cost", EDIT),
    Case("fastapi text", 400, {"detail": "Too short"}, "dead", "http_400", REPORT, "Too short", "", SHOW),
    Case("zod", 400, ZOD, "dead", "http_400", REPORT, "Expected number", "call.cost", EDIT),
    Case(
        "zod in a text",
        400,
        {"message": json.dumps(ZOD["issues"])},
        "dead",
        "http_400",
        REPORT,
        "Expected",
        "call.cost",
    ),
    Case("problem+json", 422, PROBLEM, "dead", "http_422", REPORT, "must be a number", "call.cost", EDIT),
    Case(
        "a map", 422, {"errors": {"call.cost": ["is null"]}}, "dead", "http_422", REPORT, "is null", "call.cost", EDIT
    ),
    Case(
        "a pointer",
        422,
        {"errors": [{"detail": "no", "source": {"pointer": "/call/cost"}}]},
        "dead",
        "http_422",
        REPORT,
        "no",
        "call.cost",
    ),
    Case("too large", 413, {"message": "Too large"}, "dead", "http_413", REPORT, "Too large", "", EDIT),
    Case(
        "wrapped twice",
        422,
        {"error": {"error": {"message": "deep", "path": "call.cost"}}},
        "dead",
        "http_422",
        REPORT,
        "deep",
        "call.cost",
    ),
    # Something else answers, or everybody is refused.
    Case(
        "https port", 400, NGINX, "held", "http_400_not_roark", US, "plain HTTP request was sent to HTTPS", "", DOCTOR
    ),
    Case("a text", 400, b"Bad request", "held", "http_400_not_roark", US, "Bad request", "", DOCTOR),
    Case("an empty 422", 422, b"", "held", "http_422_not_roark", US, "", "", DOCTOR),
    Case("a page's 413", 413, b"<h1>413 Too Large</h1>", "held", "http_413_not_roark", US, "413 Too Large", "", DOCTOR),
    Case("a proxy's 407", 407, b"", "held", "http_407", US, "", "", DOCTOR),
    Case("a proxy's 403", 403, b"<title>Blocked</title>", "held", "http_403_not_roark", US, "Blocked", "", DOCTOR),
    Case("415", 415, {"message": "no JSON"}, "held", "http_415", US, "no JSON", "", DOCTOR),
    Case("401", 401, {"error": {"message": "Who?"}}, "held", "http_401", US, "Who?", "", DOCTOR),
    Case("a redirect", 301, b"", "held", "http_301", US, "", "", DOCTOR),
    # It passes.
    Case(
        "a proxy's 502", 502, b"<html><title>502 Bad Gateway</title>", "waiting", "http_502", ROARK, "502 Bad Gateway"
    ),
    Case("429", 429, {"type": "rate_limit", "message": "Slow down"}, "waiting", "http_429", ROARK, "Slow down"),
    Case("a lock", 409, {"message": "already being processed"}, "waiting", "http_409", ROARK, "being processed"),
    Case(
        "told to retry", 422, {"message": "no"}, "waiting", "http_422", REPORT, "no", headers={"x-should-retry": "true"}
    ),
]


def judged(case: Case) -> Delivered | Passing | Refused | OurFault:
    body = case.body if isinstance(case.body, bytes) else json.dumps(case.body).encode()
    return judge(Answer(case.status, case.headers, body), NOW)


def kept(verdict: Delivered | Passing | Refused | OurFault) -> dict[str, object]:
    """What stands in the history; of what is the lane's business, what would."""
    claimed = Claimed(CallId("c-1"), LeaseToken(1), 0, 0, False, "f", PACKED)
    if isinstance(verdict, OurFault):
        verdict = Refused(
            verdict.reason, verdict.status, verdict.message, verdict.parameter, verdict.code, verdict.excerpt
        )
    outcome = decide(attempts.judged(claimed, verdict), USUAL, max_conflicts=3, chance=0.5)
    found: dict[str, object] = json.loads(outcome.detail)  # type: ignore[union-attr] # nothing is released here
    return found


def state_of(verdict: Delivered | Passing | Refused | OurFault) -> str:
    match verdict:
        case Delivered():
            return "confirmed" if verdict.confirmed else "unconfirmed"
        case Passing():
            return "waiting"
        case Refused():
            return "dead"
        case OurFault():
            return "held"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_answer_leads_to_its_state_its_side_its_words_and_its_next_command(case: Case) -> None:
    verdict = judged(case)

    assert state_of(verdict) == case.state
    assert verdict.status == case.status
    detail = kept(verdict)
    assert case.message in str(detail.get("message", ""))
    assert detail.get("parameter", "") == case.parameter
    assert detail.get("status") == case.status
    if isinstance(verdict, Delivered):
        assert detail.get("unconfirmed", False) is (case.state == "unconfirmed")
        return
    assert verdict.reason == case.reason
    found = explain(verdict.reason, call_id="c-1", status=verdict.status, parameter=case.parameter)
    assert case.side in {None, found.side}
    assert "{" not in found.what
    assert not case.command or found.command == f"roark-ingest {case.command}"


def test_an_error_inside_a_success_says_that_it_came_inside_one() -> None:
    assert "inside an answer with status 200" in explain("http_401", status=200).what


@pytest.mark.parametrize("body", [{"strange": True, "hint": "ask us"}, {"data": {"note": "hm"}}])
def test_of_an_answer_in_no_known_shape_some_of_it_is_kept(body: dict[str, object]) -> None:
    for status in (200, 400, 503):
        detail = kept(judge(Answer(status, {}, json.dumps(body).encode()), NOW))
        assert json.loads(str(detail["excerpt"])) == body


def test_no_more_than_500_bytes_of_an_answer_are_kept() -> None:
    body = json.dumps({f"hint{number}": "ü" * 20 for number in range(19)}).encode()
    excerpt = str(kept(judge(Answer(400, {}, body), NOW))["excerpt"])
    assert 450 < len(excerpt.encode()) <= 500


ECHOES = [
    b'{"strange":"call +15550101234","input":{"transcript":"My name is Jane Doe"}}',
    b'{"hint":"got: My name is Jane Doe and I live here"}',
    b'{"hint":"who is jane@example.org"}',
    b'{"payload":{"a":{"b":"Jane"}},"values":["Jane Doe"]}',
    b"Cannot parse: My name is Jane Doe and I live here, +15550101234",
    b"<html><body>Refused: My name is Jane Doe, bearer abc.def.ghi</body></html>",
    b'{"message":"not so: My name is Jane Doe and I live here"}',
]


@pytest.mark.parametrize("body", ECHOES)
@pytest.mark.parametrize("status", [200, 400, 422, 503])
def test_what_an_answer_quotes_of_the_report_is_not_kept(status: int, body: bytes) -> None:
    text = json.dumps(kept(judge(Answer(status, {}, body), NOW)))

    for private in ("Jane Doe", "+1555", "jane@", "abc.def"):
        assert private not in text


@pytest.mark.parametrize("open_tag", [b"<h1>", b"<title>", b"<", b"<!--", b"<script>", b"<script", b"&"])
def test_a_page_that_never_ends_its_tags_takes_no_long_time(open_tag: bytes) -> None:
    started = datetime.now(UTC)
    judge(Answer(400, {}, open_tag * (65_536 // len(open_tag)), cut=True), NOW)
    assert (datetime.now(UTC) - started).total_seconds() < 1
