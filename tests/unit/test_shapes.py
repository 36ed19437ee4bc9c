"""What a document looks like that is no report by itself, and where in it reports stand."""

import base64
import gzip
import json
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roark_ledger.errors import InvalidReport
from roark_producer.vapi.places import found_at, named, parse_place
from roark_producer.vapi.report import Report, read_message
from roark_producer.vapi.shapes import look_into

REPORT = {"type": "end-of-call-report", "call": {"id": "c-1", "big": 1}}
SENT = b'{"type": "end-of-call-report", "call": {"id": "c-1", "n": 12345678901234567890.10}}'
CALL = {"id": "c-2", "orgId": "o", "type": "outboundPhoneCall", "status": "ended", "artifact": {"messages": []}}
TEXT = json.dumps({"message": REPORT})


def base64_of(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


WRAPPERS: dict[str, tuple[Any, str]] = {
    "a row": ({"id": 1, "payload": {"message": REPORT}}, ".payload.message"),
    "a row with the bare message": ({"id": 1, "payload": REPORT}, ".payload"),
    "a row with text": ({"id": 1, "payload": TEXT}, ".payload"),
    "a row with text in text": ({"payload": json.dumps(TEXT)}, ".payload"),
    "n8n": ({"headers": {}, "query": {}, "body": {"message": REPORT}}, ".body.message"),
    "API Gateway": ({"requestContext": {}, "body": TEXT, "isBase64Encoded": False}, ".body"),
    "API Gateway, base64": ({"requestContext": {}, "body": base64_of(TEXT), "isBase64Encoded": True}, ".body"),
    "SQS": ({"Records": [{"messageId": "1", "body": TEXT}]}, ".Records[].body"),
    "SNS in SQS": ({"Records": [{"body": json.dumps({"Type": "N", "Message": TEXT})}]}, ".Records[].body.Message"),
    "Kinesis": ({"Records": [{"kinesis": {"data": base64_of(TEXT)}}]}, ".Records[].kinesis.data"),
    "Datadog": ({"data": [{"type": "log", "attributes": {"message": TEXT}}]}, ".data[].attributes.message"),
    "BigQuery": ({"insertId": "1", "json": {"payload": TEXT}}, ".json.payload"),
    "Elasticsearch": ({"hits": {"hits": [{"_source": {"message": REPORT}}]}}, ".hits.hits[]._source.message"),
    "Loki": ({"streams": [{"values": [["170", TEXT]]}]}, ".streams[].values[][]"),
    "CloudWatch to Lambda": (
        {"awslogs": {"data": base64.b64encode(gzip.compress(json.dumps({"e": [{"m": TEXT}]}).encode())).decode()}},
        ".awslogs.data.e[].m",
    ),
    "an array": ([[{"message": REPORT}]], "[][].message"),
    "names with dots": ({"log.message": {"x y": TEXT}}, '."log.message"."x y"'),
    "Debezium": ({"payload": {"op": "c", "after": {"doc": TEXT}}}, ".payload.after.doc"),
}


@pytest.mark.parametrize(("document", "place"), WRAPPERS.values(), ids=WRAPPERS)
def test_the_place_of_a_report_is_named_and_leads_to_it(document: Any, place: str) -> None:
    body = json.dumps(document).encode()
    assert f"an end-of-call report is at {place}" in look_into(body).words()
    (found,) = found_at(body, parse_place(place))
    message = read_message(found)
    assert isinstance(message, Report)
    assert message.call_id == "c-1"


@pytest.mark.parametrize("place", ["a.b", ".a.b", "$.a.b", '"a"."b"', "[].a.b", "a.b[]"])
def test_a_place_may_be_written_as_people_do(place: str) -> None:
    assert found_at(b'{"a":{"b":[' + SENT + b"]}}", parse_place(place)) == [SENT]


@pytest.mark.parametrize("place", ["", "a..b", "a[0]", "a[", 'a"b', "]", "a. [", "  "])
def test_what_is_no_place_is_refused(place: str) -> None:
    with pytest.raises(ValueError, match="it "):
        parse_place(place)


def test_what_stands_there_is_taken_byte_for_byte() -> None:
    text = json.dumps(SENT.decode()).encode()
    assert found_at(b"payload=" + quote_plus(b"[" + SENT + b"]").encode(), ("[]",)) == [SENT]
    for document in (b'{"p": ' + SENT + b" }", b'{"p":[' + text + b"]}", b'{"p":' + text + b"}"):
        assert found_at(document, ("p",)) == [SENT]


@pytest.mark.parametrize("document", [b"{}", b'{"p":null}', b'{"p":[]}', b'{"q":{}}', b"[]", b"7", b'{"p":[null]}'])
def test_where_nothing_stands_nothing_is_found(document: bytes) -> None:
    assert found_at(document, ("p",)) == []


def test_a_name_that_may_be_a_persons_is_not_repeated() -> None:
    for name in ("+15550101234", "ann@example.com", "x" * 100, "\x1b[31m"):
        words = look_into(json.dumps({name: REPORT}).encode()).words()
        assert words.endswith('is at ."…"')
    assert named(("a", "[]", "b c")) == '.a[]."b c"'


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (CALL, "a Call object of Vapi's API, not an end-of-call report"),
        (CALL | {"type": "webCall"}, "a Call object of Vapi's API, not an end-of-call report"),
        ({"results": [CALL, CALL]}, "a Call object of Vapi's API, not an end-of-call report, is at .results[]"),
        ({"specversion": "1.0", "data": 1}, "a CloudEvents envelope"),
        ({"a": REPORT, "b": [REPORT]}, "an end-of-call report is at .a and .b[]"),
        ({"type": "status-update", "call": CALL}, ""),
        ({"id": "x", "type": "inboundPhoneCallish"}, ""),
        ({"id": "x", "type": ["webCall"], "status": {}}, ""),
        ([1, "e", "W", "H4sIAAAA", None], ""),
        ([CALL], "a Call object of Vapi's API, not an end-of-call report, stands at []"),
    ],
)
def test_it_is_called_by_its_name(document: Any, words: str) -> None:
    assert look_into(json.dumps(document).encode()).words() == words


@pytest.mark.parametrize(
    "document",
    [
        {"specversion": "1.0", "data": [REPORT, REPORT]},
        {"specversion": "1.0", "data": {"message": REPORT, "call": CALL}},
        {"id": 1, "payload": {"message": REPORT}},
        {"headers": {}, "body": {"message": REPORT}},
    ],
)
def test_where_something_else_may_be_meant_nothing_is_opened(document: Any) -> None:
    with pytest.raises(InvalidReport, match="an end-of-call report is at"):
        read_message(json.dumps(document).encode())


def test_half_a_surrogate_pair_does_not_hide_a_report() -> None:
    assert look_into(b'{"t":"\\ud800","p":{"type":"end-of-call-report"}}').reports == (("p",),)


NAMES = st.sampled_from(["type", "message", "call", "id", "data", "status", "p"])
PLAIN = st.none() | st.booleans() | st.text() | st.floats()


@given(st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner)))
def test_anything_can_be_looked_into(document: Any) -> None:
    look_into(json.dumps(document).encode()).words()
    found_at(json.dumps(document).encode(), ("p", "[]", "message"))


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 5_000 + b"1" + b"}" * 5_000, b"\xff", b"", b"{}{}"])
def test_what_cannot_be_read_looks_like_nothing(body: bytes) -> None:
    assert look_into(body).words() == ""


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("data: " + TEXT, "text with an end-of-call report in the JSON from byte 7 on"),
        (
            "2026-11-01T10:00:01Z stdout F " + TEXT + " (ok)",
            "text with an end-of-call report in the JSON from byte 31 on",
        ),
        ("curl -d '" + TEXT + "'", "text with an end-of-call report in the JSON from byte 10 on"),
        ("INFO end-of-call-report", ""),
        ('{"message":{"type":"end-of-call-report","call":{},"cost":NaN}}', ""),
        ('[{"type":"end-of-call-report","call":{}},{"a":', ""),
        ('INFO {"a":"end-of-call-report"}', ""),
        ('INFO {"type":"end-of-call-report"', ""),
    ],
)
def test_a_report_behind_other_text_is_told(line: str, words: str) -> None:
    assert look_into(line.encode()).words() == words


def test_a_string_that_unpacks_without_an_end_is_no_document() -> None:
    bomb = base64.b64encode(gzip.compress(b'{"a":"' + b" " * 40_000_000 + b'"}')).decode()
    assert found_at(json.dumps({"p": bomb}).encode(), ("p",)) == [json.dumps(bomb).encode()]
