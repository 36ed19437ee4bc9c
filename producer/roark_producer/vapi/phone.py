"""Where a phone number stands in a JSON document: every string that is this number and nothing else. Pure.

Vapi has it at `call.customer.number`, `customer.number`, `phoneNumber.number`, in variables, metadata and SIP
addresses; where else depends on the assistant. What somebody said or wrote is not looked through: a number in a
sentence is about another call's person as often as about this one's.
"""

import json
import re
from typing import Any

import msgspec

from roark_ledger.errors import InvalidReport

_E164 = re.compile(r"\+[1-9]\d{6,14}")
_LAYOUT = re.compile(r"[ ().\-/\u00a0]")
_SCHEME = re.compile(r"^(?:tel|sips?):", re.IGNORECASE)
_LONGEST = 80
_MOST = 10**15


def e164(text: str) -> str:
    """Return a phone number as `+15550101234`.

    Raises InvalidReport, which does not repeat it, when it is none.
    """
    found = _normal(text)
    if not _E164.fullmatch(found):
        raise InvalidReport("phone", "must be in E.164: plus, country code and number, such as +14155550123")
    return found


def places_of(number: str, document: bytes) -> list[str]:
    """Return the paths at which `number` (E.164) stands in a JSON document; `?` where it is none that can be read."""
    # Its end is looked for first, which is fast: hardly a document has it. It may hide behind escapes.
    if number[-4:].encode() not in document and b"\\u003" not in document:
        return []
    try:
        tree = msgspec.json.decode(document)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:
            tree = json.loads(document, parse_int=str)
        except (ValueError, RecursionError):
            return ["?"] if number[1:].encode() in document else []
    return _walk(tree, number)


def _walk(tree: Any, number: str) -> list[str]:
    found = []
    left: list[tuple[str, Any]] = [("", tree)]
    while left:
        path, value = left.pop()
        match value:
            case dict():
                left += [(f"{path}.{name}" if path else str(name), inner) for name, inner in value.items()]
            case list():
                left += [(f"{path}[{place}]", inner) for place, inner in enumerate(value)]
            case str() if len(value) <= _LONGEST:
                # SIP addresses, and some systems, leave the plus out.
                if _normal(value).removeprefix("+") == number[1:]:
                    found.append(path)
            case int() if 0 < value < _MOST and str(value) == number[1:]:
                found.append(path)
    return sorted(found)


def _normal(text: str) -> str:
    bare = _LAYOUT.sub("", _SCHEME.sub("", text.strip()).partition("@")[0])
    return "+" + bare[2:] if bare.startswith("00") else bare
