"""Cuts a JSON object into its members without printing anything again: each value stays the sender's bytes.

msgspec does it in C. It wrongly refuses a lone surrogate as an escape, which JSON.stringify does write: such a document
is judged with another letter in the place of each surrogate (`without_surrogates`), and cut where the sender's brackets
stand. So is a large one, whose members could be millions: more than MOST_MEMBERS are refused before they take memory.

The words for an error come from the standard library, which makes objects of all that it reads: of no large document.
"""

import codecs
import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined] # undocumented, stable since 2.6
from typing import NoReturn

import msgspec

from roark_ledger.errors import InvalidReport
from roark_producer.files.json_depth import bracket_that_closes

MOST_MEMBERS = 10_000
"""Members that an object may have which is taken apart. Vapi's have some thirty."""
LARGE_BYTES = 4_000_000
"""From here on a document is read in ways that take no memory for each of its values."""

_PIECE_BYTES = 1_000_000
_SPACE = re.compile(r"[ \t\n\r]*")
_fast = msgspec.json.Decoder(dict[str, msgspec.Raw])
_any = msgspec.json.Decoder(msgspec.Raw)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_NAME = re.compile(rb'[ \t\n\r]*("[^"\\]*+(?:\\.[^"\\]*+)*+")[ \t\n\r]*:[ \t\n\r]*', re.DOTALL)
_STRING_OR_WORD = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[^][{}", \t\n\r]++', re.DOTALL)
_BETWEEN = re.compile(rb"[ \t\n\r]*[,}]")


def members(document: bytes, field: str) -> dict[str, bytes]:
    """Return the members of a JSON object: name → the exact bytes of its value.

    Of members with the same name the last one counts, as in every common parser. Raises InvalidReport that
    names `field` when the document is not a JSON object in UTF-8.
    """
    if len(document) < LARGE_BYTES and (found := members_if_plain(document)) is not None:
        return found
    if (bad := not_utf_8_at(document)) is not None:
        raise InvalidReport(field, f"is not UTF-8 (byte {bad})")
    try:
        _any.decode(without_surrogates(document))
    except RecursionError:
        raise InvalidReport(field, "is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if len(document) < LARGE_BYTES:
            return _slow_members(document.decode(), field)
        # msgspec tells what and where, and quotes nothing.
        raise InvalidReport(field, f"is not valid JSON: {str(error).removeprefix('JSON is malformed: ')}") from None
    return _cut(document, field)


def members_if_plain(document: bytes) -> dict[str, bytes] | None:
    """Return what `members` would of a short document, or None where the fast reader refuses it."""
    try:
        return {name: bytes(value) for name, value in _fast.decode(document).items()}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def without_surrogates(document: bytes) -> bytes:
    """Return a document of the same length and shape, with the letter A in the place of each escaped surrogate."""
    if not _SURROGATE.search(document):
        return document
    # Behind an escaped backslash it is text, which becomes another text; what is looked at stays the same. In pieces,
    # which end in front of an escape: millions of them would take memory each.
    pieces = []
    at = 0
    while at < len(document):
        end = at + _PIECE_BYTES
        cut = document.rfind(b"\\", max(at + 1, end - 5), end) if end < len(document) else -1
        end = end if cut < 0 else cut
        pieces.append(_SURROGATE.sub(rb"\\u0041", document[at:end]))
        at = end
    return b"".join(pieces)


def not_utf_8_at(document: bytes) -> int | None:
    """Return the first byte that is no UTF-8, None where all is; in pieces, for text may take four times as much."""
    if document.isascii():
        return None
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(document), _PIECE_BYTES):
        begun = len(decoder.getstate()[0])
        try:
            decoder.decode(document[start : start + _PIECE_BYTES], final=start + _PIECE_BYTES >= len(document))
        except UnicodeDecodeError as error:
            return start - begun + error.start
    return None


def _cut(document: bytes, field: str) -> dict[str, bytes]:
    """Cut a document that is known to be JSON."""
    at = len(document) - len(document.lstrip(b" \t\n\r"))
    if document[at : at + 1] != b"{":
        raise InvalidReport(field, "is not a JSON object")
    found: dict[str, bytes] = {}
    seen = 0
    at += 1
    while name := _NAME.match(document, at):
        seen += 1
        if seen > MOST_MEMBERS:
            raise InvalidReport(field, f"has more than {MOST_MEMBERS} members")
        end = _value_end(document, name.end())
        found[scanstring(name[1].decode(), 1)[0]] = document[name.end() : end]
        between = _BETWEEN.match(document, end)
        at = between.end() if between else end
    return found


def _value_end(document: bytes, at: int) -> int:
    plain = _STRING_OR_WORD.match(document, at)
    return plain.end() if plain else bracket_that_closes(document, at + 1, 1)[0]


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
