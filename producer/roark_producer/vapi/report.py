"""A Vapi end-of-call report, parsed at the border from the bytes that came in.

1. `read_message` unwraps `{"message": …}` if it is there and tells a report from Vapi's other messages, of which it
   knows the list (`messages.py`). An envelope that can only be meant to carry one report is opened (`shapes.py`).
2. A report needs `type == "end-of-call-report"` and a usable `call.id`; nothing else is asked of it.
3. Its payload is kept as the sender's own bytes: numbers beyond 2^53, escapes and key order arrive at Roark
   as they were.
4. A report of the usual shape is read in one walk; whatever is odd or wrong goes a slower way, which finds the words
   for an error.
5. Its fingerprint tells a repeat from another report of the same call. It leaves out what Vapi makes anew for
   each delivery: `timestamp`, `artifact.presigned*Url`, `artifact.presignedUrlsExpiresAt` (Vapi's OpenAPI
   document, schema Artifact: "Presigned URLs are regenerated per response and per webhook delivery, so values
   differ across retries").
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec

from roark_ledger.errors import InvalidReport, UnknownMessage
from roark_ledger.ids import CallId
from roark_producer.vapi.fingerprint import fingerprint
from roark_producer.vapi.messages import CALL_TYPES, END_OF_CALL_REPORT, OTHER_MESSAGES
from roark_producer.vapi.places import found_at, opened_text
from roark_producer.vapi.shapes import look_into
from roark_producer.vapi.slices import LARGE_BYTES, members, not_utf_8_at

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_USABLE_CALL_ID = re.compile(r"[\x21-\x7e]{1,200}")
_ENVELOPE = b'{"message":'
_SPACE = b" \t\n\r"
# What editors, C programs and JSON text sequences put behind or in front of a document.
_AROUND = _SPACE + b"\x1a\x1e\0"
_REPORTS_TYPE = re.compile(rb'"type"\s*:\s*"' + END_OF_CALL_REPORT.encode() + rb'"')
_LETTERS = re.compile(r"[^a-z]+")
_TYPE_WORD = re.compile(r"[A-Za-z][A-Za-z._-]{0,60}")


class Report(msgspec.Struct, frozen=True, gc=False):
    """One end-of-call report. `payload` is the inner message's JSON, byte for byte as it was sent.

    `expires_ms` is the Unix time at which its audio links end (`artifact.presignedUrlsExpiresAt`), `ended_ms` that at
    which the call did (`endedAt`); 0 where the report does not say.
    """

    call_id: CallId
    payload: bytes
    fingerprint: str
    expires_ms: int = 0
    ended_ms: int = 0

    def __repr__(self) -> str:
        """Name the call; the payload is people's data."""
        return f"Report({self.call_id!r}, {self.fingerprint!r})"


@dataclass(frozen=True, slots=True)
class OtherMessage:
    """A Vapi server message of another type that is known: answered and counted, never stored."""

    type: str


class _Call(msgspec.Struct, gc=False):
    id: str


class _Message(msgspec.Struct, gc=False):
    """What is looked at in a report of the usual shape, read in one walk through it."""

    type: str
    call: _Call
    timestamp: msgspec.Raw = msgspec.Raw()
    artifact: dict[str, msgspec.Raw] | None = None
    message: msgspec.Raw = msgspec.Raw()
    endedAt: msgspec.Raw = msgspec.Raw()  # noqa: N815 Vapi's own spelling


class _LargeMessage(msgspec.Struct, gc=False):
    """The same of a large report; its artifact might have millions of members."""

    type: str
    call: _Call
    timestamp: msgspec.Raw = msgspec.Raw()
    artifact: msgspec.Raw = msgspec.Raw()
    message: msgspec.Raw = msgspec.Raw()
    endedAt: msgspec.Raw = msgspec.Raw()  # noqa: N815 Vapi's own spelling


_usual = msgspec.json.Decoder(_Message)
_usual_if_large = msgspec.json.Decoder(_LargeMessage)


def read_message(body: bytes) -> Report | OtherMessage:
    """Parse one Vapi message, wrapped in `{"message": …}` or bare.

    Raises InvalidReport, which names the field, when it is neither a report nor another typed message.
    """
    body = body.strip(_AROUND)
    if body.startswith(BYTE_ORDER_MARK):
        body = body.removeprefix(BYTE_ORDER_MARK).lstrip(_SPACE)
    # Vapi's envelope holds the message and nothing else. If what stands between its braces is one whole object,
    # the envelope needs no reading of its own: that saves a walk through all of it.
    if body.startswith(_ENVELOPE + b"{") and body.endswith(b"}"):
        payload = body[len(_ENVELOPE) : -1].rstrip(_SPACE)
        if (message := _read_usual(payload)) and (found := _report(payload, message)):
            return found
    elif (
        (message := _read_usual(body)) and not _is_object(bytes(message.message)) and (found := _report(body, message))
    ):
        return found
    return _read_thoroughly(body)


def _read_usual(payload: bytes) -> _Message | _LargeMessage | None:
    try:
        return _usual.decode(payload) if len(payload) < LARGE_BYTES else _usual_if_large.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _report(payload: bytes, message: _Message | _LargeMessage) -> Report | OtherMessage | None:
    if message.type != END_OF_CALL_REPORT:
        return _other(payload, message.type) if message.type in OTHER_MESSAGES else None
    _require_utf8(payload)
    artifact = message.artifact
    inside = _artifact(bytes(artifact)) if isinstance(artifact, msgspec.Raw) else artifact
    return _made(payload, _usable(message.call.id), bytes(message.timestamp), inside or {}, bytes(message.endedAt))


def _read_thoroughly(body: bytes) -> Report | OtherMessage:
    """Read any message, more slowly, and find the words for what is wrong with it."""
    if (inner := opened_text(body)) != body:
        return read_message(inner)
    try:
        payload, message = _unwrap(body)
        message_type = _string(message, "type", "type")
    except InvalidReport as error:
        return _opened(body, error)
    if message_type in OTHER_MESSAGES:
        return _other(payload, message_type)
    if message_type != END_OF_CALL_REPORT:
        return _opened(body, _unknown(message_type, message, is_wrapped=payload != body))
    _require_utf8(payload)
    inside = _artifact(message.get("artifact", b""))
    return _made(payload, _call_id(message), message.get("timestamp", b""), inside, message.get("endedAt", b""))


def _artifact(artifact: bytes) -> dict[str, bytes]:
    if not _is_object(artifact) or (len(artifact) >= LARGE_BYTES and b"presigned" not in artifact):
        return {}
    return members(artifact, "artifact")


def _opened(body: bytes, error: InvalidReport) -> Report | OtherMessage:
    """Return the message that this body can only be meant to carry; else raise the error and say what it looks like."""
    look = look_into(body)
    if look.only_message is not None and len(pieces := found_at(body, look.only_message)) == 1:
        return read_message(pieces[0])
    if said := look.words():
        raise InvalidReport(error.field, f"{error.problem}; {said}") from None
    raise error


def _other(payload: bytes, message_type: str) -> OtherMessage:
    """Return the message that may be ignored, unless there is a report in it: a second `type` hides one."""
    if _REPORTS_TYPE.search(payload):
        raise InvalidReport("type", f'is "{message_type}"; but it also has the type of an end-of-call report')
    return OtherMessage(message_type)


def _unknown(message_type: str, message: Mapping[str, bytes], *, is_wrapped: bool) -> InvalidReport:
    """Return what is wrong with a type that is none of Vapi's known ones."""
    if _LETTERS.sub("", message_type.lower()) == _LETTERS.sub("", END_OF_CALL_REPORT):
        return InvalidReport("type", f'is misspelled; it must be "{END_OF_CALL_REPORT}"')
    # The type comes from outside; only what can be a word is repeated.
    quoted = f' (it is "{message_type}")' if _TYPE_WORD.fullmatch(message_type) else ""
    if "artifact" in message and "endedReason" in message and message_type not in CALL_TYPES:
        return InvalidReport(
            "type", f"is not a known Vapi message type{quoted}, but it looks like an end-of-call report"
        )
    # Vapi's envelope with a word like its own in it, or what all its messages of calls have.
    is_of_vapi = (is_wrapped and quoted) or _is_object(message.get("call", b""))
    if is_of_vapi and message_type:
        return UnknownMessage("type", f"is not a known Vapi message type{quoted}; it does not look like a report")
    return InvalidReport("type", f"is not a known Vapi message type{quoted}")


def _made(
    payload: bytes,
    call_id: CallId,
    timestamp: bytes,
    artifact: Mapping[str, bytes | msgspec.Raw],
    ended: bytes,
) -> Report:
    links = {name: bytes(value) for name, value in artifact.items() if name.startswith("presigned")}
    made_anew = links | {"timestamp": timestamp} if timestamp else links
    links_end = _moment(links.get("presignedUrlsExpiresAt", b""))
    return Report(call_id, payload, fingerprint(payload, made_anew), links_end, _moment(ended))


def _unwrap(body: bytes) -> tuple[bytes, dict[str, bytes]]:
    outer = members(body, "body")
    if _is_object(outer.get("message", b"")):
        return outer["message"], members(outer["message"], "message")
    return body, outer


def _moment(value: bytes) -> int:
    try:
        end = datetime.fromisoformat(msgspec.json.decode(value, type=str)) if value else None
        return max(0, round(end.timestamp() * 1000)) if end and end.tzinfo else 0
    except (ValueError, OverflowError):
        # Only an order of priority, or a figure, hangs on it; a report is not refused for it.
        return 0


def _call_id(message: dict[str, bytes]) -> CallId:
    call = message.get("call")
    if call is None:
        raise InvalidReport("call", "is missing")
    if not _is_object(call):
        raise InvalidReport("call", "is not an object")
    return _usable(_string(members(call, "call"), "id", "call.id"))


def _usable(call_id: str) -> CallId:
    if not _USABLE_CALL_ID.fullmatch(call_id):
        raise InvalidReport("call.id", "must be 1 to 200 printable ASCII characters without spaces")
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
    if (bad := not_utf_8_at(payload)) is not None:
        raise InvalidReport("body", f"is not UTF-8 (byte {bad})")
