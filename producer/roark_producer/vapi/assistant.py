"""Which of Vapi's assistants held a call, read out of the report without parsing the rest of it. Pure."""

import re
from typing import TypeVar

import msgspec

_MOST = 100
_T = TypeVar("_T")


# Only what is asked for is cut out: a dictionary of all members would take twice as long.
class _Named(msgspec.Struct):
    assistant: msgspec.Raw = msgspec.Raw()
    call: msgspec.Raw = msgspec.Raw()


class _NamedCall(msgspec.Struct):
    assistantId: msgspec.Raw = msgspec.Raw()  # noqa: N815 Vapi's name


class _NamedAssistant(msgspec.Struct):
    id: msgspec.Raw = msgspec.Raw()
    name: msgspec.Raw = msgspec.Raw()


_message, _call = msgspec.json.Decoder(_Named), msgspec.json.Decoder(_NamedCall)
_assistant, _string = msgspec.json.Decoder(_NamedAssistant), msgspec.json.Decoder(str)
_USABLE = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


def assistant_of(payload: bytes) -> str:
    """Return the assistant's id, else its name, "" where the report names none. At most 100 characters."""
    message = _read(_message, payload)
    call = _read(_call, message.call)
    if found := _text(call.assistantId):
        return found
    assistant = _read(_assistant, message.assistant)
    return _text(assistant.id) or _text(assistant.name)


def _read(decoder: msgspec.json.Decoder[_T], document: bytes | msgspec.Raw) -> _T:
    try:
        return decoder.decode(document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return decoder.type()


def _text(value: msgspec.Raw) -> str:
    try:
        text = _string.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    return text[:_MOST] if _USABLE.fullmatch(text) else ""
