"""Parsing a report at the border: its bytes stay, its fingerprint tells repeats, its errors name the field."""

import base64
import gzip
import json
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from json_texts import objects, spaces

from roark_ledger.errors import InvalidReport
from roark_producer.vapi.report import OtherMessage, Report, read_message

PAYLOAD = b'{"type":"end-of-call-report","call":{"id":"call-1","n":12345678901234567890},"a":"x\\"y"}'
ESSENTIALS = {"type": '"end-of-call-report"', "call": '{"id":"call-1"}'}


def message(**changes: Any) -> dict[str, Any]:
    """A small report of the shape that Vapi sends."""
    return {
        "timestamp": 1_760_000_000_000,
        "type": "end-of-call-report",
        "analysis": {"summary": "They said hello."},
        "artifact": {
            "messages": [{"role": "bot", "message": "Hello, this is Ada.", "time": 1.5}, {"role": "user"}],
            "transcript": 'AI: Hello\nUser: "Hi", he said',
            "presignedRecordingUrl": "https://storage/1?sig=1",
            "presignedUrlsExpiresAt": "2026-01-01T00:00:00Z",
            "scores": [1, 2, 3],
        },
        "startedAt": "2026-01-01T00:00:00.000Z",
        "cost": 0.1234,
        "costs": [{"type": "transport", "minutes": 1.2}],
        "call": {"id": "0194e2a4-7b1c-7c3e-9f00-000000000001", "metadata": {"tenant": "t-1"}},
    } | changes


def parse(document: object, **layout: Any) -> Report:
    report = read_message(json.dumps(document, **layout).encode())
    assert isinstance(report, Report)
    return report


def changed_in_artifact(**changes: Any) -> dict[str, Any]:
    return message(artifact=message()["artifact"] | changes)


class TestTheBytesOfTheSender:
    @given(objects(ESSENTIALS), spaces, spaces)
    def test_a_wrapped_report_comes_out_as_it_went_in(
        self, inner: tuple[str, list[tuple[str, str]]], before: str, after: str
    ) -> None:
        body = f'{before}{{{before}"message"{after}:{before}{inner[0]}{after}}}{after}'.encode()

        report = read_message(body)

        assert isinstance(report, Report)
        assert report.payload == inner[0].encode()
        assert report.call_id == "call-1"

    @given(objects(ESSENTIALS), spaces, spaces)
    def test_a_bare_report_comes_out_as_it_went_in(
        self, inner: tuple[str, list[tuple[str, str]]], before: str, after: str
    ) -> None:
        report = read_message(f"{before}{inner[0]}{after}".encode())

        assert isinstance(report, Report)
        assert report.payload == inner[0].encode()

    def test_numbers_beyond_a_doubles_reach_are_not_touched(self) -> None:
        payload = b'{"type":"end-of-call-report","call":{"id":"c"},"n":9007199254740993,"x":1e400,"y":1.10}'

        report = read_message(b'{"message":' + payload + b"}")

        assert isinstance(report, Report)
        assert report.payload == payload

    def test_what_stands_beside_the_message_is_not_part_of_it(self) -> None:
        report = read_message(b'{"extra":1,"message":{"type":"end-of-call-report","call":{"id":"c"}},"x":[]}')

        assert isinstance(report, Report)
        assert report.payload == b'{"type":"end-of-call-report","call":{"id":"c"}}'

    def test_a_report_may_have_a_member_named_message_that_is_a_text(self) -> None:
        body = b'{"type":"end-of-call-report","message":"hello","call":{"id":"c"}}'

        report = read_message(body)

        assert isinstance(report, Report)
        assert report.payload == body

    def test_the_payload_is_not_printed_with_the_report(self) -> None:
        assert "They said hello" not in repr(parse(message()))


class TestFingerprint:
    @pytest.mark.parametrize(
        "changed",
        [
            message(timestamp=1),
            changed_in_artifact(presignedRecordingUrl="https://storage/1?sig=2"),
            changed_in_artifact(presignedUrlsExpiresAt="2027-01-01T00:00:00Z"),
            changed_in_artifact(presignedSomethingNew="https://storage/new"),
            {name: value for name, value in message().items() if name != "timestamp"},
        ],
        ids=["timestamp", "presigned url", "expiry", "a new presigned url", "no timestamp"],
    )
    def test_it_leaves_out_what_vapi_makes_anew_for_each_delivery(self, changed: dict[str, Any]) -> None:
        assert parse(changed).fingerprint == parse(message()).fingerprint

    @pytest.mark.parametrize(
        "changed",
        [
            message(startedAt="2026-01-01T00:00:00.001Z"),
            message(analysis={"summary": "They said goodbye."}),
            message(cost=0.1235),
            message(extra=None),
            changed_in_artifact(transcript="AI: Goodbye"),
            changed_in_artifact(recordingUrl="https://storage/1"),
            message(artifact=None),
            message(call={"id": "0194e2a4-7b1c-7c3e-9f00-000000000001", "metadata": {"tenant": "t-2"}}),
            # Presigned only counts as such inside the artifact, and a timestamp only at the top.
            message(presignedRecordingUrl="https://storage/1?sig=1"),
            changed_in_artifact(timestamp=1),
        ],
    )
    def test_any_other_change_makes_another_one(self, changed: dict[str, Any]) -> None:
        assert parse(changed).fingerprint != parse(message()).fingerprint

    @given(st.data())
    def test_any_changed_member_makes_another_one(self, data: st.DataObject) -> None:
        whole = message()
        name = data.draw(st.sampled_from([name for name in whole if name not in {"timestamp", "type", "call"}]))
        value = data.draw(st.one_of(st.integers(), st.text(), st.lists(st.integers()), st.none()))

        assert parse(message(**{name: value})).fingerprint != parse(whole).fingerprint

    @pytest.mark.parametrize(
        "layout",
        [{"indent": 2}, {"indent": 4}, {"indent": "\t"}, {"separators": (",", ":")}, {"separators": (", ", ": ")}],
        ids=["two", "four", "tab", "compact", "default"],
    )
    def test_it_is_the_same_for_each_printers_layout(self, layout: dict[str, Any]) -> None:
        assert parse(message(), **layout).fingerprint == parse(message(), separators=(",", ":")).fingerprint

    @given(st.data())
    def test_it_does_not_matter_where_those_stand_nor_how_many_they_are(self, data: st.DataObject) -> None:
        def told(made_anew: dict[str, Any], members: dict[str, Any]) -> dict[str, Any]:
            chosen = data.draw(st.lists(st.sampled_from(list(made_anew)), unique=True)) if made_anew else []
            names = list(members)
            for name in chosen:
                names.insert(data.draw(st.integers(0, len(names))), name)
            values = members | {name: data.draw(st.sampled_from(made_anew[name])) for name in chosen}
            return {name: values[name] for name in names}

        def delivered() -> dict[str, Any]:
            links = {"presignedA": ["https://1", "https://2"], "presignedUrlsExpiresAt": [None, "2027-01-01T00:00:00Z"]}
            bare = {"type": "end-of-call-report", "artifact": told(links, artifact), "call": {"id": "c"}}
            return told({"timestamp": [1, 1_760_000_000_000, 1.5, "now"]}, bare)

        artifact = data.draw(st.sampled_from([{}, {"logUrl": "https://1"}, {"messages": [{"timestamp": 17}], "n": 1}]))
        compact = {"separators": (",", ":")}

        assert parse(delivered(), **compact).fingerprint == parse(delivered(), **compact).fingerprint

    def test_a_longer_number_elsewhere_is_not_the_timestamp(self) -> None:
        def told(timestamp: int) -> Report:
            inner = [{"timestamp": 17}, {"timestamp": 170}]
            return parse({**message(costs=inner), "timestamp": timestamp}, separators=(",", ":"))

        assert len({told(timestamp).fingerprint for timestamp in (1, 2, 1700)}) == 1

    def test_it_is_the_same_wrapped_and_bare(self) -> None:
        assert parse({"message": message()}).fingerprint == parse(message()).fingerprint

    def test_it_is_one_short_word(self) -> None:
        # It stands in the ledger's record between blanks.
        assert len(parse(message()).fingerprint) == 12
        assert parse(message()).fingerprint.isascii()
        assert " " not in parse(message()).fingerprint

    def test_it_does_not_change_from_one_release_to_the_next(self) -> None:
        # If it did, every repeat would look like a revision after an upgrade.
        assert parse(message()).fingerprint == "V_Y5s6LA2NsK"


class TestOtherMessages:
    @pytest.mark.parametrize("name", ["status-update", "transcript", "tool-calls", "campaign.predial"])
    def test_a_message_of_another_type_is_told_by_its_type(self, name: str) -> None:
        assert read_message(json.dumps({"message": {"type": name}}).encode()) == OtherMessage(name)

    def test_it_needs_no_call(self) -> None:
        assert read_message(b'{"type":"hang"}') == OtherMessage("hang")


class TestErrors:
    @pytest.mark.parametrize(
        ("body", "field", "problem"),
        [
            (b"", "body", "is not valid JSON: it ends too early"),
            (b"nonsense", "body", "is not valid JSON: Expecting value (line 1, column 1)"),
            (b"[]", "body", "is not a JSON object"),
            (b"{}", "type", "is missing"),
            (b'{"message":{}}', "type", "is missing"),
            (b'{"message":"text"}', "type", "is missing"),
            (b'{"type":17}', "type", "is not a string"),
            (b'{"type":null}', "type", "is not a string"),
            (b'{"type":"end-of-call-report"}', "call", "is missing"),
            (b'{"type":"end-of-call-report","call":null}', "call", "is not an object"),
            (b'{"type":"end-of-call-report","call":[]}', "call", "is not an object"),
            (b'{"type":"end-of-call-report","call":{}}', "call.id", "is missing"),
            (b'{"type":"end-of-call-report","call":{"id":17}}', "call.id", "is not a string"),
            (b'{"type":"end-of-call-report","call":{"id":null}}', "call.id", "is not a string"),
        ],
    )
    def test_each_names_its_field_and_its_problem(self, body: bytes, field: str, problem: str) -> None:
        with pytest.raises(InvalidReport) as caught:
            read_message(body)

        assert (caught.value.field, caught.value.problem) == (field, problem)
        assert str(caught.value) == f"{field}: {problem}"

    @pytest.mark.parametrize("call_id", ["", " ", "a b", "a\n", "é", "x" * 201, "a\x00", "\ud800"])
    def test_an_id_that_would_not_be_one_word_is_refused(self, call_id: str) -> None:
        body = json.dumps(message(call={"id": call_id})).encode()

        with pytest.raises(InvalidReport) as caught:
            read_message(body)

        assert caught.value.field == "call.id"

    @pytest.mark.parametrize("call_id", ["x", "x" * 200, "0194e2a4-7b1c-7c3e-9f00-000000000001", "{}:*?[a]%'\\"])
    def test_any_other_printable_id_is_taken(self, call_id: str) -> None:
        assert parse(message(call={"id": call_id})).call_id == call_id

    @pytest.mark.parametrize("wrap", [b"%s", b'{"message":%s}'])
    def test_a_payload_that_is_not_utf_8_is_refused(self, wrap: bytes) -> None:
        with pytest.raises(InvalidReport, match="is not UTF-8") as caught:
            read_message(wrap % b'{"type":"end-of-call-report","call":{"id":"c"},"t":"\xff"}')

        assert caught.value.field == "body"

    @pytest.mark.parametrize("call_id", ["+15550001111 secret", "secret\n"])
    def test_none_quotes_what_was_sent(self, call_id: str) -> None:
        with pytest.raises(InvalidReport) as caught:
            read_message(json.dumps(message(call={"id": call_id})).encode())

        assert "secret" not in str(caught.value)
        assert "1555" not in str(caught.value)


@pytest.mark.parametrize("around", [b"\x1a", b"\r\n\x1a", b"\0", b"\0\0\n", b"\x1e"])
def test_what_marks_an_end_is_no_part_of_a_report(around: bytes) -> None:
    for body in (PAYLOAD, b'{"message":' + PAYLOAD + b"}", b"\xef\xbb\xbf" + PAYLOAD):
        message = read_message(body + around)
        assert isinstance(message, Report)
        assert message.payload == PAYLOAD


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(PAYLOAD.decode()).encode(),
        json.dumps(json.dumps(PAYLOAD.decode())).encode(),
        json.dumps(json.dumps({"message": json.loads(PAYLOAD)}, ensure_ascii=False).replace(": ", ":")).encode(),
        base64.b64encode(PAYLOAD),
        json.dumps(base64.b64encode(gzip.compress(PAYLOAD)).decode()).encode(),
        b"payload=" + quote_plus(PAYLOAD.decode()).encode(),
        b"token=x&payload=" + quote_plus(PAYLOAD.decode()).encode() + b"&n=1",
    ],
)
def test_a_text_that_is_made_of_one_report_is_taken_for_it(body: bytes) -> None:
    message = read_message(body)
    assert isinstance(message, Report)
    assert json.loads(message.payload) == json.loads(PAYLOAD)


@pytest.mark.parametrize("body", [b"a={&b={", b"payload=%7B%FF", b"payload=x", b'"x"', b"eyJh", b"H4sI", b'"' * 9])
def test_what_only_begins_so_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidReport):
        read_message(body)


@pytest.mark.parametrize(
    "members",
    [
        b'"type":"end-of-call-report","type":"transcript"',
        b'"type":"transcript","inner":{"type" : "end-of-call-report"}',
    ],
)
def test_a_message_that_may_be_ignored_and_has_a_report_in_it_is_not(members: bytes) -> None:
    for body in (b'{%s,"call":{"id":"c"}}' % members, b'{"message":{%s,"call":{"id":"c"}}}' % members):
        with pytest.raises(InvalidReport, match="also has the type"):
            read_message(body)


def test_that_a_report_is_asked_for_is_no_report() -> None:
    body = b'{"message":{"type":"status-update","call":{},"assistant":{"serverMessages":["end-of-call-report"]}}}'
    assert read_message(body) == OtherMessage("status-update")


def test_a_call_object_does_not_look_like_a_report() -> None:
    call = b'{"id":"c","orgId":"o","type":"webCall","artifact":{},"endedReason":"x"}'
    with pytest.raises(InvalidReport) as refused:
        read_message(call)
    assert "looks like" not in refused.value.problem
    assert "a Call object of Vapi's API" in refused.value.problem
