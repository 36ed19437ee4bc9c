"""What a reason's code means in plain words: fixed rules, no guessing. Pure.

An explanation says what happened, on whose side the cause is, whether a replay helps (yes; after what; no, until when),
and what to do next. The words stand in the table of reasons (`reasons.py`); the codes are those that a worker writes
into a record (`http_…`, exhausted, poison, …) and into the reason of a hold. A test walks every way of dying that
there is.
"""

import re
from dataclasses import dataclass, replace
from difflib import get_close_matches

from roark_ledger.ids import as_argument
from roark_ledger.lane_states import LaneState
from roark_worker.answers.reasons import OTHER, REASONS, Judged, Reason, Replay, Side, reason_of, status_of

__all__ = [
    "CatalogueEntry",
    "Explanation",
    "Replay",
    "Side",
    "catalogue",
    "explain",
    "explain_hold",
    "explain_shut",
    "is_known",
    "status_of",
]

_REPLAYS = {
    Replay.HELPS: "Replay once {}.",
    Replay.AFTER_MENDING: "Replay once {}.",
    Replay.USELESS: "A replay won't help until {}.",
    Replay.NEEDLESS: "No replay needed.",
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

    @property
    def cause_in_words(self) -> str:
        """Whose side the cause is on, and whether a replay helps where `todo` does not say it."""
        again = "" if self.replay_in_words in self.todo else f" {self.replay_in_words}"
        return f"Cause: {self.side.value}.{again}"


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """A line of the catalogue: what is explained (`dead letter`, `hold`, `lane`), by which codes, and how."""

    kind: str
    codes: str
    explanation: Explanation


_EDIT = "roark-ingest dlq edit {call}"
_SHOW = "roark-ingest dlq show {call}"
_STATUS, _DOCTOR = "roark-ingest status", "roark-ingest doctor"

ALONE = "alone"
"""Why no try is left of a report that was refused again and again while others passed."""
_OVER = {
    "attempts": "All planned attempts failed.",
    "age": "It is too old for another attempt, and every attempt failed.",
}
_LANES: dict[str, Explanation] = {
    LaneState.BREAKER_OPEN: Explanation(
        "Too many uploads in a row failed. Only a probe is sent from time to time.",
        Side.ROARK,
        Replay.NEEDLESS,
        "Reports stay ready until a probe succeeds.",
        _STATUS,
    ),
    LaneState.HALF_OPEN: Explanation(
        "Too many uploads in a row failed. A probe is due or under way.",
        Side.ROARK,
        Replay.NEEDLESS,
        "Reports stay ready until a probe succeeds.",
        _STATUS,
    ),
    LaneState.THROTTLED: Explanation(
        "Roark asked us to slow down.",
        Side.ROARK,
        Replay.NEEDLESS,
        "Reports stay ready. Uploads continue when Roark's wait time is over.",
        _STATUS,
    ),
}
_UNTIL_A_PROBE = "Reports stay ready. Uploads continue after the next successful probe."


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
    found = _explain(code, status, call_id)
    if over == ALONE:
        found = _alone(found, call_id, was_roark=not code.endswith("not_roark"))
    if code == "exhausted":
        what = _OVER.get(over, found.what)
        if not last or last == code:
            return replace(found, what=what)
        cause = _explain(last, status, call_id)
        return replace(cause, what=f"{what} The last one: {cause.what}")
    if parameter:
        names = f"It names the field {parameter}{f', {value}' if value else ''}."
        command = _EDIT.format(call=as_argument(call_id)) if found.side is Side.REPORT else found.command
        return replace(found, what=f"{found.what} {names}", command=command, field=parameter, value=value)
    return found


def _alone(found: Explanation, call_id: str, *, was_roark: bool) -> Explanation:
    if not was_roark:
        condition = "it lets this report pass"
        todo = (
            "Find out which proxy or firewall answered, and what it minds in this report. Have it let the report pass "
            "and replay it, or edit and replay it, or discard it."
        )
    elif found.side is Side.ROARK:
        condition = "Roark can process this report"
        todo = (
            "Roark fails on this report and wants no retry. Read its answer: edit what it names and replay the report, "
            "ask Roark and replay it later, or discard it."
        )
    else:
        condition = "Roark lets our token upload this report"
        todo = (
            "Read Roark's answer: does the assistant or the project belong to another account? Have Roark allow it "
            "and replay the report, or discard it."
        )
    return replace(
        found,
        what=f"{found.what} Other reports succeed with the same token and URL, so the cause is this report.",
        side=Side.REPORT,
        replay=Replay.AFTER_MENDING,
        condition=condition,
        todo=todo,
        command=_SHOW.format(call=as_argument(call_id)),
    )


def explain_hold(reason: str, by: str) -> Explanation:
    """Return why the lane is on hold. `reason` and `by` are the lane's; Roark's holds begin with a code."""
    if by == "roark":
        found = explain(reason.partition(" ")[0])
        if found.side is Side.ROARK:
            return replace(found, replay=Replay.NEEDLESS, condition="", todo=_UNTIL_A_PROBE, command=_DOCTOR)
        return replace(found, replay=Replay.NEEDLESS, condition="", todo=f"{found.todo} {_UNTIL_A_PROBE}")
    return Explanation(
        f"{by or 'Someone'} paused uploads{f': {reason}' if reason else ''}.",
        Side.PERSON,
        Replay.NEEDLESS,
        "Reports stay ready until someone resumes uploads.",
        "roark-ingest resume",
    )


def explain_shut(state: str, cause: str = "") -> Explanation | None:
    """Return why a lane that nobody holds lets little through, None where it is open.

    `cause` is the code that most uploads failed of: it says whose side an open breaker is on.
    """
    found = _LANES.get(state)
    if found is None or state == LaneState.THROTTLED or not cause:
        return found
    why = _explain(cause, status_of(cause), "CALL_ID")
    is_roarks = why.side is Side.ROARK
    return replace(
        found,
        what=f"{found.what} {why.what}",
        side=why.side,
        # Of the reports nothing is to be done; of the cause there may be.
        todo=" ".join(filter(None, (reason_of(cause).todo, found.todo if is_roarks else _UNTIL_A_PROBE))),
        command=found.command if is_roarks else _DOCTOR,
    )


def catalogue() -> list[CatalogueEntry]:
    """Return every explanation that there is of a dead letter, a hold, or a lane that is shut."""
    letters = [CatalogueEntry("dead letter", row.named, _told(row, _example_status(row), "CALL_ID")) for row in REASONS]
    letters.append(CatalogueEntry("dead letter", "(any other)", _told(OTHER, 0, "CALL_ID")))
    holds = [CatalogueEntry("hold", row.named, explain_hold(_example(row), "roark")) for row in _holding()]
    by_hand = CatalogueEntry("hold", "by a person", explain_hold("", ""))
    return [*letters, *holds, by_hand, *(CatalogueEntry("lane", state, found) for state, found in _LANES.items())]


def _holding() -> list[Reason]:
    return [row for row in REASONS if row.judged is Judged.OURS]


def _example(row: Reason) -> str:
    return row.codes[0].replace("xx", "00")


def _example_status(row: Reason) -> int:
    return status_of(_example(row))


def is_known(code: str) -> bool:
    """Say whether there is a row for `code`."""
    return reason_of(code) is not OTHER


def near(code: str) -> list[str]:
    """Return codes that somebody may have meant who typed this one."""
    codes = dict.fromkeys(each for row in REASONS for each in re.split(r",? +", row.named) if is_known(each))
    number = re.sub(r"\D", "", code)
    likely = [f"http_{number}"] if len(number) == 3 and is_known(f"http_{number}") else []
    return list(dict.fromkeys([*likely, *get_close_matches(code.lower(), codes, n=3)]))


def _explain(code: str, status: int, call_id: str) -> Explanation:
    row, named = reason_of(code), status_of(code)
    told = _told(row, named or status, call_id)
    if named and 200 <= status < 300 and named != status:
        return replace(told, what=f"{told.what} The error was inside an answer with status {status}.")
    return told


def _told(row: Reason, status: int, call_id: str) -> Explanation:
    # A call id comes from outside, and what is shown here is copied into shells.
    names = {"status": str(status or "an error"), "call": as_argument(call_id)}
    return Explanation(
        what=row.what.format(**names),
        side=row.side,
        replay=row.replay,
        todo=row.to_do,
        command=row.command.format(**names),
        condition=row.condition,
    )
