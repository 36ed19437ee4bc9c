"""Reading the body of `POST /v1/call`: what Roark's documentation demands of a call that is created by hand.

`recordingUrl`, `startedAt`, `interfaceType` and `callDirection` are required, `externalId` has at most 255 characters
and is unique in a project, `vapiCallId` is a UUID. A call is known here by its `externalId`, or else its `vapiCallId`.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import msgspec

from roark_ledger.urls import split_url
from roark_sandbox.routes.upload import Refusal, UploadRoute

_ROLES = frozenset({"AGENT", "CUSTOMER"})
_MOST_EXTERNAL_ID = 255
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_E164 = re.compile(r"\+[1-9][0-9]{1,14}")


def read_creation(content_type: str, body: bytes) -> UploadRoute | Refusal:
    """The call that this body describes, or why it is refused (400)."""
    if content_type.partition(";")[0].strip().lower() != "application/json":
        return Refusal(400, "Content-Type must be application/json", "content-type")
    try:
        asked = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return Refusal(400, f"Request body is not JSON: {error}", "body")
    if not isinstance(asked, dict):
        return Refusal(400, "Request body must be a JSON object", "body")
    external_id, vapi_id = asked.get("externalId"), asked.get("vapiCallId")
    call_id = next((one for one in (external_id, vapi_id) if isinstance(one, str) and one), None)
    if wrong := _wrong_field(asked):
        return Refusal(400, f"{wrong} is missing or not valid", wrong, call_id)
    if call_id is None:
        # Roark takes it; here a call needs a name to be counted by.
        return Refusal(400, "the sandbox wants an externalId or a vapiCallId", "externalId")
    return UploadRoute(call_id, msgspec.Raw(body), skip_already_imported=False)


def _wrong_field(asked: dict[str, Any]) -> str | None:
    checks = {
        "recordingUrl": _is_url(asked.get("recordingUrl")),
        "startedAt": _is_time(asked.get("startedAt")),
        "interfaceType": asked.get("interfaceType") in {"PHONE", "WEB"},
        "callDirection": asked.get("callDirection") in {"INBOUND", "OUTBOUND"},
        "stereoRecordingUrl": "stereoRecordingUrl" not in asked or _is_url(asked["stereoRecordingUrl"]),
        "externalId": "externalId" not in asked or _is_text(asked["externalId"], _MOST_EXTERNAL_ID),
        "vapiCallId": "vapiCallId" not in asked or _matches(_UUID, asked["vapiCallId"]),
        "properties": "properties" not in asked or isinstance(asked["properties"], dict),
        "agent": "agent" not in asked or _is_agent(asked["agent"]),
        "customer": "customer" not in asked or _is_customer(asked["customer"]),
        "transcript": "transcript" not in asked or _are_all(asked["transcript"], _is_turn),
        "toolInvocations": "toolInvocations" not in asked or _are_all(asked["toolInvocations"], _is_invocation),
    }
    return next((name for name, is_right in checks.items() if not is_right), None)


def _is_url(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        parts = split_url(value)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.netloc)


def _is_time(value: object) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _is_text(value: object, most: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= most


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _is_agent(value: object) -> bool:
    return isinstance(value, dict) and any(
        _is_text(value.get(name), 10_000) for name in ("roarkId", "customId", "name")
    )


def _is_customer(value: object) -> bool:
    if not isinstance(value, dict) or "phoneNumberE164" not in value:
        return False
    return value["phoneNumberE164"] is None or _matches(_E164, value["phoneNumberE164"])


def _are_all(value: object, is_right: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) and is_right(one) for one in value)


def _is_turn(turn: dict[str, Any]) -> bool:
    return turn.get("role") in _ROLES and isinstance(turn.get("text"), str) and _is_offsets(turn)


def _is_invocation(tool: dict[str, Any]) -> bool:
    return _is_text(tool.get("name"), 10_000) and "startOffsetMs" in tool and _is_number(tool["startOffsetMs"])


def _is_offsets(turn: dict[str, Any]) -> bool:
    return all(_is_number(turn.get(name)) for name in ("startOffsetMs", "endOffsetMs"))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
