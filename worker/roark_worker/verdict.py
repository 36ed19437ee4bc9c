"""What an answer from Roark means. Pure: an answer goes in, a verdict comes out.

    2xx with a JSON object                       delivered
    2xx that is no JSON object                   passing: a proxy's page, not Roark
    408, 425, 429, 5xx, no answer                passing: try again by schedule
    409                                          delivered if it says that the call is there, else passing: a lock
    3xx, 401, 402, 403, 404, 405, 410            we are wrong: token, credits or URL; true for every report
    400, 413, 415, 422, every other 4xx          refused: this report is wrong

`x-should-retry` is Roark's own word: true makes any failure passing, false makes a passing one refused. It
does not make a dead letter of a report when the fault is ours.

The facts: Roark's SDKs (roark_analytics 7.6) retry 408, 409, 429 and 5xx and obey `x-should-retry`; its error
body is `{"type", "code", "message"}`, with `parameter` and `details` in third-party descriptions.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec

from roark_worker.rate_headers import exhausted_for
from roark_worker.retry_after import retry_after_seconds

_OUR_FAULT = frozenset({401, 402, 403, 404, 405, 410})
_PASSING = frozenset({408, 425, 429})
_FOR_ALL_OF_US = frozenset({429, 503})
# "Already being processed" is a lock, and says nothing about how that will end.
_DUPLICATE = re.compile(
    rb"duplicate|already[\s_-]*(been[\s_-]*)?(imported|exist|uploaded|created|received|ingested)", re.IGNORECASE
)
_USABLE_ROARK_ID = re.compile(r"[\x21-\x7e]{1,64}")
# What a terminal would obey: the text comes from outside and is shown to people.
_CONTROL = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_MOST_MESSAGE = 300
_MOST_PARAMETER = 100
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What came back over HTTP: lower-case header names, and the body, or its first 64 kB where it is `cut`."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: bool = False

    def __repr__(self) -> str:
        """Name the status; a body may quote the report."""
        return f"Answer({self.status})"


class Delivered(msgspec.Struct, frozen=True, gc=False):
    """Roark has the report. `roark_call_id` is "" where Roark did not name it.

    `lane_pause` is how many seconds nobody should upload anything, as the answer's rate-limit headers say.
    """

    status: int
    roark_call_id: str = ""
    already_there: bool = False
    lane_pause: float = 0.0


@dataclass(frozen=True, slots=True)
class Passing:
    """The attempt failed for a reason that passes. `retry_after` in seconds, where Roark asked for it.

    A 429 or 503 that names a time means all of us, not this report: that is `lane_pause`, in seconds.
    """

    reason: str
    status: int = 0
    message: str = ""
    retry_after: float | None = None
    lane_pause: float = 0.0


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
    # Whatever type they have: an odd parameter must not hide the message.
    message: object = None
    code: object = None
    parameter: object = None


class _Data(msgspec.Struct):
    callId: str = ""  # noqa: N815 Roark's own spelling


class _SuccessBody(msgspec.Struct):
    data: _Data | None = None


# Made once: from a type alone msgspec makes its reader anew for each answer.
_objects = msgspec.json.Decoder(dict[str, msgspec.Raw])
_successes = msgspec.json.Decoder(_SuccessBody)


def judge(answer: Answer, now: datetime) -> Verdict:
    """Say what `answer` means for the report that was uploaded."""
    if 200 <= answer.status < 300:
        return _judge_success(answer, now)
    if answer.status == 409 and _DUPLICATE.search(answer.body):
        return Delivered(answer.status, _roark_call_id(answer.body), already_there=True)
    return _judge_failure(answer, now)


def _judge_success(answer: Answer, now: datetime) -> Verdict:
    roark_call_id = _roark_call_id(answer.body)
    if not roark_call_id and not _is_object(answer):
        return Passing("not_roark", answer.status, "the answer is not a JSON object: a proxy's page, not Roark's")
    return Delivered(answer.status, roark_call_id, lane_pause=exhausted_for(answer.headers, now))


def _is_object(answer: Answer) -> bool:
    if answer.cut:
        # Too long to be read whole: if Roark ever answers at such length, no report may die of it.
        return answer.body.lstrip(b" \t\r\n").startswith(b"{")
    try:
        _objects.decode(answer.body)
    except _UNREADABLE:
        return False
    return True


def _judge_failure(answer: Answer, now: datetime) -> Verdict:
    status, reason = answer.status, f"http_{answer.status}"
    message, parameter = _error(answer)
    wait = retry_after_seconds(answer.headers, now)
    word = answer.headers.get("x-should-retry")
    pause = max(exhausted_for(answer.headers, now), (wait or 0.0) if status in _FOR_ALL_OF_US else 0.0)
    if word == "true":
        return Passing(reason, status, message, wait, pause)
    if status in _OUR_FAULT or status < 400:
        return OurFault(reason, status, message)
    if (status in _PASSING or status == 409 or status >= 500) and word != "false":
        return Passing(reason, status, message, wait, pause)
    return Refused(reason, status, message, parameter)


def _error(answer: Answer) -> tuple[str, str]:
    try:
        error = msgspec.json.decode(answer.body, type=_ErrorBody)
    except _UNREADABLE:
        return "", ""
    message = _shown(error.message, _MOST_MESSAGE) or _shown(error.code, _MOST_MESSAGE)
    return message, _shown(error.parameter, _MOST_PARAMETER)


def _shown(text: object, most: int) -> str:
    return _CONTROL.sub(" ", text[: 2 * most]).strip()[:most] if isinstance(text, str) else ""


def _roark_call_id(body: bytes) -> str:
    try:
        data = _successes.decode(body).data
    except _UNREADABLE:
        return ""
    return data.callId if data and _USABLE_ROARK_ID.fullmatch(data.callId) else ""
