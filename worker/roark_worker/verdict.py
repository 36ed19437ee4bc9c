"""What an answer from Roark means. Pure: an answer goes in, a verdict comes out.

    2xx with a JSON object                       delivered
    2xx that is no JSON object                   passing: a proxy's page, not Roark
    408, 425, 429, 5xx, no answer                passing: try again by schedule
    409                                          delivered if it says duplicate, else passing
    3xx, 401, 402, 403, 404, 405, 410            we are wrong: token, credits or URL; true for every report
    400, 413, 415, 422, every other 4xx          refused: this report is wrong

`x-should-retry` is Roark's own word: true makes any failure passing, false makes a passing one refused. It
does not make a dead letter of a report when the fault is ours.

The facts: Roark's SDKs (roark_analytics 7.6) retry 408, 409, 429 and 5xx and obey `x-should-retry`; its error
body is `{"type", "code", "message"}`, with `parameter` and `details` in third-party descriptions.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from roark_worker.retry_after import retry_after_seconds

_OUR_FAULT = frozenset({401, 402, 403, 404, 405, 410})
_PASSING = frozenset({408, 425, 429})
_DUPLICATE = re.compile(rb"already|duplicate", re.IGNORECASE)
_USABLE_ROARK_ID = re.compile(r"[\x21-\x7e]{1,64}")
_MOST_MESSAGE = 300


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back over HTTP: lower-case header names, and at most the first 64 kB of the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Delivered:
    """Roark has the report. `roark_call_id` is "" where Roark did not name it."""

    status: int
    roark_call_id: str = ""
    already_there: bool = False


@dataclass(frozen=True, slots=True)
class Passing:
    """The attempt failed for a reason that passes. `retry_after` in seconds, where Roark asked for it."""

    reason: str
    status: int = 0
    message: str = ""
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """Roark will not take this report. `parameter` is the field that it names, where it does."""

    reason: str
    status: int = 0
    message: str = ""
    parameter: str = ""


@dataclass(frozen=True, slots=True)
class OurFault:
    """Roark would answer every report like this: the token, the credits or the URL is wrong."""

    reason: str
    status: int
    message: str = ""


Verdict = Delivered | Passing | Refused | OurFault


class _ErrorBody(msgspec.Struct):
    message: str = ""
    code: str = ""
    parameter: str | None = None


class _Data(msgspec.Struct):
    callId: str = ""  # noqa: N815 Roark's own spelling


class _SuccessBody(msgspec.Struct):
    data: _Data | None = None


def judge(answer: Answer, now: datetime) -> Verdict:
    """Say what `answer` means for the report that was uploaded."""
    if 200 <= answer.status < 300:
        return _judge_success(answer)
    if answer.status == 409 and _DUPLICATE.search(answer.body):
        return Delivered(answer.status, _roark_call_id(answer.body), already_there=True)
    return _judge_failure(answer, now)


def _judge_success(answer: Answer) -> Verdict:
    try:
        msgspec.json.decode(answer.body, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Passing("not_roark", answer.status, "the answer is not JSON: a proxy's page, not Roark's")
    return Delivered(answer.status, _roark_call_id(answer.body))


def _judge_failure(answer: Answer, now: datetime) -> Verdict:
    status, reason = answer.status, f"http_{answer.status}"
    message, parameter = _error(answer)
    wait = retry_after_seconds(answer.headers, now)
    word = answer.headers.get("x-should-retry")
    if word == "true":
        return Passing(reason, status, message, wait)
    if status in _OUR_FAULT or status < 400:
        return OurFault(reason, status, message)
    if (status in _PASSING or status == 409 or status >= 500) and word != "false":
        return Passing(reason, status, message, wait)
    return Refused(reason, status, message, parameter)


def _error(answer: Answer) -> tuple[str, str]:
    try:
        error = msgspec.json.decode(answer.body, type=_ErrorBody)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "", ""
    message = error.message or error.code
    return message[:_MOST_MESSAGE], (error.parameter or "")[:100]


def _roark_call_id(body: bytes) -> str:
    try:
        data = msgspec.json.decode(body, type=_SuccessBody).data
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return data.callId if data and _USABLE_ROARK_ID.fullmatch(data.callId) else ""
