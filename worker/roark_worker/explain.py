"""What a reason's code means in plain words: fixed rules, no guessing. Pure.

Each rule says what happened, on whose side the cause is, whether a replay helps (yes; after what; no, until when), and
what to do next. The codes are those that a worker writes into a record (`http_…`, exhausted, poison, …) and into the
reason of a hold. A test walks every way of dying that there is, and wants a complete explanation of each.
"""

import re
import shlex
from dataclasses import dataclass, replace
from enum import StrEnum


class Side(StrEnum):
    """Where the cause is."""

    REPORT = "this report"
    SETTINGS = "our settings"
    PIPELINE = "this pipeline"
    ROARK = "Roark"
    NETWORK = "the network"
    VAPI = "Vapi, or whoever sent it"
    PERSON = "a person"


class Replay(StrEnum):
    """Whether a replay helps; `Explanation.condition` says after what, or until when not."""

    HELPS = "yes"
    AFTER_MENDING = "after"
    USELESS = "no"
    NEEDLESS = "not needed"


_REPLAYS = {
    Replay.HELPS: "A replay helps, as soon as {}.",
    Replay.AFTER_MENDING: "A replay helps after {}.",
    Replay.USELESS: "A replay does not help until {}.",
    Replay.NEEDLESS: "No replay is needed.",
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """One reason in plain words.

    `condition` says after what a replay helps, or until when it does not. `todo` is a sentence, `command` what to type
    next. `field` is the place that Roark named, `value` what stands there where that may be shown, else "".
    """

    what: str
    side: Side
    replay: Replay
    todo: str
    command: str
    condition: str = ""
    field: str = ""
    value: str = ""

    @property
    def replay_in_words(self) -> str:
        """Whether a replay helps, as a sentence."""
        return _REPLAYS[self.replay].format(self.condition)


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the catalogue: what is explained (`dead letter`, `hold`, `lane`), by which codes, and how."""

    kind: str
    codes: str
    explanation: Explanation


@dataclass(frozen=True, slots=True)
class _Rule:
    """`codes` is a pattern that fits whole codes, `named` what people call them. Texts may name {status} and {call}."""

    codes: str
    what: str
    side: Side
    replay: Replay
    condition: str
    todo: str
    command: str
    named: str = ""

    def told(self, status: int, call_id: str) -> Explanation:
        # A call id comes from outside, and what is shown here is copied into shells.
        names = {"status": str(status or "an error"), "call": shlex.quote(call_id)}
        return Explanation(
            what=self.what.format(**names),
            side=self.side,
            replay=self.replay,
            todo=self.todo,
            command=self.command.format(**names),
            condition=self.condition,
        )


_SHOW, _REPLAY = "roark-ingest dlq show {call}", "roark-ingest dlq replay {call}"
_EDIT = "roark-ingest dlq edit {call}"
_DOCTOR, _STATUS = "roark-ingest doctor", "roark-ingest status"

# Causes that are true for every report. They hold the lane; a single report dies of one only where Roark said that
# trying again would help, and it never did.
_OURS = (
    _Rule(
        "http_401",
        "Roark does not know our token (401).",
        Side.SETTINGS,
        Replay.AFTER_MENDING,
        "the token is valid again",
        "Set ROARK_API_BEARER_TOKEN to a valid token and restart the worker (a token file is read again by itself).",
        _DOCTOR,
    ),
    _Rule(
        "http_402",
        "Roark wants to be paid: the account has no credits left (402).",
        Side.SETTINGS,
        Replay.AFTER_MENDING,
        "the account has credits again",
        "Top up the account at Roark.",
        _STATUS,
    ),
    _Rule(
        "http_403",
        "Our token may not upload calls (403).",
        Side.SETTINGS,
        Replay.AFTER_MENDING,
        "the token has the right to upload",
        "Give the token the right to do so at Roark, or check ROARK_PROJECT_ID.",
        _DOCTOR,
    ),
    _Rule(
        "http_(404|405|410)",
        "There is no upload at this address ({status}): it is not Roark's, or Roark took it away.",
        Side.SETTINGS,
        Replay.AFTER_MENDING,
        "the address is right",
        "Check ROARK_BASE_URL and ROARK_INGEST_UPLOAD_PATH.",
        _DOCTOR,
        named="http_404, http_405, http_410",
    ),
    _Rule(
        r"http_[123]\d\d",
        "The address redirects or answers in another way that an upload does not survive ({status}).",
        Side.SETTINGS,
        Replay.AFTER_MENDING,
        "the address is right",
        "Set ROARK_BASE_URL to the address itself (https, no redirect).",
        _DOCTOR,
        named="http_1xx, http_3xx",
    ),
)

_RULES = (
    _Rule(
        "http_(400|422)",
        "Roark refused the report as invalid ({status}).",
        Side.REPORT,
        Replay.USELESS,
        "the report is mended (`dlq edit`), Roark takes such reports, or a newer report of the call takes its place",
        "Read what Roark says about it, and mend the field; a newer report of the call takes its place by itself. If "
        "nothing can be mended, discard it.",
        _SHOW,
        named="http_400, http_422",
    ),
    _Rule(
        "http_413",
        "Roark refused the report because it is too large (413).",
        Side.REPORT,
        Replay.USELESS,
        "Roark allows larger reports, or what makes it large is taken out (`dlq edit`)",
        "Ask Roark for a higher limit, or take out what makes it large.",
        _EDIT,
    ),
    _Rule(
        "http_415",
        "Something in front of Roark, or Roark itself, does not take JSON at this address (415).",
        Side.SETTINGS,
        Replay.AFTER_MENDING,
        "the address is right",
        "Check ROARK_BASE_URL and ROARK_INGEST_UPLOAD_PATH.",
        _DOCTOR,
    ),
    _Rule(
        "http_409",
        "Roark kept answering that it is busy with another upload of this call (409).",
        Side.ROARK,
        Replay.HELPS,
        "Roark is done with the other upload; some minutes are enough",
        "Wait some minutes, then replay: what Roark has already is not imported twice.",
        _REPLAY,
    ),
    *_OURS,
    _Rule(
        "http_(425|429)",
        "Roark takes no more for the moment ({status}).",
        Side.ROARK,
        Replay.HELPS,
        "Roark takes uploads again",
        "Replay when Roark takes uploads again.",
        _REPLAY,
        named="http_425, http_429",
    ),
    _Rule(
        r"http_408|http_5\d\d",
        "Roark failed ({status}).",
        Side.ROARK,
        Replay.HELPS,
        "Roark works again",
        "Replay when Roark works again.",
        _REPLAY,
        named="http_408, http_5xx",
    ),
    _Rule(
        r"http_4\d\d",
        "Roark refused the report ({status}).",
        Side.REPORT,
        Replay.USELESS,
        "the report is mended (`dlq edit`), Roark takes such reports, or a newer report of the call takes its place",
        "Read what Roark says about it. A newer report of the call takes this one's place by itself.",
        _SHOW,
        named="http_4xx (any other)",
    ),
    _Rule(
        "exhausted",
        "Every planned attempt failed.",
        Side.ROARK,
        Replay.HELPS,
        "uploads succeed again",
        "Replay when uploads succeed again.",
        _REPLAY,
    ),
    _Rule(
        "poison",
        "Several workers in a row died, or lost Redis, while they had this report.",
        Side.PIPELINE,
        Replay.AFTER_MENDING,
        "it is known why the workers died",
        "Look in the workers' logs (out of memory? killed?), then replay it alone.",
        _REPLAY,
    ),
    _Rule(
        "damaged|payload_lost",
        "What was stored of the report is gone or cannot be read any more.",
        Side.PIPELINE,
        Replay.USELESS,
        "a newer report of the call takes its place",
        "Hand a newer report of the call in, which takes this one's place, or discard it.",
        _SHOW,
        named="damaged, payload_lost",
    ),
    _Rule(
        "not_roark",
        "Something that is not Roark answered: a success without JSON, such as a proxy's page.",
        Side.SETTINGS,
        Replay.AFTER_MENDING,
        "Roark itself answers",
        "Check ROARK_BASE_URL and the proxy on the way.",
        _DOCTOR,
    ),
    _Rule(
        "timeout",
        "Roark did not answer in time.",
        Side.NETWORK,
        Replay.HELPS,
        "uploads succeed again",
        "If it goes on, raise ROARK_INGEST_UPLOAD_SECONDS. Replay when uploads succeed again.",
        _REPLAY,
    ),
    _Rule(
        "connect",
        "No connection to Roark could be made.",
        Side.NETWORK,
        Replay.HELPS,
        "Roark can be reached",
        "Check name resolution, firewall and proxy. Replay when Roark can be reached.",
        _REPLAY,
    ),
    _Rule(
        "network|transport",
        "The connection to Roark broke before an answer came.",
        Side.NETWORK,
        Replay.HELPS,
        "uploads succeed again",
        "Replay when uploads succeed again.",
        _REPLAY,
        named="network, transport",
    ),
)

_UNKNOWN = _Rule(
    ".*",
    "A reason that this version does not know.",
    Side.PIPELINE,
    Replay.AFTER_MENDING,
    "somebody has looked at it",
    "Look at the attempts and at the workers' logs.",
    _SHOW,
    named="(any other)",
)

ALONE = "alone"
"""Why no try is left of a report that was refused again and again while others passed."""
_OVER = {
    "attempts": "All the attempts that are planned failed.",
    "age": "It is older than attempts are made for, and every one failed.",
}
_LANES = {
    "breaker-open": Explanation(
        "Too many uploads in a row failed, so that only a probe is sent now and then.",
        Side.ROARK,
        Replay.NEEDLESS,
        "Reports stay ready until a probe finds Roark working again.",
        _STATUS,
    ),
    "half-open": Explanation(
        "Too many uploads in a row failed; a probe is due, or under way.",
        Side.ROARK,
        Replay.NEEDLESS,
        "Reports stay ready until a probe finds Roark working again.",
        _STATUS,
    ),
    "throttled": Explanation(
        "Roark asked us to slow down.",
        Side.ROARK,
        Replay.NEEDLESS,
        "Reports stay ready, and go on when the time that Roark named is over.",
        _STATUS,
    ),
}
_WHILE_HELD = "Reports stay ready, and the next good probe opens the lane."


def explain(
    code: str,
    *,
    call_id: str = "CALL_ID",
    status: int = 0,
    last: str = "",
    parameter: str = "",
    value: str = "",
    over: str = "",
) -> Explanation:
    """Return what `code` means.

    `status` is the HTTP status of the last answer, 0 without one, and may be left out where the code names it.
    `last` is the code of the last attempt, which tells more where `code` says only that no try is left, and `over` is
    why none is: `attempts`, `age` or `alone`. `parameter` is the field that Roark named, `value` what stands there, in
    words that may be shown.
    """
    found = _explain(code, status or status_of(code), call_id)
    if over == ALONE:
        found = _alone(found, call_id)
    if code == "exhausted":
        what = _OVER.get(over, found.what)
        if not last or last == code:
            return replace(found, what=what)
        cause = _explain(last, status or status_of(last), call_id)
        return replace(cause, what=f"{what} The last one: {cause.what}")
    if parameter:
        names = f"It names the field {parameter}{f', {value}' if value else ''}."
        command = _EDIT.format(call=shlex.quote(call_id)) if found.side is Side.REPORT else found.command
        return replace(found, what=f"{found.what} {names}", command=command, field=parameter, value=value)
    return found


def _alone(found: Explanation, call_id: str) -> Explanation:
    return replace(
        found,
        what=f"{found.what} Others pass with the same token, at the same address: it is about this report.",
        side=Side.REPORT,
        replay=Replay.USELESS,
        condition="it is known what Roark has against it",
        todo="Read what Roark says about it: does its assistant, or its project, belong to another account?",
        command=_SHOW.format(call=shlex.quote(call_id)),
    )


def explain_hold(reason: str, by: str) -> Explanation:
    """Return why the lane is on hold. `reason` and `by` are the lane's; Roark's holds begin with a code."""
    if by == "roark":
        found = explain(reason.partition(" ")[0])
        return replace(found, replay=Replay.NEEDLESS, condition="", todo=f"{found.todo} {_WHILE_HELD}")
    return Explanation(
        f"{by or 'Somebody'} put the lane on hold{f': {reason}' if reason else ''}.",
        Side.PERSON,
        Replay.NEEDLESS,
        "Reports stay ready until somebody opens the lane.",
        "roark-ingest resume",
    )


def explain_lane(state: str, reason: str, by: str) -> Explanation | None:
    """Return why the lane lets nothing or little through, None where it is open. The arguments are the lane's."""
    return explain_hold(reason, by) if state == "held" else _LANES.get(state)


def catalogue() -> list[Entry]:
    """Return every explanation that there is of a dead letter, a hold, or a lane that is shut."""
    letters = [
        Entry("dead letter", rule.named or rule.codes, rule.told(_example_status(rule), "CALL_ID"))
        for rule in (*_RULES, _UNKNOWN)
    ]
    holds = [
        Entry("hold", rule.named or rule.codes, explain_hold(f"http_{_example_status(rule)}", "roark"))
        for rule in _OURS
    ]
    by_hand = Entry("hold", "by a person", explain_hold("", ""))
    return [*letters, *holds, by_hand, *(Entry("lane", state, found) for state, found in _LANES.items())]


def _example_status(rule: _Rule) -> int:
    # The first status that fits stands for all of them.
    return next((status for status in range(100, 600) if re.fullmatch(rule.codes, f"http_{status}")), 0)


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
