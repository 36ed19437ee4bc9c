"""A Call object, as Vapi's API lists and returns it, made into the end-of-call report that its webhook sends. Pure.

    if is_call_object(body):
        report = report_of(body)        # the message's JSON, for `report.read_message` and everything behind it

1. What both have by the same name is taken over as the bytes that Vapi sent: numbers beyond 2^53, odd escapes, order.
2. `call` is the Call without what a report has beside it: artifact, analysis, costs, messages.
3. What a report must have and the Call lacks is filled in: `analysis` {}, `artifact` with the Call's own messages.
4. Secrets in assistants, phone numbers and the rest of the set-up are left out (see `unsecret.py`).

Field by field after Vapi's OpenAPI document (Call, ServerMessageEndOfCallReport, Artifact). What is not certain:

- `timestamp` is when Vapi made the message, which a Call does not say: the call's end stands in.
- `assistant` is on a Call only if it was defined inline, else just its id. One that is looked up by that id may have
  been changed since the call; the same goes for `phoneNumber`.
- `endedReason` is required in a report and optional in a Call: `unknown-error`, Vapi's own word, stands in.
- `durationMs`, `summary`, `transcript`, `messages` and the recordings' URLs stand in real reports beside `artifact`
  though the schema does not name them; they are put there, too.
- What Vapi adds to messages only, and its order of members, is lost: a report that is made here and the webhook's own
  never have the same fingerprint.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from roark_ledger.errors import InvalidReport
from roark_producer.vapi.messages import CALL_TYPES, END_OF_CALL_REPORT
from roark_producer.vapi.slices import members
from roark_producer.vapi.unsecret import is_secret_name, quoted, without_secrets

Members = dict[str, bytes]

# Only a Call has one of these, whatever else Vapi's API hands out with an id and a time: chats, sessions, assistants.
_ONLY_A_CALL_HAS = (
    *("endedReason", "endedMessage", "phoneCallProvider", "phoneCallTransport", "phoneCallProviderId"),
    *("costBreakdown", "monitor", "startedAt", "endedAt", "artifact"),
)
# Beside `call` in a report, so not in it. The second line: older Calls have these as members of their own.
_BESIDE_CALL = frozenset(
    {"artifact", "analysis", "costs", "costBreakdown", "messages"}
    | {"summary", "transcript", "recordingUrl", "stereoRecordingUrl"}
)
_IN_ARTIFACT = ("transcript", "messages", "recordingUrl", "stereoRecordingUrl")
_SAME_NAME = ("startedAt", "endedAt", "cost", "costs", "costBreakdown", "destination", "compliance", "assistantVersion")
# Said and done in the call: what people spoke about is no set-up, and links to recordings work by their query.
_CONTENT = frozenset({"costs", "costBreakdown", "compliance", "endedMessage"}) | _BESIDE_CALL
_NO_REASON = b'"unknown-error"'


def is_call_object(document: bytes | Mapping[str, Any]) -> bool:
    """Whether this is a Call of Vapi's API, rather than a message of its webhook or something else. Never raises."""
    try:
        call = _members(document)
    except InvalidReport:
        return False
    if not _is(call, "id", b'"') or _is(call, "call", b"{") or _is(call, "message", b"{"):
        return False
    kind = _text(call.get("type"))
    if kind is None:
        return any(name in call for name in _ONLY_A_CALL_HAS)
    # The list of types is open; a server message's type never ends so, and comes with no id of its own.
    return kind in CALL_TYPES or (kind.endswith("Call") and _is(call, "createdAt", b'"'))


def report_of(
    call: bytes | Mapping[str, Any], *, assistant: bytes | None = None, phone_number: bytes | None = None
) -> bytes:
    """Return the end-of-call report of a call: the bare message, as JSON.

    `assistant` and `phone_number` are what the API says of a call's `assistantId` and `phoneNumberId`, for a Call that
    has none inline. Raises InvalidReport when `call` is not a JSON object; a call without a usable id makes a report
    that `read_message` refuses.
    """
    found = _members(call)
    artifact, analysis = _artifact(found), _object(found, "analysis") or b"{}"
    in_artifact, in_analysis = members(artifact, "call.artifact"), members(analysis, "call.analysis")
    report: Members = {}
    if (timestamp := _timestamp(found)) is not None:
        report["timestamp"] = timestamp
    report |= {"type": quoted(END_OF_CALL_REPORT), "analysis": analysis, "artifact": artifact}
    report["endedReason"] = found["endedReason"] if _is(found, "endedReason", b'"') else _NO_REASON
    report |= {name: found[name] for name in _SAME_NAME if name in found}
    report |= _durations(found)
    report |= {"summary": in_analysis["summary"]} if "summary" in in_analysis else {}
    report |= {name: in_artifact[name] for name in _IN_ARTIFACT if name in in_artifact}
    inside = {name: value for name, value in found.items() if name not in _BESIDE_CALL and not is_secret_name(name)}
    report["call"] = _printed({name: _clean(name, value) for name, value in inside.items()})
    for name, looked_up in (("assistant", assistant), ("phoneNumber", phone_number), ("customer", None)):
        value = _object(found, name) or looked_up
        report |= {name: value} if value else {}
    return _printed({name: _clean(name, value) for name, value in report.items()})


def _artifact(call: Members) -> bytes:
    if artifact := _object(call, "artifact"):
        return artifact
    legacy = {name: call[name] for name in _IN_ARTIFACT if name in call}
    if not _is(legacy, "messages", b"["):
        legacy["messages"] = b"[]"
    return _printed(legacy)


def _timestamp(call: Members) -> bytes | None:
    times = (_time(call.get(name)) for name in ("endedAt", "updatedAt", "createdAt"))
    found = next((time for time in times if time), None)
    return None if found is None else b"%d" % _ms(found)


def _durations(call: Members) -> Members:
    started, ended = _time(call.get("startedAt")), _time(call.get("endedAt"))
    if started is None or ended is None or ended < started:
        return {}
    ms = _ms(ended) - _ms(started)
    found = {"durationMs": ms, "durationSeconds": ms / 1000, "durationMinutes": round(ms / 60_000, 4)}
    return {name: msgspec.json.encode(value) for name, value in found.items()}


def _ms(time: datetime) -> int:
    return round(time.timestamp() * 1000)


def _time(value: bytes | None) -> datetime | None:
    try:
        found = datetime.fromisoformat(_text(value) or "")
        return found if found.tzinfo and _ms(found) >= 0 else None
    except (ValueError, OverflowError):
        return None


def _clean(name: str, value: bytes) -> bytes:
    # Of what a report has on top, `call` is made clean already.
    return value if name in _CONTENT or name == "call" or value[:1] not in b'{["' else without_secrets(value)


def _printed(object_: Members) -> bytes:
    return b"{" + b",".join(quoted(name) + b":" + value for name, value in object_.items()) + b"}"


def _members(document: bytes | Mapping[str, Any]) -> Members:
    if not isinstance(document, bytes):
        # Not msgspec: of what `json.loads` makes it refuses half a surrogate pair.
        document = json.dumps(document, separators=(",", ":")).encode()
    return members(document, "call")


def _object(found: Members, name: str) -> bytes | None:
    return found[name] if _is(found, name, b"{") else None


def _is(found: Members, name: str, first: bytes) -> bool:
    return found.get(name, b"")[:1] == first


def _text(value: bytes | None) -> str | None:
    try:
        return msgspec.json.decode(value, type=str) if value else None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
