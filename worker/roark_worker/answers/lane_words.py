"""Why the lane is shut, in plain words, with the evidence: what was refused, or failed, and where, by which token.

    3 different reports were refused (http_403: 3), none delivered since 12:03:11 UTC, for
    example call-1, call-2. Token ...ab12 at https://api.roark.ai/v1/vapi/call. …

Pure: what the ledger knows goes in.
"""

from dataclasses import replace
from datetime import UTC, datetime

from roark_ledger.lane_states import LaneState
from roark_ledger.logs import masked_text
from roark_ledger.records.lane import Evidence, Lane
from roark_ledger.records.setup import Setup
from roark_worker.answers.explain import Explanation, explain_hold, explain_shut


def explain_way(lane: Lane, setup: Setup | None, *, examples: bool = True) -> Explanation | None:
    """Return why the lane lets nothing or little through, with the evidence; None where it is open.

    Without `examples` no call is named.
    """
    if not examples:
        lane = replace(lane, evidence=replace(lane.evidence, calls=()))
    if lane.state == LaneState.HELD:
        # What a proxy or a person wrote may name somebody.
        found = explain_hold(masked_text(lane.reason), masked_text(lane.by))
        told = paused_in_words(lane.evidence) if lane.by == "roark" else ""
    elif shut := explain_shut(lane.state, main_cause(lane)):
        found, told = shut, _failed_in_words(lane.evidence)
    else:
        return None
    where = where_in_words(setup) if told else ""
    return replace(found, what=" ".join(filter(None, (told, where, found.what))))


def main_cause(lane: Lane) -> str:
    """Return the code of what shuts the lane now, "" where nothing is known: another one is news."""
    if lane.state == LaneState.HELD:
        return lane.reason.partition(" ")[0] if lane.by == "roark" else "person"
    return next(iter(lane.evidence.reasons), "")


def paused_in_words(evidence: Evidence) -> str:
    """Return who was refused with what, "" where nothing is known of it."""
    if not evidence.reports:
        return ""
    what = "1 report was" if evidence.reports == 1 else f"{evidence.reports} different reports were"
    since = f"since {_clock(evidence.passed_ms)}" if evidence.passed_ms else "so far"
    return f"{what} refused ({_counts(evidence)}), none delivered {since}{_examples(evidence)}."


def where_in_words(setup: Setup | None) -> str:
    """Return where the workers upload to, and by which token; "" where they did not say."""
    if setup is None or not setup.url:
        return ""
    token = f"Token …{setup.token_ends}" if setup.token_ends else "The workers' token"
    return f"{token} at {setup.url}."


def _failed_in_words(evidence: Evidence) -> str:
    return f"Uploads failed ({_counts(evidence)}){_examples(evidence)}." if evidence.reasons else ""


def _counts(evidence: Evidence) -> str:
    return ", ".join(f"{reason}: {number}" for reason, number in evidence.reasons.items())


def _examples(evidence: Evidence) -> str:
    # Ids come from outside; whoever shows this on a terminal cleans it.
    return f", for example {', '.join(evidence.calls)}" if evidence.calls else ""


def _clock(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%H:%M:%S} UTC"
