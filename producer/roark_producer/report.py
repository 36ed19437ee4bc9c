"""A Vapi end-of-call report, parsed at the border from the bytes that came in.

1. `read_message` unwraps `{"message": …}` if it is there and tells a report from Vapi's other messages.
2. A report needs `type == "end-of-call-report"` and a usable `call.id`; nothing else is asked of it.
3. Its payload is kept as the sender's own bytes: numbers beyond 2^53, escapes and key order arrive at Roark
   as they were.
4. Its fingerprint tells a repeat from another report of the same call. It leaves out what Vapi makes anew for
   each delivery: `timestamp`, `artifact.presigned*Url`, `artifact.presignedUrlsExpiresAt` (Vapi's OpenAPI
   document, schema Artifact: "Presigned URLs are regenerated per response and per webhook delivery, so values
   differ across retries").
"""

import base64
import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import NewType

import msgspec

from roark_producer.errors import InvalidReport
from roark_producer.slices import members, members_if_plain

CallId = NewType("CallId", str)

END_OF_CALL_REPORT = "end-of-call-report"
_USABLE_CALL_ID = re.compile(r"[\x21-\x7e]{1,200}")
_FINGERPRINT_BYTES = 9
_BLANKS = frozenset({b" ", b"\t", b"\n", b"\r"})
_OPENING = frozenset({b"{", b"["})
_ENVELOPE = b'{"message":'
_SPACE = b" \t\n\r"


@dataclass(frozen=True, slots=True)
class Report:
    """One end-of-call report. `payload` is the inner message's JSON, byte for byte as it was sent.

    `expires_ms` is the Unix time at which its audio links end (`artifact.presignedUrlsExpiresAt`), else 0.
    """

    call_id: CallId
    payload: bytes = field(repr=False)
    fingerprint: str
    expires_ms: int = 0


@dataclass(frozen=True, slots=True)
class OtherMessage:
    """A Vapi server message of another type: answered and counted, never stored."""

    type: str


def read_message(body: bytes) -> Report | OtherMessage:
    """Parse one Vapi message, wrapped in `{"message": …}` or bare.

    Raises InvalidReport, which names the field, when it is neither a report nor another typed message.
    """
    payload, message = _unwrap(body.strip(_SPACE))
    message_type = _string(message, "type", "type")
    if message_type != END_OF_CALL_REPORT:
        return OtherMessage(message_type)
    _require_utf8(payload)
    artifact = _artifact(message)
    return Report(_call_id(message), payload, _fingerprint(message, artifact), _links_end(artifact))


def _unwrap(body: bytes) -> tuple[bytes, dict[str, bytes]]:
    # Vapi's envelope holds the message and nothing else. If what stands between its braces is one whole object,
    # the envelope needs no reading of its own: that saves a walk through all of it.
    if body.startswith(_ENVELOPE + b"{") and body.endswith(b"}"):
        inner = body[len(_ENVELOPE) : -1].rstrip(_SPACE)
        if (message := members_if_plain(inner)) is not None:
            return inner, message
    outer = members(body, "body")
    if _is_object(outer.get("message", b"")):
        return outer["message"], members(outer["message"], "message")
    return body, outer


def fingerprint(message: dict[str, bytes]) -> str:
    """Return 12 characters that are equal for repeats of one report (72 bits of SHA-256)."""
    return _fingerprint(message, _artifact(message))


def _artifact(message: dict[str, bytes]) -> dict[str, bytes]:
    artifact = message.get("artifact", b"")
    return members(artifact, "artifact") if _is_object(artifact) else {}


def _fingerprint(message: dict[str, bytes], artifact: dict[str, bytes]) -> str:
    parts = {name: value for name, value in message.items() if name != "timestamp"}
    if artifact:
        del parts["artifact"]
        parts |= {f"artifact.{k}": v for k, v in artifact.items() if not k.startswith("presigned")}
    digest = hashlib.sha256()
    for name in sorted(parts):
        digest.update(b"%b\0%b\0" % (name.encode("utf-8", "surrogatepass"), _without_layout(parts[name])))
    return base64.urlsafe_b64encode(digest.digest()[:_FINGERPRINT_BYTES]).decode()


def _links_end(artifact: dict[str, bytes]) -> int:
    try:
        end = datetime.fromisoformat(msgspec.json.decode(artifact["presignedUrlsExpiresAt"], type=str))
        return max(0, round(end.timestamp() * 1000)) if end.tzinfo else 0
    except (KeyError, ValueError, OverflowError):
        # Only an order of priority hangs on it; a report is not refused for it.
        return 0


def _without_layout(value: bytes) -> bytes:
    # Printers put blanks everywhere or nowhere, so the first place where one may stand tells. Vapi's reports
    # have none, and are spared the work.
    if value[:1] not in _OPENING:
        return value
    if value[1:2] in _BLANKS:
        return _compact(value)
    if value.find(b'": ', 0, 300) >= 0 or value.find(b'",\n', 0, 300) >= 0 or value.find(b", ", 0, 40) >= 0:
        return _compact(value)
    return value


def _compact(value: bytes) -> bytes:
    try:
        return msgspec.json.format(value, indent=-1)
    except msgspec.DecodeError:
        return value


def _call_id(message: dict[str, bytes]) -> CallId:
    call = message.get("call")
    if call is None:
        raise InvalidReport("call", "is missing")
    if not _is_object(call):
        raise InvalidReport("call", "is not an object")
    call_id = _string(members(call, "call"), "id", "call.id")
    if not _USABLE_CALL_ID.fullmatch(call_id):
        raise InvalidReport("call.id", "must be 1 to 200 printable ASCII characters without blanks")
    return CallId(call_id)


def _string(message: dict[str, bytes], name: str, field: str) -> str:
    value = message.get(name)
    if value is None:
        raise InvalidReport(field, "is missing")
    try:
        return msgspec.json.decode(value, type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise InvalidReport(field, "is not a string") from None


def _is_object(value: bytes) -> bool:
    return value[:1] == b"{"


def _require_utf8(payload: bytes) -> None:
    # The fast reader does not look inside strings; a payload that is not UTF-8 is not JSON (RFC 8259, 8.1).
    if payload.isascii():
        return
    try:
        payload.decode()
    except UnicodeDecodeError as error:
        raise InvalidReport("body", f"is not UTF-8 (byte {error.start})") from None
