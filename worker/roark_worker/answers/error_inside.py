"""Whether an answer of success says inside that it failed, and by which status that would usually be told. Pure."""

import re
from collections.abc import Iterator
from typing import Any

from roark_worker.answers.answer_words import Words

_WRAPPERS = ("data", "result", "response", "body", "payload")
_VERDICTS = ("success", "ok", "successful", "succeeded")
_STATES = ("status", "state", "result", "outcome")
_FAILED = re.compile(
    r"err(or|ored)?|fail(ed|ure)?|reject(ed)?|refused|invalid|denied|unauthorized|forbidden|exception", re.IGNORECASE
)
_NUMBERS = ("status", "statusCode", "status_code", "httpStatus", "http_status", "httpCode", "code", "error_code")
_CAUSES = ("error", "errors", "fault", "exception")
_COMPLAINTS = ("detail", "issues", "violations", "invalid-params", "error_description", "error_message")
_FINE = re.compile(r"ok|success(ful)?|accepted|created|skipp?ed|queued|imported|done|0|2\d\d", re.IGNORECASE)
_NO_ERROR = frozenset({"", "none", "null", "no", "false", "0", "ok"})

# What is written in a code or a type, and the status by which it would usually be told; the first that fits counts.
_TOLD_AS: tuple[tuple[re.Pattern[str], int], ...] = tuple(
    (re.compile(rf"\b({words})\b"), status)
    for words, status in (
        (r"unauthori[sz]ed|unauthenticated|authentication|(invalid|expired|missing) (api )?(token|key)", 401),
        (r"token (expired|invalid)|invalid credentials", 401),
        (r"payment|insufficient (credits|funds)|credits|billing", 402),
        (r"forbidden|permission|access denied|not allowed|missing scope", 403),
        (r"rate limit(ed)?|too many|throttl(ed|ing)|quota", 429),
        (r"too large", 413),
        (r"unsupported media", 415),
        (r"conflict|locked", 409),
        (r"unavailable|maintenance|overloaded", 503),
        (r"timeout|timed out", 504),
        (r"internal|server error", 500),
        (r"not found", 404),
        (r"validation|invalid|bad request|unprocessable|malformed|missing|required|schema", 422),
    )
)


def error_inside(value: dict[str, Any]) -> bool:
    """Say whether a JSON object that came with a success tells of a failure."""
    return any(_tells_of_failure(one) for one in _with_wrapped(value)) or _complains(value)


def status_inside(value: dict[str, Any], words: Words) -> int:
    """Return the status from 400 to 599 that an error inside a success stands for, 0 where it says none."""
    for one in _with_wrapped(value):
        causes = [cause for name in _CAUSES for cause in _objects(one.get(name))]
        for told in (*causes, one):
            if status := next(filter(None, (_as_status(told.get(name)) for name in _NUMBERS)), 0):
                return status
    if status := _by_words(words.code) or _by_words(_short(words.message)):
        return status
    return 422 if words.parameter else 0


def _with_wrapped(value: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield value
    for name in _WRAPPERS:
        yield from _objects(value.get(name))


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in (value[:5] if isinstance(value, list) else [value]) if isinstance(one, dict)]


def _tells_of_failure(value: dict[str, Any]) -> bool:
    if any(_is_error(value.get(name)) for name in _CAUSES):
        return True
    if any(value.get(name) is False or value.get(name) == "false" for name in _VERDICTS):
        return True
    states = (value.get(name) for name in _STATES)
    return any(isinstance(state, str) and _FAILED.fullmatch(state.strip()) for state in states) or any(
        _as_status(value.get(name)) for name in _NUMBERS
    )


def _is_error(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().lower() not in _NO_ERROR
    return bool(value)


def _complains(value: dict[str, Any]) -> bool:
    """Say whether it has the form of an error: Roark's own, problem+json, a validator's."""
    if isinstance(value.get("data"), dict | list) and value["data"]:
        return False
    if any(value.get(name) for name in _COMPLAINTS):
        return True
    codes = [value[name] for name in ("code", "type", "errorCode", "error_code") if value.get(name) not in (None, "")]
    said = any(value.get(name) for name in ("message", "title", "msg"))
    return said and bool(codes) and not any(_FINE.fullmatch(str(code)) for code in codes)


def _as_status(value: Any) -> int:
    if isinstance(value, str) and re.fullmatch(r"[45]\d\d", value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 400 <= value < 600 else 0


_MOST_TOLD = 60


def _short(message: str) -> str:
    # A long sentence may name all of that in passing.
    return message if len(message) <= _MOST_TOLD else ""


def _by_words(code: str) -> int:
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", code)
    plain = re.sub(r"[^a-z0-9]+", " ", apart.lower())
    return next((status for words, status in _TOLD_AS if words.search(plain)), 0)
