"""What an answer says, whatever its shape: message, code, and the field that it complains about. Pure.

    Roark's own            {"type", "code", "message", "parameter"}, {"error": {…}}, {"error": "…"}
    problem+json           {"type", "title", "detail", "invalid-params": [{"name", "reason"}], "errors": [{"pointer"}]}
    validators             {"detail": "…"} or [{"loc", "msg"}], {"issues": [{"path", …}]}, {"errors": {field: …}}
    a page, plain text     its title, or its first words

Each may be nested in another, or be JSON inside a string. Where no message is found, and where what answered was not
Roark, up to 500 bytes of the answer are kept as an excerpt. All of it is cleaned for a terminal and masked as logs are;
members that quote the request (`input`, `received`, a payload) are left out of it.
"""

import html
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec

from roark_ledger.logs import masked_text

MOST_MESSAGE, MOST_PARAMETER, MOST_EXCERPT_BYTES = 300, 100, 500
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_MOST_CODE = 64
_DEPTH = 5
_SEVERAL = 3

# What a terminal would obey: the text comes from outside and is shown to people.
_CONTROL = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufffe\uffff]+")
_MESSAGES = ("message", "msg", "error_message", "errorMessage", "error_description", "detail", "description", "reason")
_TITLES = ("title", "faultstring", "Message", "statusText")
_CODES = ("code", "error_code", "errorCode", "errorcode", "type", "error_type", "errorType")
_FIELDS = ("parameter", "param", "field", "path", "loc", "pointer", "instancePath", "property", "fieldPath")
_NESTED = (
    *("error", "errors", "detail", "details", "issues", "violations", "invalid-params", "invalid_params", "message"),
    *("validationErrors", "validation_errors", "fieldErrors", "field_errors", "fault", "cause", "response", "body"),
    *("data", "result", "source", "Error"),
)
_MAPS = frozenset({"errors", "fieldErrors", "field_errors", "validationErrors", "validation_errors"})
# What repeats the request, and so what people said.
_ECHO = re.compile(
    r"input|value|received|actual|given|request|payload|report|params|transcript|messages|customer|number|phone|artifact"
    r"|analysis|assistant|summary|variable|properties|recording|headers|context|name|email|address|content|^text$|^call$"
    r"|^body$|^ctx$",
    re.IGNORECASE,
)
_MOST_QUOTED = 120
_TITLE_WITHIN, _TEXT_WITHIN = 4096, 16_384
# Where a validator says in which part of the request a field is.
_OUTER_STEPS = frozenset({"body", "$", "vapiEndOfCallReportPayload"})
_TITLE = re.compile(rb"<(title|h1|message|faultstring)\b[^>]*>(.*?)</\1\s*>", re.IGNORECASE | re.DOTALL)
_NO_TEXT = re.compile(rb"<(script|style|head)\b.*?(</\1\s*>|$)|<!--.*?(-->|$)|<[^>]*(>|$)", re.IGNORECASE | re.DOTALL)


class Kind(StrEnum):
    """What an answer's body is."""

    OBJECT = "object"
    JSON = "other JSON"
    PAGE = "page"
    TEXT = "text"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class Words:
    """What an answer says; what it does not is "". `value` is the body as JSON knows it, None where it is none."""

    kind: Kind
    message: str = ""
    code: str = ""
    parameter: str = ""
    excerpt: str = ""
    value: Any = field(default=None, repr=False, compare=False)

    @property
    def reads_like_roark(self) -> bool:
        """Whether it has the form of what an API writes, as all of Roark's errors have."""
        return self.kind is Kind.OBJECT


@dataclass(frozen=True, slots=True)
class _Found:
    message: str = ""
    code: str = ""
    parameter: str = ""

    def __bool__(self) -> bool:
        return bool(self.message or self.code or self.parameter)


_NOTHING = _Found()


def words_of(body: bytes, *, cut: bool = False) -> Words:
    """Return what an answer says; `cut` is a body that was too long to be read whole."""
    start = body[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    if not start:
        return Words(Kind.EMPTY)
    if start[:1] == b"<":
        return _page(body)
    try:
        value = msgspec.json.decode(body)
    except UNREADABLE:
        return _cut_object(body) if cut and start[:1] == b"{" else _text(body)
    found = _find(value, _DEPTH)
    is_object = isinstance(value, dict)
    excerpt = _json_excerpt(value) if value and not (found.message and is_object) else ""
    # A list of issues is as good as an object; any other JSON is no answer of Roark's.
    kind = Kind.OBJECT if is_object or (isinstance(value, list) and found.parameter) else Kind.JSON
    return Words(kind, _message(found.message), _code(found.code), _parameter(found.parameter), excerpt, value)


def _page(body: bytes) -> Words:
    # Of a page that opens tags without an end, each would be looked for up to there.
    titles = (_message(_plain(match[2])) for match in _TITLE.finditer(body[:_TITLE_WITHIN]))
    text = _plain(body[:_TEXT_WITHIN])
    return Words(Kind.PAGE, next(filter(None, titles), "") or _message(text), excerpt=_excerpt(text))


def _plain(part: bytes) -> str:
    return html.unescape(_NO_TEXT.sub(b" ", part).decode("utf-8", "replace"))


def _text(body: bytes) -> Words:
    text = body[: 4 * MOST_EXCERPT_BYTES].decode("utf-8", "replace")
    excerpt = _excerpt(text)
    return Words(Kind.TEXT, excerpt[:MOST_MESSAGE], excerpt=excerpt if len(excerpt) > MOST_MESSAGE else "")


_CUT_WORDS = re.compile(rb'"(message|code)"\s*:\s*("(?:[^"\\]|\\.){1,300}")')


def _cut_object(body: bytes) -> Words:
    # It is too long because it quotes, so nothing else of it is kept.
    said: dict[str, str] = {}
    for name, text in _CUT_WORDS.findall(body[:16_384]):
        try:
            said.setdefault(name.decode(), msgspec.json.decode(text, type=str))
        except UNREADABLE:
            continue
    return Words(Kind.OBJECT, _message(said.get("message", "")), _code(said.get("code", "")))


def _find(value: Any, depth: int, *, is_map: bool = False) -> _Found:
    if depth == 0:
        return _NOTHING
    match value:
        case str():
            return _in_text(value, depth)
        case list():
            return _in_list(value, depth)
        case dict():
            found = _in_object(value, depth)
            return found or (_in_map(value, depth) if is_map else _NOTHING)
        case _:
            return _NOTHING


def _in_text(text: str, depth: int) -> _Found:
    # zod's own message is the JSON of its issues.
    if text.lstrip()[:1] in {"{", "["}:
        try:
            return _find(msgspec.json.decode(text), depth - 1) or _Found(text)
        except UNREADABLE:
            pass
    return _Found(text)


def _in_list(values: list[Any], depth: int) -> _Found:
    found = [one for value in values[:_SEVERAL] if (one := _find(value, depth - 1))]
    return _Found("; ".join(one.message for one in found if one.message), *_first_of(found))


def _first_of(found: Iterable[_Found]) -> tuple[str, str]:
    found = list(found)
    return (
        next((one.code for one in found if one.code), ""),
        next((one.parameter for one in found if one.parameter), ""),
    )


def _in_object(value: dict[str, Any], depth: int) -> _Found:
    inner = [_find(value[name], depth - 1, is_map=name in _MAPS) for name in _NESTED if _is_nested(value.get(name))]
    names = value.get("name") if "reason" in value else None
    code, parameter = _first_of(
        [_Found("", _first_text(value, _CODES), _first_field(value) or _path(names)), *_ours(value), *inner]
    )
    said = [_first_text(value, _MESSAGES), *(one.message for one in _ours(value)), *(one.message for one in inner)]
    # What is said twice, above and below, is said once.
    told: list[str] = []
    for text in said:
        if text and not any(text in other for other in told):
            told.append(text)
    return _Found(": ".join(told[:2]) or _first_text(value, _TITLES), code, parameter)


def _ours(value: dict[str, Any]) -> Iterator[_Found]:
    # {"error": "invalid_token"}, {"error": "Too short"}: a word is a code, a sentence a message.
    error = value.get("error")
    if isinstance(error, str) and error:
        is_nested = error.lstrip()[:1] in {"{", "["}
        yield _in_text(error, _DEPTH - 1) if is_nested else _Found("", error) if " " not in error else _Found(error)


def _is_nested(value: Any) -> bool:
    if isinstance(value, str):
        return value.lstrip()[:1] in {"{", "["}
    return isinstance(value, dict | list)


def _in_map(value: dict[str, Any], depth: int) -> _Found:
    # The names are the fields: "call.cost" has "must be a number".
    found = [
        _Found(one.message, one.code, one.parameter or _path(name))
        for name, inner in list(value.items())[:_SEVERAL]
        if (one := _find(inner, depth - 1))
    ]
    return _Found("; ".join(one.message for one in found if one.message), *_first_of(found))


def _first_text(value: dict[str, Any], names: Iterable[str]) -> str:
    for name in names:
        said = value.get(name)
        if isinstance(said, int) and not isinstance(said, bool) and name in _CODES:
            return str(said)
        if isinstance(said, str) and said.strip() and said.lstrip()[:1] not in {"{", "["}:
            is_link = name == "type" and (said == "about:blank" or "://" in said)
            if not is_link:
                return said
    return ""


def _first_field(value: dict[str, Any]) -> str:
    # Some servers tell the path of the request beside the status; that is no place in the report.
    is_of_request = "status" in value or "timestamp" in value
    names = (name for name in _FIELDS if not (name == "path" and is_of_request and isinstance(value.get(name), str)))
    return next(filter(None, (_path(value.get(name)) for name in names)), "")


def _path(value: Any) -> str:
    """Return a place as people write it, `call.cost`, from a path, a pointer or a list of steps."""
    match value:
        case str() if value.startswith(("/", "#/")):
            steps = [step.replace("~1", "/").replace("~0", "~") for step in value.lstrip("#").split("/")[1:]]
        case str():
            steps = [value.strip().removeprefix("$.")]
        case list() if all(isinstance(step, str | int) and not isinstance(step, bool) for step in value):
            steps = [str(step) for step in value]
        case _:
            return ""
    while len(steps) > 1 and steps[0] in _OUTER_STEPS:
        steps = steps[1:]
    place = ".".join(filter(None, steps))
    for outer in ("body.", "vapiEndOfCallReportPayload."):
        place = place.removeprefix(outer)
    return place


def _json_excerpt(value: Any) -> str:
    return _excerpt(msgspec.json.encode(_without_echo(value, _DEPTH)).decode())


def _without_echo(value: Any, depth: int) -> Any:
    match value:
        case dict() if depth:
            pairs = list(value.items())[:20]
            return {
                str(name): "..." if _ECHO.search(str(name)) and inner else _without_echo(inner, depth - 1)
                for name, inner in pairs
            }
        case list() if depth:
            return [_without_echo(inner, depth - 1) for inner in value[:5]]
        case dict() | list():
            return "..."
        case str():
            return value if len(value) <= _MOST_QUOTED else "..."
        case _:
            return value


def _message(text: str) -> str:
    return shown(text, MOST_MESSAGE)


def _code(text: str) -> str:
    return shown(text, _MOST_CODE)


def _parameter(text: str) -> str:
    return shown(text, MOST_PARAMETER)


def shown(text: str, most: int) -> str:
    """Return a text from outside as one line of at most `most` characters that may be shown and kept."""
    return _masked(_CONTROL.sub(" ", text[: 2 * most]).strip())[:most].strip()


def _masked(text: str) -> str:
    return _NUMBER.sub("***", masked_text(text))


def _excerpt(text: str) -> str:
    line = _masked(_CONTROL.sub(" ", text).strip())
    return line.encode("utf-8", "replace")[:MOST_EXCERPT_BYTES].decode("utf-8", "ignore").strip()


# Whatever reads like a phone number without a plus as well: what Roark names may be a person's. No part of an id, and
# no date: that has eight digits.
_NUMBER = re.compile(r"(?<![\w.:/-])[(]?\d(?:[ ().\-/\u00a0\u2010-\u2015\u202f]{0,2}\d){8,14}(?![\w:-])")
_WORD = re.compile(r"[^\s\"',:;{}\[\]()]+")
_LEAST_QUOTE = 12


def unquoted(text: str, report: str) -> str:
    """Return `text` without what it quotes of the report: any three words in a row that stand there, any address."""
    spans = [match.span() for match in _WORD.finditer(text)]
    quoted = set()
    for number, (start, end) in enumerate(spans):
        if "@" in text[start:end] and text[start:end] in report:
            quoted.add(number)
        last = spans[min(number + 2, len(spans) - 1)][1]
        if number + 2 < len(spans) and last - start >= _LEAST_QUOTE and text[start:last] in report:
            quoted |= {number, number + 1, number + 2}
    kept = list(text)
    for number in sorted(quoted, reverse=True):
        start, end = spans[number]
        kept[start:end] = "..."
    return "".join(kept)
