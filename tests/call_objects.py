"""Call objects as Vapi's API returns them: a strategy after its schema, and one that reads like a real call."""

import json
from typing import Any

from hypothesis import strategies as st

CALL_ID = "0194e2a4-7b1c-7c3e-9f00-000000000001"
SECRET = "never-leave-this-in"

_TEXT = st.text(max_size=12)
_NUMBER = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
_JSON = st.recursive(
    st.none() | st.booleans() | _NUMBER | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=6,
)
_OBJECT = st.dictionaries(_TEXT, _JSON, max_size=4)
_TIME = st.datetimes().map(lambda time: time.isoformat(timespec="milliseconds") + "Z")
_REASON = st.sampled_from(["customer-ended-call", "assistant-error", "a-reason-of-next-year"])


def _some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


_SERVER = _some(
    url=st.just("https://user:" + SECRET + "@example.com/hook?token=" + SECRET) | st.just("https://example.com/hook"),
    secret=st.just(SECRET),
    headers=st.just({"X-Api-Key": SECRET, "Authorization": f"Bearer {SECRET}"}),
    timeoutSeconds=_NUMBER,
    backoffPlan=_OBJECT,
)
_TOOL = _some(type=st.just("function"), server=_SERVER, function=_OBJECT, headers=st.just({"value": SECRET}))
_ASSISTANT = _some(
    name=_TEXT,
    model=_some(provider=_TEXT, messages=st.lists(_OBJECT, max_size=2), tools=st.lists(_TOOL, max_size=2)),
    voice=_OBJECT,
    server=_SERVER,
    serverUrl=st.just("https://example.com/hook"),
    serverUrlSecret=st.just(SECRET),
    credentials=st.lists(st.just({"provider": "openai", "apiKey": SECRET}), max_size=2),
    hooks=st.lists(st.fixed_dictionaries({"do": st.lists(_TOOL, max_size=1)}), max_size=1),
    metadata=_OBJECT,
    variableValues=_OBJECT,
)
_PHONE_NUMBER = _some(
    number=st.just("+15550100123"),
    twilioAccountSid=_TEXT,
    twilioAuthToken=st.just(SECRET),
    twilioApiKey=st.just(SECRET),
    twilioApiSecret=st.just(SECRET),
    server=_SERVER,
    hooks=st.lists(_OBJECT, max_size=1),
)
_ARTIFACT = _some(
    messages=st.lists(_OBJECT, max_size=3),
    messagesOpenAIFormatted=st.lists(_OBJECT, max_size=2),
    transcript=_TEXT,
    recordingUrl=st.just("https://storage.example.com/a.wav?X-Amz-Signature=1"),
    stereoRecordingUrl=_TEXT,
    recording=_OBJECT,
    presignedMonoUrl=st.just("https://storage.example.com/a.wav?X-Amz-Signature=2"),
    presignedUrlsExpiresAt=_TIME | _TEXT,
    variableValues=_OBJECT,
    performanceMetrics=_OBJECT,
    structuredOutputs=_OBJECT,
    scorecards=_OBJECT,
    transfers=st.lists(_OBJECT, max_size=1),
)
_ANALYSIS = _some(summary=_TEXT, structuredData=_OBJECT, structuredDataMulti=st.lists(_OBJECT), successEvaluation=_TEXT)
_STATUS = ["scheduled", "queued", "ringing", "in-progress", "forwarding", "ended", "not-found", "deletion-failed"]

CALLS = st.fixed_dictionaries(
    {"id": st.uuids().map(str), "orgId": _TEXT, "createdAt": _TIME, "updatedAt": _TIME},
    optional={
        "type": st.sampled_from(["inboundPhoneCall", "outboundPhoneCall", "webCall", "vapi.websocketCall"]),
        "status": st.sampled_from(_STATUS),
        "costs": st.lists(_OBJECT, max_size=2) | st.none(),
        "messages": st.lists(_OBJECT, max_size=3),
        "phoneCallProvider": _TEXT,
        "phoneCallProviderId": _TEXT,
        "phoneCallTransport": _TEXT,
        "endedReason": _REASON | st.none(),
        "endedMessage": _TEXT,
        "destination": _OBJECT,
        "startedAt": _TIME | st.none(),
        "endedAt": _TIME | st.none(),
        "cost": _NUMBER,
        "costBreakdown": _OBJECT,
        "artifactPlan": _OBJECT,
        "analysis": _ANALYSIS | st.none(),
        "monitor": _some(listenUrl=_TEXT, controlUrl=_TEXT),
        "artifact": _ARTIFACT | st.none(),
        "compliance": _OBJECT,
        "campaignId": _TEXT,
        "assistantId": _TEXT,
        "assistant": _ASSISTANT | st.none(),
        "assistantOverrides": _ASSISTANT,
        "squadId": _TEXT,
        "squad": st.fixed_dictionaries({"members": st.lists(_some(assistant=_ASSISTANT), max_size=2)}),
        "squadOverrides": _ASSISTANT,
        "workflowId": _TEXT,
        "workflow": _some(nodes=st.lists(_OBJECT, max_size=1), server=_SERVER, credentials=st.just([SECRET])),
        "workflowOverrides": _OBJECT,
        "phoneNumberId": _TEXT,
        "phoneNumber": _PHONE_NUMBER | st.none(),
        "customerId": _TEXT,
        "customer": _some(number=_TEXT, name=_TEXT, assistantOverrides=_ASSISTANT),
        "name": _TEXT,
        "schedulePlan": _OBJECT,
        "transport": _OBJECT,
        "subscriptionLimits": _OBJECT,
        "aFieldOfNextYear": _JSON,
    },
)


def call_object(call_id: str = CALL_ID, **changes: Any) -> dict[str, Any]:
    """A Call of the shape that `GET /call` lists, ended and with everything in it; None takes a member away."""
    call = {
        "id": call_id,
        "orgId": "0194e2a4-0000-7c3e-9f00-00000000000a",
        "createdAt": "2026-11-01T10:00:00.000Z",
        "updatedAt": "2026-11-01T10:02:10.000Z",
        "type": "inboundPhoneCall",
        "status": "ended",
        "startedAt": "2026-11-01T10:00:02.000Z",
        "endedAt": "2026-11-01T10:02:00.500Z",
        "endedReason": "customer-ended-call",
        "cost": 0.1234,
        "costs": [{"type": "transport", "minutes": 1.97}],
        "costBreakdown": {"total": 0.1234},
        "messages": [{"role": "bot", "message": "Hello."}],
        "analysis": {"summary": "They said hello.", "successEvaluation": "true"},
        "artifact": {
            "messages": [{"role": "bot", "message": "Hello.", "secondsFromStart": 0.5}],
            "transcript": "AI: Hello.",
            "recordingUrl": "https://storage.example.com/a.wav",
            "presignedMonoUrl": "https://storage.example.com/a.wav?X-Amz-Signature=1",
            "presignedUrlsExpiresAt": "2026-11-01T10:32:00.000Z",
        },
        "assistant": {
            "name": "Ada",
            "server": {"url": f"https://u:{SECRET}@example.com/hook?key={SECRET}", "secret": SECRET},
            "model": {"tools": [{"server": {"headers": {"Authorization": SECRET}}, "maxTokens": 250}]},
            "credentials": [{"apiKey": SECRET}],
            "metadata": {"token": "the caller's own"},
        },
        "phoneNumber": {"number": "+15550100123", "twilioAccountSid": "AC1", "twilioAuthToken": SECRET},
        "customer": {"number": "+15550100124"},
    } | changes
    return {name: value for name, value in call.items() if value is not None}


def call_bytes(call_id: str = CALL_ID, **changes: Any) -> bytes:
    """The same as JSON."""
    return json.dumps(call_object(call_id, **changes), separators=(",", ":")).encode()
