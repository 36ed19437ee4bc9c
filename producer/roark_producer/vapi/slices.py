"""Cuts a JSON object into its members without printing anything again: each value stays the sender's bytes.

msgspec does it in C. What msgspec wrongly refuses (a lone surrogate as an escape, which JSON.stringify does
write) goes through a slower reader built on the standard library, which also finds the words for an error.
"""

import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined] # undocumented, stable since 2.6
from typing import NoReturn

import msgspec

from roark_ledger.errors import InvalidReport

_SPACE = re.compile(r"[ \t\n\r]*")
_fast = msgspec.json.Decoder(dict[str, msgspec.Raw])


def members(document: bytes, field: str) -> dict[str, bytes]:
    """Return the members of a JSON object: name → the exact bytes of its value.

    Of members with the same name the last one counts, as in every common parser. Raises InvalidReport that
    names `field` when the document is not a JSON object in UTF-8.
    """
    found = members_if_plain(document)
    return found if found is not None else _slow_members(_text(document, field), field)


def members_if_plain(document: bytes) -> dict[str, bytes] | None:
    """Return what `members` would, or None where the fast reader refuses the document."""
    try:
        return {name: bytes(value) for name, value in _fast.decode(document).items()}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _text(document: bytes, field: str) -> str:
    try:
        return document.decode()
    except UnicodeDecodeError as error:
        raise InvalidReport(field, f"is not UTF-8 (byte {error.start})") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


# Numbers stay text: they are looked at here, never computed with, and may be longer than Python converts.
_slow = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_refuse)


def _slow_members(text: str, field: str) -> dict[str, bytes]:
    try:
        found, end = _read_object(text, _skip_space(text, 0))
        if _skip_space(text, end) != len(text):
            raise InvalidReport(field, f"has data after its end (character {end})")
    except RecursionError:
        raise InvalidReport(field, "is nested too deeply") from None
    except (ValueError, IndexError) as error:
        raise InvalidReport(field, f"is not valid JSON: {_place(error)}") from None
    if found is None:
        raise InvalidReport(field, "is not a JSON object")
    return found


def _place(error: Exception) -> str:
    # The parser's own message may quote the document; only its place is safe to tell.
    match error:
        case json.JSONDecodeError():
            return f"{error.msg} (line {error.lineno}, column {error.colno})"
        case IndexError():
            return "it ends too early"
        case _:
            return str(error) if "is not JSON" in str(error) else "it cannot be parsed"


def _read_object(text: str, start: int) -> tuple[dict[str, bytes] | None, int]:
    if text[start] != "{":
        _, end = _slow.raw_decode(text, start)
        return None, end
    found: dict[str, bytes] = {}
    at = _skip_space(text, start + 1)
    if text[at] == "}":
        return found, at + 1
    while True:
        if text[at] != '"':
            raise json.JSONDecodeError("Expecting a name in double quotes", text, at)
        name, at = scanstring(text, at + 1)
        at = _expect(text, _skip_space(text, at), ":")
        value_start = _skip_space(text, at)
        _, at = _slow.raw_decode(text, value_start)
        found[name] = text[value_start:at].encode()
        at = _skip_space(text, at)
        if text[at] == "}":
            return found, at + 1
        at = _skip_space(text, _expect(text, at, ","))


def _expect(text: str, at: int, character: str) -> int:
    if text[at] != character:
        raise json.JSONDecodeError(f"Expecting '{character}'", text, at)
    return at + 1


def _skip_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at
