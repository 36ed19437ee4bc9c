"""The `properties` that go to Roark beside a report: metadata by which calls are filtered there.

They come from four places, the later ones winning: static settings, paths inside the report, the webhook
request's query, and the caller's own words (`--property`, `submit(properties=…)`).

Roark documents no rules for this endpoint; its sibling takes scalars under snake_case names, at most 100 of
them (types of roark_analytics 7.6, `call_update_properties_params.py`), and that subset is what is let through.
Values from a report keep its bytes, so a number beyond 2^53 arrives as it was.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from roark_ledger.errors import ConfigurationError, InvalidProperties, InvalidReport
from roark_producer.vapi.slices import members

Scalar = str | int | float | bool

MOST_PROPERTIES = 100
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class PropertyRules:
    """Which properties are added to each report.

    `static` are the same for all; `from_query` names the query parameters that may come along; `from_report`
    maps a property's name to a dotted path inside the report.
    """

    static: Mapping[str, Scalar] = field(default_factory=dict)
    from_query: tuple[str, ...] = ()
    from_report: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in (*self.static, *self.from_query, *self.from_report):
            if not _NAME.fullmatch(name):
                raise ConfigurationError(f"property name {name!r} is not snake_case (a-z, 0-9, _)")


def gather(
    rules: PropertyRules,
    payload: bytes,
    query: Mapping[str, str] | None = None,
    given: Mapping[str, Scalar] | None = None,
) -> bytes:
    """Return the properties of one report as a JSON object, or b"" when there are none.

    Raises InvalidReport that names the property when `given` holds a bad name or value, or there are too many.
    """
    found: dict[str, bytes] = {name: msgspec.json.encode(value) for name, value in rules.static.items()}
    for name, path in rules.from_report.items():
        if value := _scalar_at(payload, path):
            found[name] = value
    for name in rules.from_query:
        if query and name in query:
            found[name] = msgspec.json.encode(query[name])
    for name, scalar in (given or {}).items():
        found[name] = _checked(name, scalar)
    if len(found) > MOST_PROPERTIES:
        raise InvalidReport("properties", f"are {len(found)}; Roark takes at most {MOST_PROPERTIES}")
    if not found:
        return b""
    return b"{" + b",".join(b'"%s":%s' % (name.encode(), value) for name, value in found.items()) + b"}"


def check_given(rules: PropertyRules, given: Mapping[str, Scalar] | None) -> None:
    """Raise InvalidProperties when `given` could not go beside a report, whichever report that is."""
    if not given:
        return
    if not isinstance(given, Mapping):
        raise InvalidProperties(f"properties: must be a dict, not {type(given).__name__}")
    try:
        for name, value in given.items():
            _checked(name, value)
    except InvalidReport as error:
        raise InvalidProperties(str(error)) from None
    if (count := len({*rules.static, *rules.from_report, *given})) > MOST_PROPERTIES:
        raise InvalidProperties(
            f"properties: {count} with those of the settings; Roark takes at most {MOST_PROPERTIES}"
        )


def check_stored(properties: bytes) -> None:
    """Raise InvalidReport when properties, a JSON object as it is kept and exported, are none that `gather` makes."""
    found = members(properties, "properties")
    for name, value in found.items():
        if not _NAME.fullmatch(name):
            raise InvalidReport(f"properties.{name}", "is not a snake_case name (a-z, 0-9, _)")
        if value[:1] in {b"{", b"["} or value == b"null":
            raise InvalidReport(f"properties.{name}", "must be a string, a number or true/false")
    if len(found) > MOST_PROPERTIES:
        raise InvalidReport("properties", f"are {len(found)}; Roark takes at most {MOST_PROPERTIES}")


def _checked(name: str, value: Scalar) -> bytes:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidReport(f"properties.{name}", "is not a snake_case name (a-z, 0-9, _)")
    if not isinstance(value, str | int | float | bool):
        raise InvalidReport(f"properties.{name}", "must be a string, a number or true/false")
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidReport(f"properties.{name}", "must be a number that JSON has, so no NaN and no infinity")
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        raise InvalidReport(f"properties.{name}", "has half a surrogate pair in it") from None


def _scalar_at(payload: bytes, path: str) -> bytes | None:
    value: bytes | None = payload
    for step in path.split("."):
        if value is None or value[:1] != b"{":
            return None
        value = members(value, path).get(step)
    if value is None or value[:1] in {b"{", b"["} or value == b"null":
        return None
    return value
