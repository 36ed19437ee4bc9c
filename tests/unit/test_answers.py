"""What becomes of a report by the answer to it: status and body in, state, side, words and next command out."""

import json
from datetime import UTC, datetime

import attempts
import pytest
from answers import CASES, Case
from offenders import for_each
from schedules import USUAL

from roark_ledger.ids import CallId, LeaseToken
from roark_ledger.moves.delivery import Claimed
from roark_ledger.packing import pack
from roark_worker.answers.explain import explain
from roark_worker.answers.verdict import Answer, Delivered, OurFault, Passing, Refused, judge
from roark_worker.deciding import decide

NOW = datetime(2026, 11, 27, tzinfo=UTC)
PACKED = pack(
    b'{"type":"end-of-call-report","call":{"id":"c-1","cost":null},"customer":{"number":"+15550101234"},'
    b'"transcript":"My name is Jane Doe and I live here","email":"jane@example.org"}'
)


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


@for_each("case", CASES)
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


@for_each("body", ECHOES)
@for_each("status", [200, 400, 422, 503])
def test_what_an_answer_quotes_of_the_report_is_not_kept(status: int, body: bytes) -> None:
    text = json.dumps(kept(judge(Answer(status, {}, body), NOW)))

    for private in ("Jane Doe", "+1555", "jane@", "abc.def"):
        assert private not in text


NUMBERS = ("+15550101234", "+1 (555) 010\u20111234", "06 12 34 56 78", "(555) 010-12345", "0612345678", "33612345678")
NO_NUMBERS = (
    "at 2026-05-19 23:13:32",
    "2026-05-19",
    "12345678",
    "0193b2c4-6f1d-7c3e-9a55-123456789012",
    "x1234567890",
    "1.5",
)


def test_no_phone_number_that_roark_names_is_kept_in_whatever_layout() -> None:
    for number in NUMBERS:
        body = json.dumps({"type": "v", "code": "c", "message": f"number {number} is not valid"}, ensure_ascii=False)
        message = kept(judge(Answer(422, {}, body.encode()), NOW))["message"]
        assert message in {"number *** is not valid", "number +*** is not valid"}, number
    for text in NO_NUMBERS:
        body = json.dumps({"type": "v", "code": "c", "message": f"it is {text}"})
        assert kept(judge(Answer(422, {}, body.encode()), NOW))["message"] == f"it is {text}"


@pytest.mark.parametrize("open_tag", [b"<h1>", b"<title>", b"<", b"<!--", b"<script>", b"<script", b"&"])
def test_a_page_that_never_ends_its_tags_takes_no_long_time(open_tag: bytes) -> None:
    started = datetime.now(UTC)
    judge(Answer(400, {}, open_tag * (65_536 // len(open_tag)), cut=True), NOW)
    assert (datetime.now(UTC) - started).total_seconds() < 1
