"""Roark's other routes at the sandbox against the OpenAPI description: a call created, a call looked up, `me`."""

import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_sandbox_contract import OBJECTS, schema

from roark_sandbox.options import SandboxOptions
from roark_sandbox.server import background

OFFSETS = st.integers(0, 10**6)
REQUIRED = {
    "recordingUrl": st.just("https://storage.example.com/a.wav?sig=1"),
    "startedAt": st.datetimes().map(lambda time: time.isoformat(timespec="milliseconds") + "Z"),
    "interfaceType": st.sampled_from(["PHONE", "WEB"]),
    "callDirection": st.sampled_from(["INBOUND", "OUTBOUND"]),
    "vapiCallId": st.uuids().map(str),
}
TURNS = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["AGENT", "CUSTOMER"]),
        "text": st.text(),
        "startOffsetMs": OFFSETS,
        "endOffsetMs": OFFSETS,
    }
)
CREATIONS = st.fixed_dictionaries(
    REQUIRED,
    optional={
        "stereoRecordingUrl": st.just("https://storage.example.com/b.wav"),
        "endedStatus": st.sampled_from(["CUSTOMER_ENDED_CALL", "UNKNOWN"]),
        "externalId": st.text(min_size=1, max_size=255),
        "agent": st.fixed_dictionaries({"name": st.text(min_size=1)}, optional={"customId": st.text(min_size=1)}),
        "customer": st.fixed_dictionaries({"phoneNumberE164": st.none() | st.just("+15550100123")}),
        "transcript": st.lists(TURNS, max_size=3),
        "toolInvocations": st.lists(
            st.fixed_dictionaries({"name": st.text(min_size=1), "startOffsetMs": OFFSETS}), max_size=2
        ),
        "properties": OBJECTS,
    },
)
SMALL: dict[str, Any] = {
    "recordingUrl": "https://storage.example.com/a.wav",
    "startedAt": "2026-11-01T10:00:02.000Z",
    "interfaceType": "PHONE",
    "callDirection": "INBOUND",
}


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with background(SandboxOptions(port=0)) as url, httpx.Client(base_url=url, trust_env=False) as client:
        yield client


@settings(deadline=None)
@given(creation=CREATIONS)
def test_every_call_that_the_schema_allows_is_created_once_and_can_be_looked_up(
    client: httpx.Client, creation: dict[str, Any]
) -> None:
    creation |= {"vapiCallId": str(uuid.uuid4()), "externalId": str(uuid.uuid4())}
    schema("CreateCallRequest").validate(creation)

    answer = client.post("/v1/call", json=creation)
    again = client.post("/v1/call", json=creation)

    assert (answer.status_code, again.status_code) == (201, 409)
    schema("CreateCallResponse").validate(answer.json())
    schema("ErrorResponse").validate(again.json())
    found = client.get(f"/v1/call/{answer.json()['data']['id']}")
    assert found.status_code == 200
    schema("GetCallResponse").validate(found.json())


@pytest.mark.parametrize(
    "wrong",
    [
        *(
            {"externalId": "x", **{name: value for name, value in SMALL.items() if name != left_out}}
            for left_out in SMALL
        ),
        SMALL | {"externalId": "x" * 256},
        SMALL | {"externalId": ""},
        SMALL | {"vapiCallId": "not-a-uuid"},
        SMALL | {"externalId": "x", "interfaceType": "FAX"},
        SMALL | {"externalId": "x", "callDirection": "SIDEWAYS"},
        SMALL | {"externalId": "x", "agent": {"description": "nameless"}},
        SMALL | {"externalId": "x", "customer": {"phoneNumberE164": "0555"}},
        SMALL | {"externalId": "x", "customer": {}},
        SMALL | {"externalId": "x", "transcript": [{"role": "BOT", "text": "", "startOffsetMs": 0, "endOffsetMs": 0}]},
        SMALL | {"externalId": "x", "toolInvocations": [{"name": "t"}]},
        SMALL | {"externalId": "x", "properties": []},
        [],
    ],
)
def test_what_the_schema_forbids_is_refused_and_the_field_named(client: httpx.Client, wrong: object) -> None:
    assert not schema("CreateCallRequest").is_valid(wrong)

    answer = client.post("/v1/call", json=wrong)

    assert answer.status_code == 400
    schema("ErrorResponse").validate(answer.json())
    assert answer.json()["parameter"]


def test_a_call_of_either_way_in_is_found_by_roarks_id_and_none_other(client: httpx.Client) -> None:
    report = {"type": "end-of-call-report", "call": {"id": "by-report"}}
    roark_id = client.post("/v1/vapi/call", json={"vapiEndOfCallReportPayload": report}).json()["data"]["callId"]
    newer = client.post("/v1/vapi/call", json={"vapiEndOfCallReportPayload": report}).json()["data"]["callId"]

    first, unknown = client.get(f"/v1/call/{roark_id}"), client.get("/v1/call/unknown")

    assert first.json()["data"]["supersededByCallId"] == newer
    assert first.json()["data"]["externalId"] == "by-report"
    assert unknown.status_code == 404
    schema("ErrorResponse").validate(unknown.json())


def test_a_created_call_meets_the_same_faults_and_is_counted_like_an_upload() -> None:
    options = SandboxOptions(port=0, fail=("503:calls=x",), token="right")
    with background(options) as url, httpx.Client(base_url=url, trust_env=False) as client:
        bearer = {"authorization": "Bearer right"}
        wrong = client.post("/v1/call", json=SMALL | {"externalId": "y"})
        down = client.post("/v1/call", json=SMALL | {"externalId": "x"}, headers=bearer)
        good = client.post("/v1/call", json=SMALL | {"externalId": "y"}, headers=bearer)
        seen = client.get("/_sandbox/calls").json()["calls"]

    assert (wrong.status_code, down.status_code, good.status_code) == (401, 503, 201)
    assert (seen["x"]["imported"], seen["y"]["imported"]) == (0, 1)


def test_me_has_the_documented_shape(client: httpx.Client) -> None:
    schema("MeResponse").validate(client.get("/v1/me").json())
