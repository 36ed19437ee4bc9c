"""Reading an upload: from the bytes of a request to the call it is about, or to the reason to refuse it.

1. the envelope: `vapiEndOfCallReportPayload`, and optionally `properties` and `skipAlreadyImported`;
2. the report inside: its type and its `call.id`, read past everything else;
3. the optional fields' types.

The report is never turned into Python objects and never copied: its bytes, exactly as they came, are what gets
hashed. Reasons name the field and never quote from the report.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

REPORT = "vapiEndOfCallReportPayload"


@dataclass(frozen=True, slots=True)
class UploadRoute:
    """A request that Roark can import; `payload` is a view of the body's own bytes."""

    call_id: str
    payload: msgspec.Raw
    skip_already_imported: bool


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that Roark cannot import, with the call it was about where that could be read."""

    status: int
    message: str | None = None
    parameter: str | None = None
    call_id: str | None = None


class _Envelope(msgspec.Struct, rename="camel"):
    vapi_end_of_call_report_payload: msgspec.Raw = msgspec.Raw(b"null")
    properties: msgspec.Raw = msgspec.Raw(b"{}")
    skip_already_imported: msgspec.Raw = msgspec.Raw(b"false")


class _Call(msgspec.Struct):
    id: object = None


class _Report(msgspec.Struct):
    type: object = None
    call: _Call | None = None


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_REPORT = msgspec.json.Decoder(_Report)
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def read_upload(content_type: str, body: bytes) -> UploadRoute | Refusal:
    """The upload in this body, or why it is refused (400)."""
    if content_type.partition(";")[0].strip().lower() != "application/json":
        return _bad("Content-Type must be application/json", "content-type")
    try:
        envelope = _ENVELOPE.decode(body)
    except msgspec.ValidationError:
        return _bad("Request body must be a JSON object", "body")
    except _UNREADABLE as error:
        return _bad(f"Request body is not JSON: {error}", "body")
    match _read_call_id(envelope.vapi_end_of_call_report_payload):
        case str(call_id):
            return _upload(call_id, envelope)
        case refusal:
            return refusal


def _upload(call_id: str, envelope: _Envelope) -> UploadRoute | Refusal:
    if not _is_object(envelope.properties):
        return _bad("properties must be an object", "properties", call_id)
    skip = bytes(envelope.skip_already_imported)
    if skip not in {b"true", b"false"}:
        return _bad("skipAlreadyImported must be a boolean", "skipAlreadyImported", call_id)
    return UploadRoute(call_id, envelope.vapi_end_of_call_report_payload, skip == b"true")


def _read_call_id(payload: msgspec.Raw) -> str | Refusal:
    if not _is_object(payload):
        return _bad(f"{REPORT} is required and must be an object", REPORT)
    try:
        report = _REPORT.decode(payload)
    except msgspec.ValidationError:
        return _bad("call must be an object", f"{REPORT}.call")
    except _UNREADABLE as error:
        return _bad(f"Report is not JSON: {error}", REPORT)
    call_id = report.call.id if report.call else None
    if report.type != "end-of-call-report":
        return _bad("type must be end-of-call-report", f"{REPORT}.type")
    if not isinstance(call_id, str) or not call_id:
        return _bad("call.id is required and must be a string", f"{REPORT}.call.id")
    return call_id


def _is_object(value: msgspec.Raw) -> bool:
    return bytes(memoryview(value)[:1]) == b"{"


def _bad(message: str, parameter: str, call_id: str | None = None) -> Refusal:
    return Refusal(400, message, parameter, call_id)
