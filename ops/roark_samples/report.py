"""One end-of-call-report, assembled as Vapi's are.

Which keys there are follows the public Vapi OpenAPI document; what is repeated, and what is stale, follows
report layouts published in public repositories:

- the system prompt occurs five times: `artifact.messages`, `artifact.messagesOpenAIFormatted`, `messages`,
  `call.assistantOverrides.model.messages` and `assistant.model.messages`;
- the messages occur twice, in `artifact` and beside it; so does the transcript;
- `call.status` is stale ("queued" or "ringing"), `call.cost` is 0, `call.updatedAt` equals `call.createdAt`;
- a call that never connected has no times, no durations and no recordings.
"""

from datetime import timedelta
from typing import Any

from roark_samples.call import Call
from roark_samples.costs import costs_of
from roark_samples.dice import Dice
from roark_samples.moments import MORNING, epoch_ms, iso
from roark_samples.recordings import presigned_urls, recording_urls
from roark_samples.vocabulary import ENDED_REASONS, NOT_CONNECTED_REASONS

_VARIABLES = {
    "now": "Nov 2, 2026, 9:00 AM UTC",
    "currentDateTime": "Monday, November 2, 2026 at 9:00 AM UTC",
    "date": "Nov 2, 2026 UTC",
    "time": "9:00 AM UTC",
    "year": "2026",
    "month": "November",
    "day": "2",
}
_LATENCIES_MS = {
    "modelLatency": (300, 1400),
    "voiceLatency": (180, 900),
    "transcriberLatency": (0, 400),
    "endpointingLatency": (0, 900),
    "turnLatency": (900, 3000),
}
_OVERRIDDEN = (
    "name",
    "voice",
    "transcriber",
    "analysisPlan",
    "firstMessage",
    "clientMessages",
    "serverMessages",
    "compliancePlan",
)


def write_report(dice: Dice, call: Call) -> dict[str, Any]:
    """The report of that call; what it has in common with the call's assistant is shared, not copied."""
    ended_reason = dice.weighted(ENDED_REASONS) if call.connected else dice.choice(NOT_CONNECTED_REASONS)
    analysis = _analysis(dice, call.foreign) if call.connected else {}
    artifact = _artifact(dice, call)
    report: dict[str, Any] = {
        "timestamp": epoch_ms(call.sent),
        "type": "end-of-call-report",
        "analysis": analysis,
        "artifact": artifact,
    }
    if call.connected:
        report |= {"startedAt": iso(call.start), "endedAt": iso(call.end)}
    report |= {"endedReason": ended_reason, **costs_of(call)}
    if call.connected:
        report |= _durations(call)
    report |= {
        "summary": analysis.get("summary", ""),
        "transcript": artifact["transcript"],
        "messages": artifact["messages"],
    }
    if call.connected:
        report |= {key: artifact[key] for key in ("recordingUrl", "stereoRecordingUrl")}
    report |= _parties(dice, call)
    report["assistant"] = call.assistant.document
    return report


def _analysis(dice: Dice, foreign: float) -> dict[str, Any]:
    analysis: dict[str, Any] = {
        "summary": dice.sentence(40, foreign),
        "successEvaluation": dice.choice(["true", "false"]),
    }
    if dice.random() < 0.35:
        analysis["structuredData"] = {
            key: dice.sentence(dice.randint(1, 6), foreign) for key in ("intent", "outcome", "followUp", "callerName")
        }
    return analysis


def _artifact(dice: Dice, call: Call) -> dict[str, Any]:
    artifact: dict[str, Any] = {
        "messages": call.talk.messages,
        "messagesOpenAIFormatted": call.talk.openai_messages,
        "transcript": call.talk.transcript,
    }
    if call.connected:
        artifact |= recording_urls(dice, call.org_id, call.call_id, epoch_ms(call.sent))
        artifact |= presigned_urls(dice, call.call_id, call.sent)
    artifact |= {"nodes": [], "variables": dict(_VARIABLES), "variableValues": dict(_VARIABLES)}
    if call.connected:
        artifact["performanceMetrics"] = _performance(dice, call.talk.bot_turns)
    return artifact | {"scorecards": {}, "transfers": []}


def _performance(dice: Dice, turns: int) -> dict[str, Any]:
    latencies = [{name: dice.randint(low, high) for name, (low, high) in _LATENCIES_MS.items()} for _ in range(turns)]
    averages = {
        name + "Average": round(sum(turn[name] for turn in latencies) / max(1, turns), 2) for name in _LATENCIES_MS
    }
    return {
        "turnLatencies": latencies,
        **averages,
        "numAssistantInterrupted": dice.randint(0, 4),
        "fromTransportLatencyAverage": 20,
        "toTransportLatencyAverage": 50,
    }


def _durations(call: Call) -> dict[str, Any]:
    return {
        "durationMs": int(call.seconds * 1000),
        "durationSeconds": round(call.seconds, 3),
        "durationMinutes": call.minutes,
    }


def _parties(dice: Dice, call: Call) -> dict[str, Any]:
    """The call itself and, if it was a phone call, the line and the customer."""
    record = _call_record(dice, call)
    if call.kind == "webCall":
        url = "https://rooms.example.com/" + dice.hex_digits(20)
        transport = {
            "conversationType": "voice",
            "provider": "daily",
            "videoRecordingEnabled": False,
            "callUrl": url,
        }
        return {"call": record | {"transport": transport, "webCallUrl": url}}
    customer = {"number": dice.phone_number()}
    if dice.random() < 0.3:
        customer["name"] = f"Test Caller {dice.randrange(1000)}"
    record |= {
        "phoneCallProvider": "twilio",
        "phoneCallProviderId": "CA" + dice.hex_digits(32),
        "phoneCallTransport": "pstn",
        "phoneNumberId": dice.uuid4(),
        "customer": dict(customer),
    }
    line = {
        "id": record["phoneNumberId"],
        "orgId": call.org_id,
        "number": dice.phone_number(),
        "provider": "twilio",
        "createdAt": iso(MORNING - timedelta(days=90)),
        "updatedAt": iso(MORNING - timedelta(days=9)),
        "status": "active",
        "name": "Example line",
        "twilioAccountSid": "AC-synthetic-not-a-real-account",
    }
    return {"call": record, "phoneNumber": line, "customer": customer}


def _call_record(dice: Dice, call: Call) -> dict[str, Any]:
    """The `call` as it was when it began: Vapi's reports carry it stale."""
    assistant = call.assistant.document
    model = {key: value for key, value in assistant["model"].items() if key != "tools"}
    return {
        "id": call.call_id,
        "orgId": call.org_id,
        "createdAt": iso(call.created),
        "updatedAt": iso(call.created),
        "type": call.kind,
        "cost": 0,
        "monitor": {
            "listenUrl": f"wss://calls.example.com/{call.call_id}/listen",
            "controlUrl": f"https://calls.example.com/{call.call_id}/control",
        },
        "status": "ringing" if call.kind == "inboundPhoneCall" else "queued",
        "assistantId": assistant["id"],
        "assistantOverrides": {
            **{key: assistant[key] for key in _OVERRIDDEN},
            "model": model,
            "variableValues": {},
            "metadata": {"tenant": f"tenant-{dice.randrange(40):02d}", "campaign": "demo"},
        },
    }
