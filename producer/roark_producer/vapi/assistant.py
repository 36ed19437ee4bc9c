"""Which of Vapi's assistants held a call, read out of the report without parsing the rest of it. Pure."""

import re

import msgspec

from roark_producer.vapi.slices import members_if_plain

_MOST = 100
_USABLE = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


def assistant_of(payload: bytes) -> str:
    """Return the assistant's id, else its name, "" where the report names none. At most 100 characters."""
    message = members_if_plain(payload) or {}
    assistant = members_if_plain(message.get("assistant", b"")) or {}
    call = members_if_plain(message.get("call", b"")) or {}
    for value in (call.get("assistantId"), assistant.get("id"), assistant.get("name")):
        if found := _text(value):
            return found
    return ""


def _text(value: bytes | None) -> str:
    try:
        text = msgspec.json.decode(value or b'""', type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    return text[:_MOST] if _USABLE.fullmatch(text) else ""
