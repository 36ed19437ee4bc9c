"""A Call object of Vapi's API becomes a report: every field has its place, and no secret comes along."""

import json
from typing import Any

import pytest
from call_objects import CALL_ID, CALLS, SECRET, call_bytes, call_object
from hypothesis import given
from hypothesis import strategies as st

from roark_ledger.errors import InvalidReport
from roark_producer.vapi.calls import is_call_object, report_of
from roark_producer.vapi.report import Report, read_message
from roark_producer.vapi.unsecret import is_secret_name, without_secrets
from roark_sandbox.routes.upload import UploadRoute, read_upload


def made(call: Any, **looked_up: bytes) -> dict[str, Any]:
    found = json.loads(report_of(call, **looked_up))
    assert isinstance(found, dict)
    return found


@given(call=CALLS, spaced=st.booleans(), plain=st.booleans())
def test_any_call_of_the_schema_gives_a_report_that_the_parser_takes_and_roark_accepts(
    call: dict[str, Any], *, spaced: bool, plain: bool
) -> None:
    body = json.dumps(call, indent=1 if spaced else None, ensure_ascii=not plain).encode("utf-8")

    payload = report_of(body)

    report = read_message(payload)
    assert isinstance(report, Report)
    assert (report.call_id, report.payload) == (call["id"], payload)
    upload = read_upload("application/json", b'{"vapiEndOfCallReportPayload":' + payload + b"}")
    assert isinstance(upload, UploadRoute)
    assert upload.call_id == call["id"]
    message = json.loads(payload)
    assert isinstance(message["endedReason"], str)
    assert isinstance(message["artifact"], dict)
    assert isinstance(message["analysis"], dict)
    assert SECRET.encode() not in payload
    assert json.loads(report_of(call)) == message


@given(call=CALLS)
def test_what_is_no_secret_is_taken_over_unchanged(call: dict[str, Any]) -> None:
    message = made(call)

    for name in ("startedAt", "endedAt", "cost", "costs", "costBreakdown", "destination", "compliance"):
        assert message.get(name) == call.get(name)
    for name in ("artifact", "analysis"):
        if call.get(name) is not None:
            assert message[name] == call[name]
    for name in ("id", "type", "status", "createdAt", "name", "schedulePlan", "assistantId"):
        assert message["call"].get(name) == call.get(name)


def test_each_field_of_a_call_has_its_place_in_the_report() -> None:
    message = made(call_bytes())

    assert list(message)[:5] == ["timestamp", "type", "analysis", "artifact", "endedReason"]
    assert message["type"] == "end-of-call-report"
    assert message["timestamp"] == 1793527320500
    assert (message["durationMs"], message["durationSeconds"], message["durationMinutes"]) == (118500, 118.5, 1.975)
    assert message["summary"] == "They said hello."
    assert message["transcript"] == "AI: Hello."
    assert message["recordingUrl"] == "https://storage.example.com/a.wav"
    assert message["messages"] == message["artifact"]["messages"]
    assert message["customer"] == {"number": "+15550100124"}
    assert message["call"]["type"] == "inboundPhoneCall"
    assert message["call"]["status"] == "ended"
    assert {"artifact", "analysis", "costs", "costBreakdown", "messages"}.isdisjoint(message["call"])


def test_what_a_report_must_have_and_the_call_lacks_is_filled_in() -> None:
    message = made({"id": CALL_ID, "messages": [{"role": "bot"}], "transcript": "AI: Hello."})

    assert message["analysis"] == {}
    assert message["artifact"] == {"transcript": "AI: Hello.", "messages": [{"role": "bot"}]}
    assert message["endedReason"] == "unknown-error"
    assert made({"id": CALL_ID})["artifact"] == {"messages": []}


def test_secrets_of_assistants_and_phone_numbers_are_left_out_wherever_they_are() -> None:
    message = made(call_bytes(customer={"number": "+1", "assistantOverrides": {"serverUrlSecret": SECRET}}))

    assert SECRET not in json.dumps(message)
    for assistant in (message["assistant"], message["call"]["assistant"]):
        assert assistant["server"] == {"url": "https://example.com/hook"}
        assert assistant["model"] == {"tools": [{"server": {}, "maxTokens": 250}]}
        assert assistant["metadata"] == {"token": "the caller's own"}
    assert message["phoneNumber"] == {"number": "+15550100123", "twilioAccountSid": "AC1"}
    assert message["customer"] == {"number": "+1", "assistantOverrides": {}}


def test_what_is_looked_up_stands_in_for_what_the_call_names_only() -> None:
    assistant = json.dumps({"id": "a-1", "server": {"secret": SECRET}}).encode()
    number = json.dumps({"number": "+1", "twilioApiSecret": SECRET}).encode()

    message = made(call_bytes(assistant=None, phoneNumber=None), assistant=assistant, phone_number=number)
    inline = made(call_bytes(), assistant=assistant, phone_number=number)

    assert (message["assistant"], message["phoneNumber"]) == ({"id": "a-1", "server": {}}, {"number": "+1"})
    assert inline["assistant"]["name"] == "Ada"


@pytest.mark.parametrize("number", ["123456789012345678901234567890", "1.10", "1E400", "-0.0", "9007199254740993"])
def test_numbers_arrive_as_they_were_written(number: str) -> None:
    call = call_bytes(cost="COST", assistant={"voice": {"speed": "COST"}, "serverUrlSecret": SECRET})

    payload = report_of(call.replace(b'"COST"', number.encode()))

    assert payload.count(f'"cost":{number}'.encode()) == 2
    assert payload.count(f'"speed":{number}'.encode()) == 2


@pytest.mark.parametrize("odd", [r"\ud83d", r"\u0000", "\u2028", r"\/", "e\u0301", r"\ud83d\ude00"])
def test_odd_characters_arrive_as_they_were_written(odd: str) -> None:
    call = call_bytes(name="NAME", assistant={"name": "NAME", "serverUrlSecret": SECRET})

    payload = report_of(call.replace(b"NAME", odd.encode()))

    assert payload.count(f'"name":"{odd}"'.encode()) == 3
    assert isinstance(read_message(payload), Report)
    assert SECRET.encode() not in payload


@pytest.mark.parametrize(
    "text",
    [
        '{"secr\\u0065t":"' + SECRET + '"}',
        '{"secret":"' + SECRET + '","secret":1}',
        '{"a":[[{"X-API-Key":"' + SECRET + '"}]]}',
        '{"url":"https:\\/\\/u:' + SECRET + '@example.com"}',
        '{"url":"wss://example.com/?t=' + SECRET + '"}',
        '{"url":"https://[' + SECRET + '"}',
        '{"a":["\\ud83d",{"password":"' + SECRET + '"}]}',
        '{"a":[{"name":"API_KEY","value":"' + SECRET + '"},{"value":"' + SECRET + '","key":"x-api-key"}]}',
        '{"a":{"roomToken":"' + SECRET + '","authorizationToken":1,"jwt":"' + SECRET + '","db_pwd":"' + SECRET + '"}}',
        '{"a":{"apiKeyValue":"' + SECRET + '","passwd":"' + SECRET + '","environmentVariables":["' + SECRET + '"]}}',
        '{"sipUri":"sip:user:' + SECRET + '@sip.vapi.ai"}',
        '{"url":"{{base}}/x?a=b&api_key=' + SECRET + '"}',
        '{"content":"Ask https://example.com/x?a=b&access_token=' + SECRET + ' for it."}',
        '{"value":"Bearer ' + SECRET + '"}',
    ],
)
def test_no_spelling_lets_a_secret_through(text: str) -> None:
    assert SECRET.encode() not in without_secrets(text.encode())


@pytest.mark.parametrize("name", ["serverUrlSecret", "twilioAuthToken", "apiKey", "headers", "credentials", "token"])
def test_these_names_are_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["maxTokens", "credentialId", "name", "keypadInputPlan", "author", "promptTokens"])
def test_these_names_are_none(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    "text",
    [
        '{"a":[{"name":"city","value":"Rome"},{"key":"k","value":1.10}],"maxToken":1,"costPerToken":2}',
        '{"content":"The bearer of news? Ask https://example.com/x?a=b for the key=value.","secretary":"Ada"}',
        '{"sipUri":"sip:user@sip.vapi.ai:5060","environment":"test"}',
        '{"content":"Half \\ud83d of a pair, api_key=soon"}',
    ],
)
def test_what_reads_like_a_secret_and_is_none_stays_the_bytes_that_it_was(text: str) -> None:
    assert without_secrets(text.encode()) == text.encode()


def test_an_address_on_top_of_a_call_loses_what_authorises() -> None:
    message = made(call_bytes(webCallUrl="https://vapi.daily.co/room?t=" + SECRET))

    assert message["call"]["webCallUrl"] == "https://vapi.daily.co/room"


def test_what_is_nested_beyond_reason_is_refused_with_words() -> None:
    with pytest.raises(InvalidReport, match="nested too deeply"):
        report_of(b'{"id":"c","squad":' + b'{"a":' * 500 + b'{"secret":1}' + b"}" * 501)


@pytest.mark.parametrize("document", [b"", b"[]", b"null", b"{", b"\xff", b'"text"', b"{}x"])
def test_what_is_no_object_is_refused_and_is_no_call(document: bytes) -> None:
    assert not is_call_object(document)
    with pytest.raises(InvalidReport):
        report_of(document)


def test_calls_are_told_from_messages_and_from_what_else_the_api_hands_out() -> None:
    assert is_call_object(call_bytes())
    assert is_call_object(call_object(type=None))
    assert is_call_object(call_object(type="nextYearsCall"))
    assert not is_call_object({"message": call_object()})
    assert not is_call_object({"type": "end-of-call-report", "call": call_object()})
    assert not is_call_object({"type": "end-of-call-report", "id": "1", "call": {"id": "1"}})
    assert not is_call_object({"id": "1", "orgId": "2", "createdAt": "2026-11-01T10:00:00Z", "name": "an assistant"})
    assert not is_call_object({"id": "1", "createdAt": "2026-11-01T10:00:00Z", "input": "a chat", "messages": []})
    assert not is_call_object({"id": 1, "type": "webCall"})
