"""What there is cause for an alert about, and how it is told: fixed rules over what the ledger says. Pure.

Each message has one line that says what it is, an explanation, and the command to type. It names no call and nobody;
what Roark or a person wrote is not repeated, but for a hold's reason, masked.
"""

from dataclasses import dataclass, replace

from roark_ledger.lane_states import BROKEN, FLOWING, LaneState
from roark_ledger.lifecycle import State
from roark_ledger.places import UNCONFIRMED
from roark_ledger.records.alerts import AlertKind, Facts, Message
from roark_ledger.records.promises import LOSS_TODO, UNREAD_TODO
from roark_ledger.records.snapshot import Retention, Snapshot
from roark_worker.answers.explain import explain
from roark_worker.answers.lane_words import explain_way, main_cause

_ENDED = "roark-ingest list --audio ended"
_LATE_SECONDS, _LONG_SECONDS = 120, 3600


@dataclass(frozen=True, slots=True)
class AlertRules:
    """From when on something is worth an alert."""

    deaths: int
    lately_ms: int
    breaker_ms: int
    audio_ms: int
    unnamed_share: float = 0.05


def causes(snapshot: Snapshot, facts: Facts, rules: AlertRules) -> dict[AlertKind, Message]:
    """Return what there is cause for at this moment."""
    found = {
        AlertKind.DEAD_LETTERS: _dead_letters(snapshot, facts),
        AlertKind.DEAD_LETTERS_GROWING: _growing(facts, rules),
        AlertKind.LANE_HELD: _lane_held(snapshot),
        AlertKind.BREAKER_OPEN: _breaker_open(snapshot, rules),
        AlertKind.AUDIO_ENDING: _audio_ending(snapshot, facts, rules),
        AlertKind.RETENTION: _retention(snapshot),
        AlertKind.AUDIT_BROKEN: _audit_broken(snapshot),
        AlertKind.SPOOL_IN_USE: _spool_in_use(snapshot, facts),
        AlertKind.MEMORY_SHORT: _memory_short(snapshot),
        AlertKind.UNCONFIRMED: _unconfirmed(snapshot, rules),
        AlertKind.REJECTED_FILLING: _rejected_filling(snapshot),
        AlertKind.FALLING_BEHIND: _falling_behind(snapshot, rules),
        AlertKind.CALLS_MISSING: _calls_missing(snapshot),
        AlertKind.RECONCILE_STALE: _reconcile_stale(snapshot),
        AlertKind.LEDGER_LOST: _ledger_lost(snapshot),
        AlertKind.SPOOL_UNREADABLE: _spool_unreadable(snapshot),
        AlertKind.RECEIPTS_MISSING: _receipts_missing(snapshot),
        AlertKind.PARTITION_AWAY: _partition_away(snapshot),
    }
    return {kind: message for kind, message in found.items() if message}


def _dead_letters(snapshot: Snapshot, facts: Facts) -> Message | None:
    if not (dead := snapshot.states[State.DEAD]):
        return None
    why = explain(facts.newest_reason)
    headline = "1 report is a dead letter." if dead == 1 else f"{dead} reports are dead letters."
    return Message(headline, f"Latest: {why.what} {why.todo}", "roark-ingest dlq groups")


def _growing(facts: Facts, rules: AlertRules) -> Message | None:
    if facts.deaths < rules.deaths:
        return None
    why = explain(facts.newest_reason)
    return Message(
        f"{facts.deaths} reports became dead letters within {_span(rules.lately_ms)}.",
        f"Latest: {why.what} If they all have the same cause, pause uploads (roark-ingest hold) until it is fixed.",
        "roark-ingest dlq groups",
    )


def _lane_held(snapshot: Snapshot) -> Message | None:
    if snapshot.lane.state != LaneState.HELD:
        return None
    if (why := explain_way(snapshot.lane, snapshot.setup, examples=False)) is None:
        return None
    ready = snapshot.states[State.READY]
    headline = f"Uploads are paused. Reports ready: {ready}."
    return Message(headline, f"{why.what} {why.todo}", why.command, main_cause(snapshot.lane))


def _breaker_open(snapshot: Snapshot, rules: AlertRules) -> Message | None:
    lane = snapshot.lane
    open_ms = snapshot.now_ms - lane.since_ms
    if lane.state not in BROKEN or not lane.since_ms or open_ms < rules.breaker_ms:
        return None
    if (why := explain_way(lane, snapshot.setup, examples=False)) is None:
        return None
    return Message(
        f"Uploads have been failing for {_span(open_ms)}: circuit breaker open.",
        f"{why.what} {why.todo} New reports are still accepted. Reports ready: {snapshot.states[State.READY]}.",
        why.command,
        main_cause(lane),
    )


def _audio_ending(snapshot: Snapshot, facts: Facts, rules: AlertRules) -> Message | None:
    # Ready reports are perishable all the time; only where nothing is uploaded is that anybody's business.
    held_up = 0 if snapshot.lane.state in FLOWING else facts.held_up
    soon, ended = facts.fading + held_up, snapshot.audio_ended
    if not soon + ended:
        return None
    # What has ended is not over: it is told until the reports are delivered or given up.
    lost = f"The audio links of {ended} reports have expired; they will arrive without audio." * bool(ended)
    if not soon:
        return Message(lost, "Vapi can make new links: fetch the calls there and queue them again.", _ENDED)
    return Message(
        f"The audio links of {soon} reports expire within {_span(rules.audio_ms)}.",
        f"{facts.fading} are dead letters, {held_up} are waiting because uploads are paused. Delivered later, they may "
        f"arrive without audio. {lost}".rstrip(),
        f"roark-ingest list --audio-ends-within {round(rules.audio_ms / 60_000) or 1}min",
    )


def _retention(snapshot: Snapshot) -> Message | None:
    expiring = [kept for kept in snapshot.retention if kept.expiring]
    if not expiring:
        return None
    told = "; ".join(_expiring(kept, snapshot.now_ms) for kept in expiring)
    rescue = "Replay, restore or export what you need. Removed reports cannot be restored."
    states = {kept.state for kept in expiring}
    command = "roark-ingest list --state unconfirmed" if states == {UNCONFIRMED} else "roark-ingest dlq list"
    if states == {State.DISCARDED}:
        command += " --discarded"
    return Message(f"Retention will remove reports soon: {told}.", rescue, command)


def _expiring(kept: Retention, now_ms: int) -> str:
    return f"{kept.expiring} {kept.state}, first in {_span(max(0, kept.next_ms - now_ms))}"


def _audit_broken(snapshot: Snapshot) -> Message | None:
    # What was promised and is missing has alerts of its own.
    accounts = replace(snapshot.accounts, promises=())
    if accounts.holds:
        return None
    return Message("Not all reports are accounted for.", accounts.in_words, accounts.command)


def _spool_in_use(snapshot: Snapshot, facts: Facts) -> Message | None:
    if not facts.spools:
        return None
    size = sum(note.bytes for note in facts.spools)
    oldest = min(note.since_ms for note in facts.spools)
    hosts = ", ".join(sorted({note.who.partition(":")[0] for note in facts.spools}))
    known = sorted({why for note in facts.spools if (why := snapshot.spooled_because.get(note.who))})
    return Message(
        f"Reports are waiting in a webhook's spool on {hosts}: {max(1, size // 1000)} kB for "
        f"{_span(max(0, snapshot.now_ms - oldest))}.",
        f"{'; '.join(known).rstrip('.') or 'Redis was unreachable or full'}. They are on that machine's disk until a "
        "webhook there can queue them.",
        "roark-ingest doctor",
    )


def _unconfirmed(snapshot: Snapshot, rules: AlertRules) -> Message | None:
    if not snapshot.unconfirmed or snapshot.unnamed_share < rules.unnamed_share:
        return None
    why = explain("unconfirmed")
    return Message(
        f"Roark did not name the call in {snapshot.unnamed_share:.0%} of the latest deliveries: "
        f"{snapshot.unconfirmed} unconfirmed.",
        f"{why.what} Their reports are kept. {why.todo}",
        "roark-ingest list --state unconfirmed",
    )


def _calls_missing(snapshot: Snapshot) -> Message | None:
    found = snapshot.reconciled
    if found is None or not found.missing:
        return None
    calls = "1 call" if found.missing == 1 else f"{found.missing} calls"
    return Message(
        f"{calls} ended at Vapi, but no report came.",
        "Without a backoffPlan Vapi sends each report once. Add --backfill to rebuild the reports from Vapi's list "
        "while Vapi still has the calls.",
        "roark-ingest reconcile --since 14d",
    )


def _reconcile_stale(snapshot: Snapshot) -> Message | None:
    found = snapshot.reconciled
    if found is None or not (late_ms := found.late_ms(snapshot.now_ms)):
        return None
    return Message(
        f"Vapi's list of calls has not been read for {_span(late_ms)}.",
        f"{why_incomplete(found.error)} Until it is read, missing reports go unnoticed.",
        "roark-ingest reconcile",
    )


def why_incomplete(error: str) -> str:
    """Return why the last comparison with Vapi did not read all, by the code that the worker kept."""
    return {
        "": "No worker has finished it.",
        "key": "Vapi rejected the key: set VAPI_API_KEY to the private key, and VAPI_BASE_URL to the right region.",
        "busy": "Vapi answers: too many requests.",
        "unreachable": "The workers can't reach Vapi.",
        "too_many": "Vapi has more calls of the same millisecond than it lists at once.",
        "odd_answer": "The server at VAPI_BASE_URL is not Vapi's API.",
    }.get(error, "Vapi answers with errors.")


def _memory_short(snapshot: Snapshot) -> Message | None:
    if not snapshot.memory.short:
        return None
    return Message(
        "Redis is almost out of memory, so no new reports are accepted.",
        "Webhooks spool reports to disk, or refuse them (503). Give Redis more memory, or wait for the workers.",
        "roark-ingest doctor",
    )


def _rejected_filling(snapshot: Snapshot) -> Message | None:
    if not snapshot.bin.filling:
        return None
    return Message(
        f"The rejected bin is {snapshot.bin.fill:.0%} full: {snapshot.rejected_kept} entries.",
        "Most entries came through the webhook and exist nowhere else. When full, the bin drops the oldest. Retry or "
        "discard entries, or raise ROARK_INGEST_REJECTED_MAX_BYTES.",
        "roark-ingest rejected list",
    )


def _falling_behind(snapshot: Snapshot, rules: AlertRules) -> Message | None:
    lane, late = snapshot.lane, snapshot.past_due_seconds
    coming = snapshot.forecast
    if (
        lane.state == LaneState.HELD
        or late < _LATE_SECONDS
        or (coming.seconds is not None and coming.seconds < _LONG_SECONDS)
    ):
        return None
    # A breaker that stays open has an alert of its own; one that opens again and again has none.
    if lane.state in BROKEN and late * 1000 < rules.breaker_ms + snapshot.now_ms - lane.since_ms:
        return None
    why = (
        f"the backlog will take {_span(round(coming.seconds * 1000))}" if coming.seconds is not None else coming.reason
    )
    return Message(
        f"Reports come in faster than they are delivered: the oldest is {_span(round(late * 1000))} late, "
        f"{snapshot.states[State.READY]} are ready.",
        f"At the current rate, {why}. Check whether Roark is slow or failing, whether the workers are running, and "
        "whether ROARK_INGEST_RATE or ROARK_INGEST_CONCURRENCY limits uploads.",
        "roark-ingest status",
    )


def _ledger_lost(snapshot: Snapshot) -> Message | None:
    if not snapshot.losses:
        return None
    told = " ".join(loss.words() for loss in snapshot.losses)
    return Message("Accepted reports are missing from Redis.", f"{told} {LOSS_TODO}", "roark-ingest audit")


def _spool_unreadable(snapshot: Snapshot) -> Message | None:
    if not snapshot.unread:
        return None
    told = " ".join(each.words() for each in snapshot.unread)
    headline = "A webhook's spool contains accepted reports that cannot be read."
    return Message(headline, f"{told} {UNREAD_TODO}", "roark-ingest repair spool")


def _receipts_missing(snapshot: Snapshot) -> Message | None:
    found = snapshot.receipts
    if found.are_missing:
        return Message(
            f"Roark does not show {found.unseen_share:.0%} of the latest deliveries that were looked up there.",
            "Roark accepted them more than ten minutes before. The command looks up each one; give Roark's support the "
            "call IDs that it lists.",
            "roark-ingest reconcile --since 24h --at-roark",
            "unseen",
        )
    if late_ms := found.late_ms(snapshot.now_ms):
        return Message(
            f"Deliveries have not been looked up at Roark for {_span(late_ms)}.",
            f"{why_unseen(found.error)} Until then, only Roark's answers to the uploads show that it has the calls.",
            "roark-ingest doctor",
            found.error or "late",
        )
    return None


def _partition_away(snapshot: Snapshot) -> Message | None:
    if not snapshot.away:
        return None
    told = snapshot.away_in_words
    return Message(
        f"{told[0].upper()}{told[1:]}: reports of their calls are not delivered.",
        "New ones wait in the webhooks' spools, outcomes of uploads in the workers; all other calls go on. Start the "
        "node of the cluster that has them, or its replica.",
        "roark-ingest doctor",
    )


def why_unseen(error: str) -> str:
    """Return why deliveries could not be looked up at Roark, by the code that the worker kept."""
    return {
        "": "No worker does it, or there are more than can be looked up.",
        "token": "Roark does not let the token read calls.",
        "busy": "Roark answers: too many requests.",
        "unreachable": "The workers can't reach Roark.",
        "odd_answer": "The answer is not that of Roark's API.",
    }.get(error, "Roark answers with errors.")


def _span(ms: int) -> str:
    for size, name in ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s")):
        if ms >= size:
            return f"{ms / size:.3g} {name}"
    return "less than a second"
