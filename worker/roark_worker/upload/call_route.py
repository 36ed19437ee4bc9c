"""A report as the body of `POST /v1/call`, Roark's documented way in, should its way for Vapi's reports be gone. Pure.

Field by field after Roark's SDK (roark_analytics 7.6, `call.create`); what Roark cannot know, it is not told:

    recordingUrl, stereoRecordingUrl   the signed links, else the plain ones. Without a recording there is no call there
    startedAt                          the report's, else the call's
    interfaceType, callDirection       from the call's type; a web call counts as inbound (inferred)
    endedStatus                        from `endedReason`, see `ended_status`
    externalId, vapiCallId             the call's id; the latter where it is a UUID, as Roark demands
    agent, customer                    name, id and system prompt of the assistant; the caller's number
    transcript, toolInvocations        from `artifact.messages`, with their offsets
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from roark_ledger.errors import IngestError
from roark_ledger.urls import split_url

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_E164 = re.compile(r"\+[1-9][0-9]{1,14}")
_ROLES = {"bot": "AGENT", "assistant": "AGENT", "user": "CUSTOMER"}

_ENDED_EXACTLY = {
    "customer-ended-call": "CUSTOMER_ENDED_CALL",
    "assistant-said-end-call-phrase": "AGENT_SAID_END_CALL_PHRASE",
    "assistant-forwarded-call": "AGENT_TRANSFERRED_CALL",
    "voicemail": "VOICE_MAIL_REACHED",
    "silence-timed-out": "SILENCE_TIME_OUT",
    "exceeded-max-duration": "MAX_DURATION_REACHED",
    "customer-did-not-answer": "CUSTOMER_DID_NOT_ANSWER",
    "customer-busy": "CUSTOMER_BUSY",
    "twilio-reported-customer-misdialed": "DIAL_ERROR",
    "twilio-failed-to-connect-call": "PHONE_CALL_PROVIDER_CONNECTION_ERROR",
    "vonage-failed-to-connect-call": "PHONE_CALL_PROVIDER_CONNECTION_ERROR",
    "assistant-join-timed-out": "AGENT_ERROR",
}
_ENDED_LIKE = {
    "assistant-ended-call": "AGENT_ENDED_CALL",
    "phone-call-provider-": "PHONE_CALL_PROVIDER_CONNECTION_ERROR",
    "pipeline-": "AGENT_ERROR",
    "call.in-progress.error-": "AGENT_ERROR",
}


class NotForThisRoute(IngestError):
    """A report that cannot be made into such a call. `code` is `route_needs_recording`, `…_start` or `…_json`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def creation_of(payload: bytes, properties: bytes = b"") -> bytes:
    """Return the body of `POST /v1/call` for a report.

    Raises NotForThisRoute when Roark would refuse it for what the report does not have.
    """
    try:
        return _creation(_object(json.loads(payload)), properties)
    except (ValueError, RecursionError):
        # Numbers of thousands of digits, or nested beyond all measure: JSON, and nothing that can be mapped.
        raise NotForThisRoute("route_needs_json", "the report's JSON cannot be mapped") from None


def _creation(report: dict[str, Any], properties: bytes) -> bytes:
    call, artifact = _object(report.get("call")), _object(report.get("artifact"))
    sources = (artifact, report)
    recording = _url(sources, "presignedMonoUrl", "recordingUrl")
    if not recording:
        raise NotForThisRoute("route_needs_recording", "the report has no recording, and POST /v1/call demands one")
    started = next(filter(None, (_time(one) for one in _starts(report, call))), None)
    if not started:
        raise NotForThisRoute("route_needs_start", "the report does not say when the call began")
    call_id, kind = str(call.get("id", "")), str(call.get("type", ""))
    made: dict[str, Any] = {
        "recordingUrl": recording,
        "startedAt": started,
        "interfaceType": "WEB" if kind == "webCall" else "PHONE",
        "callDirection": "OUTBOUND" if kind.startswith("outbound") else "INBOUND",
        "endedStatus": ended_status(str(report.get("endedReason", ""))),
        "externalId": call_id,
        "stereoRecordingUrl": _url(sources, "presignedStereoUrl", "stereoRecordingUrl"),
        "vapiCallId": call_id if _UUID.fullmatch(call_id) else None,
        "agent": _agent(report, call, artifact),
        "customer": _customer(report, call),
        "transcript": list(_turns(artifact)),
        "toolInvocations": list(_tools(artifact)),
        "properties": json.loads(properties) if properties else None,
    }
    return json.dumps(_sound({name: value for name, value in made.items() if value})).encode()


def ended_status(reason: str) -> str:
    """Return Roark's word for Vapi's reason, `UNKNOWN` where there is none: both lists are open."""
    if reason in _ENDED_EXACTLY:
        return _ENDED_EXACTLY[reason]
    return next((status for start, status in _ENDED_LIKE.items() if reason.startswith(start)), "UNKNOWN")


def _starts(report: Mapping[str, Any], call: Mapping[str, Any]) -> Iterator[object]:
    yield from (report.get("startedAt"), call.get("startedAt"), call.get("createdAt"), report.get("endedAt"))


def _agent(report: Mapping[str, Any], call: Mapping[str, Any], artifact: Mapping[str, Any]) -> dict[str, Any]:
    assistant = _object(report.get("assistant")) or _object(call.get("assistant"))
    found = {"name": _words(assistant.get("name")), "customId": _words(call.get("assistantId") or assistant.get("id"))}
    named: dict[str, Any] = {name: value for name, value in found.items() if value}
    prompt = next((_said(one) for one in _messages(artifact) if one.get("role") == "system"), "")
    return named | {"prompt": {"resolvedPrompt": prompt}} if named and prompt else named


def _customer(report: Mapping[str, Any], call: Mapping[str, Any]) -> dict[str, Any]:
    customer = _object(report.get("customer")) or _object(call.get("customer"))
    number = customer.get("number")
    is_number = isinstance(number, str) and _E164.fullmatch(number)
    return {"phoneNumberE164": number if is_number else None} if customer else {}


def _turns(artifact: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for message in _messages(artifact):
        role, text = _ROLES.get(str(message.get("role"))), _said(message)
        if role and text:
            start, end = _offsets(message)
            yield {"role": role, "text": text, "startOffsetMs": start, "endOffsetMs": end}


def _tools(artifact: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    results = {one.get("toolCallId"): one for one in _messages(artifact) if one.get("role") == "tool_call_result"}
    for message in _messages(artifact):
        if message.get("role") != "tool_calls":
            continue
        for asked in _list(message.get("toolCalls")):
            function = _object(asked.get("function"))
            if not (name := _words(function.get("name"))):
                continue
            start, _ = _offsets(message)
            tool: dict[str, Any] = {"name": name, "startOffsetMs": start}
            tool |= {"parameters": _json(function["arguments"])} if "arguments" in function else {}
            if result := results.get(asked.get("id")):
                end, _ = _offsets(result)
                tool |= {"result": _json(result.get("result")), "endOffsetMs": max(start, end)}
            yield tool


def _offsets(message: Mapping[str, Any]) -> tuple[int, int]:
    start = round(_number(message.get("secondsFromStart")) * 1000)
    lasted = _number(message.get("endTime")) - _number(message.get("time"))
    return start, start + max(0, round(lasted))


def _messages(artifact: Mapping[str, Any]) -> list[dict[str, Any]]:
    return _list(artifact.get("messages"))


def _said(message: Mapping[str, Any]) -> str:
    return _words(message.get("message")) or _words(message.get("content"))


def _list(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _words(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return min(max(0.0, float(value)), 1e15) if is_number and abs(value) < 1e300 else 0.0  # type: ignore[arg-type]


def _json(value: object) -> object:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _url(sources: tuple[Mapping[str, Any], ...], *names: str) -> str:
    for name in names:
        for source in sources:
            value = _words(source.get(name))
            try:
                parts = split_url(value)
            except ValueError:
                continue
            if parts.scheme in {"http", "https"} and parts.netloc:
                return value
    return ""


def _time(value: object) -> str:
    try:
        found = datetime.fromisoformat(_words(value))
    except ValueError:
        return ""
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).isoformat(timespec="milliseconds")


def _sound(value: Any) -> Any:
    """Return it without halves of surrogate pairs, into which JavaScript cuts texts, and which no UTF-8 has."""
    match value:
        case str():
            return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case dict():
            return {_sound(name): _sound(inside) for name, inside in value.items()}
        case list():
            return [_sound(inside) for inside in value]
        case float() if not math.isfinite(value):
            return None
        case _:
            return value
