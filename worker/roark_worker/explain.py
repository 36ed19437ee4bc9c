"""What a reason's code means in plain words: fixed rules, no guessing. Pure.

Each rule says what happened, on whose side the cause is, whether a replay helps, and what to do next. The codes
are those that a worker writes into a record (`http_…`, exhausted, poison, …) and into the reason of a hold.
A test walks every code that a worker can produce and wants a rule for it.
"""

import re
import shlex
from dataclasses import dataclass
from enum import StrEnum


class Side(StrEnum):
    """Where the cause is."""

    REPORT = "this report"
    SETTINGS = "our settings"
    PIPELINE = "this pipeline"
    ROARK = "Roark"
    NETWORK = "the network"


class Replay(StrEnum):
    """What a replay is good for."""

    HELPS = "helps"
    AFTER_MENDING = "helps once the cause is mended"
    USELESS = "does not help"
    NEEDLESS = "is not needed"


@dataclass(frozen=True, slots=True)
class Explanation:
    """One reason in plain words. `todo` is a sentence, `command` what to type next."""

    what: str
    side: Side
    replay: Replay
    todo: str
    command: str


@dataclass(frozen=True, slots=True)
class _Rule:
    """`codes` is a pattern that fits whole codes. Texts may name {status} and {call}."""

    codes: str
    what: str
    side: Side
    replay: Replay
    todo: str
    command: str

    def told(self, status: int, call_id: str) -> Explanation:
        # A call id comes from outside, and what is shown here is copied into shells.
        names = {"status": str(status or "an error"), "call": shlex.quote(call_id)}
        return Explanation(self.what.format(**names), self.side, self.replay, self.todo, self.command.format(**names))


_SHOW, _REPLAY = "roark-ingest dlq show {call}", "roark-ingest dlq replay {call}"
_DOCTOR, _STATUS = "roark-ingest doctor", "roark-ingest status"

_RULES = (
    _Rule(
        "http_(400|422)",
        "Roark refused the report as invalid ({status}).",
        Side.REPORT,
        Replay.USELESS,
        "Read what Roark says about it. A newer report of the call takes this one's place by itself; if none comes, "
        "discard it.",
        _SHOW,
    ),
    _Rule(
        "http_413",
        "Roark refused the report because it is too large (413).",
        Side.REPORT,
        Replay.USELESS,
        "Ask Roark for a higher limit and replay then, or discard it.",
        _SHOW,
    ),
    _Rule(
        "http_415",
        "Something in front of Roark, or Roark itself, does not take JSON at this address (415).",
        Side.SETTINGS,
        Replay.AFTER_MENDING,
        "Check ROARK_BASE_URL and ROARK_INGEST_UPLOAD_PATH, then replay.",
        _DOCTOR,
    ),
    _Rule(
        "http_409",
        "Roark kept answering that it is busy with another upload of this call (409).",
        Side.ROARK,
        Replay.HELPS,
        "Wait some minutes, then replay: what Roark has already is not imported twice.",
        _REPLAY,
    ),
    _Rule(
        "http_401",
        "Roark does not know our token (401).",
        Side.SETTINGS,
        Replay.NEEDLESS,
        "Set ROARK_API_BEARER_TOKEN to a valid token and restart the worker (a token file is read again by itself). "
        "Reports stay ready, and the next good probe opens the lane.",
        _DOCTOR,
    ),
    _Rule(
        "http_402",
        "Roark wants to be paid: the account has no credits left (402).",
        Side.SETTINGS,
        Replay.NEEDLESS,
        "Top up the account at Roark. Reports stay ready, and the next good probe opens the lane.",
        _STATUS,
    ),
    _Rule(
        "http_403",
        "Our token may not upload calls (403).",
        Side.SETTINGS,
        Replay.NEEDLESS,
        "Give the token the right to do so at Roark, or check ROARK_PROJECT_ID. Reports stay ready, and the next good "
        "probe opens the lane.",
        _DOCTOR,
    ),
    _Rule(
        "http_(404|405|410)",
        "There is no upload at this address ({status}): it is not Roark's, or Roark took it away.",
        Side.SETTINGS,
        Replay.NEEDLESS,
        "Check ROARK_BASE_URL and ROARK_INGEST_UPLOAD_PATH. Reports stay ready, and the next good probe opens the "
        "lane.",
        _DOCTOR,
    ),
    _Rule(
        r"http_[123]\d\d",
        "The address redirects or answers in another way that an upload does not survive ({status}).",
        Side.SETTINGS,
        Replay.NEEDLESS,
        "Set ROARK_BASE_URL to the address itself (https, no redirect). Reports stay ready, and the next good probe "
        "opens the lane.",
        _DOCTOR,
    ),
    _Rule(
        "http_(425|429)",
        "Roark takes no more for the moment ({status}).",
        Side.ROARK,
        Replay.HELPS,
        "Replay when Roark takes uploads again.",
        _REPLAY,
    ),
    _Rule(
        r"http_408|http_5\d\d",
        "Roark failed ({status}).",
        Side.ROARK,
        Replay.HELPS,
        "Replay when Roark works again.",
        _REPLAY,
    ),
    _Rule(
        r"http_4\d\d",
        "Roark refused the report ({status}).",
        Side.REPORT,
        Replay.USELESS,
        "Read what Roark says about it. A newer report of the call takes this one's place by itself.",
        _SHOW,
    ),
    _Rule(
        "exhausted",
        "Every planned attempt failed.",
        Side.ROARK,
        Replay.HELPS,
        "Replay when uploads succeed again.",
        _REPLAY,
    ),
    _Rule(
        "poison",
        "Several workers in a row died, or lost Redis, while they had this report.",
        Side.PIPELINE,
        Replay.AFTER_MENDING,
        "Look in the workers' logs (out of memory? killed?), then replay.",
        _REPLAY,
    ),
    _Rule(
        "damaged|payload_lost",
        "What was stored of the report is gone or cannot be read any more.",
        Side.PIPELINE,
        Replay.USELESS,
        "Hand a newer report of the call in, which takes this one's place, or discard it.",
        _SHOW,
    ),
    _Rule(
        "not_roark",
        "Something that is not Roark answered: a success without JSON, such as a proxy's page.",
        Side.SETTINGS,
        Replay.AFTER_MENDING,
        "Check ROARK_BASE_URL and the proxy on the way, then replay.",
        _DOCTOR,
    ),
    _Rule(
        "timeout",
        "Roark did not answer in time.",
        Side.NETWORK,
        Replay.HELPS,
        "If it goes on, raise ROARK_INGEST_UPLOAD_SECONDS. Replay when uploads succeed again.",
        _REPLAY,
    ),
    _Rule(
        "connect",
        "No connection to Roark could be made.",
        Side.NETWORK,
        Replay.HELPS,
        "Check name resolution, firewall and proxy. Replay when Roark can be reached.",
        _REPLAY,
    ),
    _Rule(
        "network|transport",
        "The connection to Roark broke before an answer came.",
        Side.NETWORK,
        Replay.HELPS,
        "Replay when uploads succeed again.",
        _REPLAY,
    ),
)

_UNKNOWN = _Rule(
    ".*",
    "A reason that this version does not know.",
    Side.PIPELINE,
    Replay.AFTER_MENDING,
    "Look at the attempts and at the workers' logs.",
    _SHOW,
)


def explain(
    code: str, *, call_id: str = "CALL_ID", status: int = 0, last: str = "", parameter: str = ""
) -> Explanation:
    """Return what `code` means.

    `status` is the HTTP status of the last answer, 0 without one, and may be left out where the code names it.
    `last` is the code of the last attempt, which tells more where `code` says only that no try is left.
    `parameter` is the field that Roark named.
    """
    found = _explain(code, status or status_of(code), call_id)
    if code == "exhausted" and last and last != code:
        cause = _explain(last, status or status_of(last), call_id)
        what = f"{found.what} The last one: {cause.what}"
        return Explanation(what, cause.side, cause.replay, cause.todo, cause.command)
    if parameter:
        what = f"{found.what} It names the field {parameter}."
        return Explanation(what, found.side, found.replay, found.todo, found.command)
    return found


def explain_hold(reason: str, by: str) -> Explanation:
    """Return why the lane is on hold. `reason` and `by` are the lane's; Roark's holds begin with a code."""
    if by == "roark":
        return explain(reason.partition(" ")[0])
    return Explanation(
        f"{by or 'Somebody'} put the lane on hold{f': {reason}' if reason else ''}.",
        Side.PIPELINE,
        Replay.NEEDLESS,
        "Reports stay ready until somebody opens the lane.",
        "roark-ingest resume",
    )


def is_known(code: str) -> bool:
    """Say whether there is a rule for `code`."""
    return any(re.fullmatch(rule.codes, code) for rule in _RULES)


def status_of(code: str) -> int:
    """Return the HTTP status that a code names, 0 where it names none."""
    match = re.fullmatch(r"http_(\d{3})", code)
    return int(match[1]) if match else 0


def _explain(code: str, status: int, call_id: str) -> Explanation:
    for rule in _RULES:
        if re.fullmatch(rule.codes, code):
            return rule.told(status, call_id)
    return _UNKNOWN.told(status, call_id)
