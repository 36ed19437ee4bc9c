"""A report as Roark's `POST /v1/call` wants it: each field from its place, and nothing that Roark would refuse."""

import json
from typing import Any

import pytest
from call_objects import CALLS, call_bytes
from hypothesis import given
from hypothesis import strategies as st

from roark_producer.vapi.calls import report_of
from roark_sandbox.routes.creation import read_creation
from roark_sandbox.routes.upload import UploadRoute
from roark_worker.upload.call_route import NotForThisRoute, creation_of, ended_status

MESSAGES = [
    {"role": "system", "message": "You are Ada."},
    {"role": "bot", "message": "Hello.", "secondsFromStart": 0.5, "time": 1000, "endTime": 2500},
    {"role": "user", "message": "Hi.", "secondsFromStart": 2.25, "time": 5000, "endTime": 5100},
    {
        "role": "tool_calls",
        "secondsFromStart": 3,
        "toolCalls": [
            {"id": "t-1", "function": {"name": "book", "arguments": '{"day":1}'}},
            {"id": "t-2", "function": {"name": "look", "arguments": "not json"}},
        ],
    },
    {"role": "tool_call_result", "toolCallId": "t-1", "secondsFromStart": 4, "result": "done"},
]
ARTIFACT = {
    "messages": MESSAGES,
    "recordingUrl": "https://s/plain",
    "presignedMonoUrl": "https://s/mono?X=1",
    "stereoRecordingUrl": "https://s/stereo",
}


def made(properties: bytes = b"", **changes: Any) -> dict[str, Any]:
    payload = report_of(call_bytes(**{"artifact": ARTIFACT} | changes))
    found = json.loads(creation_of(payload, properties))
    assert isinstance(found, dict)
    return found


def test_each_field_is_taken_from_its_place() -> None:
    assert made(b'{"tenant":"t-1"}', assistantId="a-1") == {
        "recordingUrl": "https://s/mono?X=1",
        "stereoRecordingUrl": "https://s/stereo",
        "startedAt": "2026-11-01T10:00:02.000+00:00",
        "interfaceType": "PHONE",
        "callDirection": "INBOUND",
        "endedStatus": "CUSTOMER_ENDED_CALL",
        "externalId": "0194e2a4-7b1c-7c3e-9f00-000000000001",
        "vapiCallId": "0194e2a4-7b1c-7c3e-9f00-000000000001",
        "agent": {"name": "Ada", "customId": "a-1", "prompt": {"resolvedPrompt": "You are Ada."}},
        "customer": {"phoneNumberE164": "+15550100124"},
        "transcript": [
            {"role": "AGENT", "text": "Hello.", "startOffsetMs": 500, "endOffsetMs": 2000},
            {"role": "CUSTOMER", "text": "Hi.", "startOffsetMs": 2250, "endOffsetMs": 2350},
        ],
        "toolInvocations": [
            {"name": "book", "parameters": {"day": 1}, "result": "done", "startOffsetMs": 3000, "endOffsetMs": 4000},
            {"name": "look", "parameters": "not json", "startOffsetMs": 3000},
        ],
        "properties": {"tenant": "t-1"},
    }


@pytest.mark.parametrize(
    ("kind", "interface", "direction"),
    [
        ("inboundPhoneCall", "PHONE", "INBOUND"),
        ("outboundPhoneCall", "PHONE", "OUTBOUND"),
        ("webCall", "WEB", "INBOUND"),
        ("vapi.websocketCall", "PHONE", "INBOUND"),
    ],
)
def test_the_kind_of_call_says_way_and_direction(kind: str, interface: str, direction: str) -> None:
    found = made(type=kind)

    assert (found["interfaceType"], found["callDirection"]) == (interface, direction)


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        ("customer-ended-call", "CUSTOMER_ENDED_CALL"),
        ("assistant-ended-call-after-message-spoken", "AGENT_ENDED_CALL"),
        ("pipeline-error-openai-llm-failed", "AGENT_ERROR"),
        ("phone-call-provider-closed-websocket", "PHONE_CALL_PROVIDER_CONNECTION_ERROR"),
        ("call.in-progress.error-sip-telephony-provider-failed", "AGENT_ERROR"),
        ("a-reason-of-next-year", "UNKNOWN"),
        ("", "UNKNOWN"),
    ],
)
def test_the_reason_has_roarks_word(reason: str, status: str) -> None:
    assert ended_status(reason) == status


def test_what_roark_demands_and_the_report_lacks_has_a_code() -> None:
    with pytest.raises(NotForThisRoute) as without_recording:
        made(artifact={"messages": MESSAGES})
    with pytest.raises(NotForThisRoute) as without_start:
        made(startedAt=None, createdAt=None, endedAt=None)

    assert without_recording.value.code == "route_needs_recording"
    assert without_start.value.code == "route_needs_start"


def test_half_a_surrogate_pair_does_not_make_it_unreadable() -> None:
    artifact = {"recordingUrl": "https://s/a", "messages": [{"role": "bot", "message": "cut \ud83d", "time": 1e400}]}
    payload = json.dumps({"type": "end-of-call-report", "call": {"id": "c", "createdAt": "2026-11-01T10:00:00Z"}})

    body = creation_of(payload.encode()[:-1] + b',"artifact":' + json.dumps(artifact).encode() + b"}")

    assert isinstance(read_creation("application/json", body), UploadRoute)


@given(call=CALLS, properties=st.dictionaries(st.text(), st.text() | st.integers(), max_size=3))
def test_any_call_gives_what_roark_accepts_or_a_code(call: dict[str, Any], properties: dict[str, Any]) -> None:
    payload = report_of(json.dumps(call).encode())
    try:
        body = creation_of(payload, json.dumps(properties).encode())
    except NotForThisRoute:
        return

    found = read_creation("application/json", body)

    assert isinstance(found, UploadRoute), found
    assert found.call_id == call["id"]
