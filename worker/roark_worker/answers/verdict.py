"""What an answer from Roark means. Pure: an answer goes in, a verdict comes out.

    2xx with a usable data.callId                delivered, confirmed: Roark named the call
    2xx with another JSON object                 delivered, unconfirmed: nothing proves that Roark has it
    2xx with an error inside                     judged by what it says; passing where it says nothing that is known
    2xx that is no JSON object                   passing: a proxy's page, not Roark
    409 that says that the call is there         delivered; confirmed where the call is named, too
    409 at POST /v1/call                         delivered, confirmed: it has our externalId, the call's own id
    anything else                                as the table of reasons says for its status (reasons.py)
    4xx that does not read like Roark's          we are wrong: something in front of Roark answered

`x-should-retry` is Roark's own word: true makes any failure passing. False ends a conflict over one call; with any
other failure that would pass it says nothing about the report, so it is judged as one that all reports would meet:
the lane is held when several do, and no outage makes dead letters.

The facts: Roark's SDKs (roark_analytics 7.6) retry 408, 409, 429 and 5xx and obey `x-should-retry`; its error
body is `{"type", "code", "message"}`, with `parameter` and `details` in third-party descriptions.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from roark_ledger.routes import BY_EXTERNAL_ID, Route
from roark_worker.answers.answer_words import UNREADABLE, Kind, Words, words_of
from roark_worker.answers.error_inside import error_inside, status_inside
from roark_worker.answers.rate_headers import exhausted_for
from roark_worker.answers.reasons import Judged, reason_of
from roark_worker.answers.retry_after import retry_after_seconds

_CONFLICT = 409
_ASKED_WRONGLY = range(400, 500)
_FOR_ALL_OF_US = frozenset({429, 503})
# "Already being processed" is a lock, and says nothing about how that will end.
_DUPLICATE = re.compile(
    r"duplicate|already[\s_-]*(been[\s_-]*)?(imported|exist|uploaded|created|received|ingested)", re.IGNORECASE
)
_LOCKED = re.compile(r"being processed|in progress|lock|try again|retry", re.IGNORECASE)
_USABLE_ROARK_ID = re.compile(r"[\x21-\x7e]{1,64}")


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
    """Roark answered that it took the report. `roark_call_id` is "" where it did not name the call: unconfirmed.

    `lane_pause` is how many seconds nobody should upload anything, as the answer's rate-limit headers say. The words
    are those of an answer that confirms nothing.
    """

    status: int
    roark_call_id: str = ""
    already_there: bool = False
    lane_pause: float = 0.0
    message: str = ""
    code: str = ""
    excerpt: str = ""

    @property
    def confirmed(self) -> bool:
        """Whether Roark named the call."""
        return bool(self.roark_call_id)


def _told() -> str:
    # What is only told of an answer makes no other verdict of it.
    text: str = field(default="", compare=False)
    return text


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
    code: str = _told()
    parameter: str = _told()
    excerpt: str = _told()


@dataclass(frozen=True, slots=True)
class Refused:
    """Roark will not take this report. `parameter` is the field that it names, where it does."""

    reason: str
    status: int = 0
    message: str = ""
    parameter: str = ""
    code: str = _told()
    excerpt: str = _told()


@dataclass(frozen=True, slots=True)
class OurFault:
    """Roark would answer every report like this: the token, the credits or the URL is wrong, or it wants no retry."""

    reason: str
    status: int
    message: str = ""
    code: str = _told()
    parameter: str = _told()
    excerpt: str = _told()


Verdict = Delivered | Passing | Refused | OurFault


class _Data(msgspec.Struct):
    callId: str = ""  # noqa: N815 Roark's own spelling
    id: str = ""


class _SuccessBody(msgspec.Struct):
    data: _Data | None = None


# Made once: from a type alone msgspec makes its reader anew for each answer.
_successes = msgspec.json.Decoder(_SuccessBody)


def judge(answer: Answer, now: datetime, route: Route = "vapi") -> Verdict:
    """Say what `answer` means for the report that was uploaded, by this way in."""
    if 200 <= answer.status < 300:
        return _judge_success(answer, now, route)
    words = words_of(answer.body, cut=answer.cut)
    if answer.status == _CONFLICT and route == "call" and _is_known_there(answer, words):
        named = _named_anywhere(words.value, 4) or BY_EXTERNAL_ID
        return Delivered(answer.status, named, True, exhausted_for(answer.headers, now))
    if answer.status == _CONFLICT and words.kind is Kind.OBJECT and _says_duplicate(words):
        return _already_there(answer, words, now)
    return _judge_failure(answer, words, now, answer.status)


def _is_known_there(answer: Answer, words: Words) -> bool:
    # 409 says that this externalId, which is the call's own id, exists; but a lock is one, too.
    is_roarks = words.kind is Kind.OBJECT and words.reads_like_roark
    return is_roarks and answer.headers.get("x-should-retry") != "true" and not _LOCKED.search(words.message)


def _judge_success(answer: Answer, now: datetime, route: Route) -> Verdict:
    roark_call_id = _roark_call_id(answer.body, route)
    if roark_call_id and not _may_contradict(answer.body):
        return Delivered(answer.status, roark_call_id, lane_pause=exhausted_for(answer.headers, now))
    return _judge_doubtful(answer, now, roark_call_id)


def _may_contradict(body: bytes) -> bool:
    # Nearly every answer: to read it whole would cost as much as all else that is done with it.
    return b"rror" in body or b"alse" in body or b"fail" in body or b"FAIL" in body or b"ERR" in body


def _judge_doubtful(answer: Answer, now: datetime, roark_call_id: str) -> Verdict:
    """Judge a success that names no call, or says that something failed as well."""
    words = words_of(answer.body, cut=answer.cut)
    value = words.value
    if words.kind is not Kind.OBJECT or isinstance(value, list):
        said = words.message or words.excerpt or "nothing"
        message = f"the answer is not a JSON object: a proxy's page, not Roark's. It says: {said}"[:300]
        return Passing("not_roark", answer.status, message, excerpt=words.excerpt)
    pause = exhausted_for(answer.headers, now)
    failed = error_inside(value) if isinstance(value, dict) else _error_in_cut(answer.body)
    if failed and not roark_call_id and not _says_duplicate(words):
        status = status_inside(value, words) if isinstance(value, dict) else 0
        if status:
            return _judge_failure(answer, words, now, status)
        return Passing(
            f"http_{answer.status}_error",
            answer.status,
            words.message or words.code,
            retry_after_seconds(answer.headers, now),
            pause,
            words.code,
            words.parameter,
            words.excerpt,
        )
    if roark_call_id and not failed:
        return Delivered(answer.status, roark_call_id, lane_pause=pause)
    if failed and roark_call_id:
        # It names the call and says that something failed: that proves neither, and nothing may be lost of it.
        return Delivered(answer.status, "", False, pause, words.message or words.code, words.code, words.excerpt)
    return _already_there(answer, words, now) if _says_duplicate(words) else _unconfirmed(answer, words, pause)


_CUT_ERROR = re.compile(rb'\s*\{\s*"errors?"\s*:\s*["{\[]')


def _error_in_cut(body: bytes) -> bool:
    return _CUT_ERROR.match(body) is not None


def _unconfirmed(answer: Answer, words: Words, pause: float) -> Delivered:
    return Delivered(answer.status, "", False, pause, words.message or words.code, words.code, words.excerpt)


def _says_duplicate(words: Words) -> bool:
    return _DUPLICATE.search(f"{words.code} {words.message}") is not None


def _already_there(answer: Answer, words: Words, now: datetime) -> Delivered:
    """Roark says that it has the call. Which one it means is certain only where it names it."""
    named = _named_anywhere(words.value, 4)
    said = ("", "", "") if named else (words.message or words.code, words.code, words.excerpt)
    return Delivered(answer.status, named, True, exhausted_for(answer.headers, now), *said)


def _named_anywhere(value: Any, depth: int) -> str:
    if not depth:
        return ""
    match value:
        case dict():
            named = value.get("callId")
            if isinstance(named, str) and _USABLE_ROARK_ID.fullmatch(named):
                return named
            return next(filter(None, (_named_anywhere(inner, depth - 1) for inner in value.values())), "")
        case list():
            return next(filter(None, (_named_anywhere(inner, depth - 1) for inner in value[:5])), "")
        case _:
            return ""


def _judge_failure(answer: Answer, words: Words, now: datetime, status: int) -> Verdict:
    """Judge by `status`, which is the answer's or stands inside a success."""
    reason = f"http_{status}"
    judged = reason_of(reason).judged
    wait = retry_after_seconds(answer.headers, now)
    word = answer.headers.get("x-should-retry")
    pause = max(exhausted_for(answer.headers, now), (wait or 0.0) if status in _FOR_ALL_OF_US else 0.0)
    if status in _ASKED_WRONGLY and _is_somebody_elses(judged, words):
        reason = f"{reason}_not_roark"
        judged = reason_of(reason).judged
    message = words.message or words.code
    if word == "true" or (judged in {Judged.PASSING, Judged.BUSY} and word != "false"):
        said = (words.code, words.parameter, words.excerpt)
        return Passing(reason, answer.status, message, wait, pause, *said)
    if judged in {Judged.OURS, Judged.PASSING}:
        return OurFault(reason, answer.status, message, words.code, words.parameter, words.excerpt)
    return Refused(reason, answer.status, message, words.parameter, words.code, words.excerpt)


def _is_somebody_elses(judged: Judged, words: Words) -> bool:
    # Roark's own 401 may be bare; a page never is Roark's.
    if judged is Judged.OURS:
        return words.kind is Kind.PAGE
    return judged is Judged.REFUSED and not words.reads_like_roark


def _roark_call_id(body: bytes, route: Route) -> str:
    try:
        data = _successes.decode(body).data
    except UNREADABLE:
        return ""
    named = (data.id or data.callId if route == "call" else data.callId) if data else ""
    return named if _USABLE_ROARK_ID.fullmatch(named) else ""
