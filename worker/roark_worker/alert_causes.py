"""What there is cause for an alert about, and how it is told: fixed rules over what the ledger says. Pure.

Each message has one line that says what it is, an explanation, and the command to type. It names no call and nobody;
what Roark or a person wrote is not repeated, but for a hold's reason, masked.
"""

from dataclasses import dataclass

from roark_producer.alerts import AlertKind, Facts, Message
from roark_producer.lifecycle import State
from roark_producer.records import Retention, Snapshot
from roark_worker.explain import explain
from roark_worker.lane_words import explain_way, main_cause


@dataclass(frozen=True, slots=True)
class AlertRules:
    """From when on something is worth an alert."""

    deaths: int
    lately_ms: int
    breaker_ms: int
    audio_ms: int


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
    }
    return {kind: message for kind, message in found.items() if message}


def _dead_letters(snapshot: Snapshot, facts: Facts) -> Message | None:
    if not (dead := snapshot.states[State.DEAD]):
        return None
    why = explain(facts.newest_reason)
    headline = "1 report is a dead letter." if dead == 1 else f"{dead} reports are dead letters."
    return Message(headline, f"The newest one: {why.what} {why.todo}", "roark-ingest dlq groups")


def _growing(facts: Facts, rules: AlertRules) -> Message | None:
    if facts.deaths < rules.deaths:
        return None
    why = explain(facts.newest_reason)
    return Message(
        f"{facts.deaths} reports became dead letters within {_span(rules.lately_ms)}.",
        f"The newest one: {why.what} If all died of the same, hold the lane until it is mended.",
        "roark-ingest dlq groups",
    )


def _lane_held(snapshot: Snapshot) -> Message | None:
    if snapshot.lane.state != "held":
        return None
    if (why := explain_way(snapshot.lane, snapshot.setup, examples=False)) is None:
        return None
    ready = snapshot.states[State.READY]
    headline = f"The lane is on hold: nothing is uploaded, {ready} ready."
    return Message(headline, f"{why.what} {why.todo}", why.command, main_cause(snapshot.lane))


def _breaker_open(snapshot: Snapshot, rules: AlertRules) -> Message | None:
    lane = snapshot.lane
    open_ms = snapshot.now_ms - lane.since_ms
    if lane.state not in {"breaker-open", "half-open"} or not lane.since_ms or open_ms < rules.breaker_ms:
        return None
    if (why := explain_way(lane, snapshot.setup, examples=False)) is None:
        return None
    return Message(
        f"Uploads to Roark have been failing for {_span(open_ms)}: the breaker is open.",
        f"{why.what} {why.todo} Reports are still taken in; {snapshot.states[State.READY]} are ready.",
        why.command,
        main_cause(lane),
    )


def _audio_ending(snapshot: Snapshot, facts: Facts, rules: AlertRules) -> Message | None:
    # Ready reports are perishable all the time; only where nothing is uploaded is that anybody's business.
    held_up = 0 if snapshot.lane.state in {"open", "throttled"} else facts.held_up
    if not facts.fading + held_up:
        return None
    return Message(
        f"The links to the audio of {facts.fading + held_up} reports end within {_span(rules.audio_ms)}.",
        f"{facts.fading} are dead letters, {held_up} wait for the lane to open. Delivered later, they may arrive "
        "without sound.",
        "roark-ingest dlq list" if facts.fading else "roark-ingest status",
    )


def _retention(snapshot: Snapshot) -> Message | None:
    expiring = [kept for kept in snapshot.retention if kept.expiring]
    if not expiring:
        return None
    told = "; ".join(_expiring(kept, snapshot.now_ms) for kept in expiring)
    rescue = "Replay, restore or export what is needed: what is removed cannot be brought back."
    discarded = all(kept.state is State.DISCARDED for kept in expiring)
    command = f"roark-ingest dlq list{' --discarded' if discarded else ''}"
    return Message(f"Reports will be removed because of their age: {told}.", rescue, command)


def _expiring(kept: Retention, now_ms: int) -> str:
    return f"{kept.expiring} {kept.state}, the first in {_span(max(0, kept.next_ms - now_ms))}"


def _audit_broken(snapshot: Snapshot) -> Message | None:
    audited = snapshot.audited
    if snapshot.balanced and (audited is None or audited.holds):
        return None
    broken, difference = (audited.broken, audited.difference) if audited else (0, 0)
    return Message(
        "The accounts do not hold: not every report is in exactly one place.",
        f"The last audit found {broken} broken calls and a difference of {difference}. --repair puts back what can be.",
        "roark-ingest audit",
    )


def _spool_in_use(snapshot: Snapshot, facts: Facts) -> Message | None:
    if not facts.spools:
        return None
    size = sum(note.bytes for note in facts.spools)
    oldest = min(note.since_ms for note in facts.spools)
    hosts = ", ".join(sorted({note.who.partition(":")[0] for note in facts.spools}))
    return Message(
        f"Reports wait in a webhook's spool on {hosts}: {max(1, size // 1000)} kB for "
        f"{_span(max(0, snapshot.now_ms - oldest))}.",
        "Redis could not take them. They are on that machine's disk, and are handed in by a webhook there.",
        "roark-ingest doctor",
    )


def _memory_short(snapshot: Snapshot) -> Message | None:
    if not snapshot.memory.short:
        return None
    return Message(
        "Redis's memory is almost full: no reports are taken in.",
        "Reports are spooled or refused (503). Give Redis more memory, or let the workers deliver.",
        "roark-ingest doctor",
    )


def _span(ms: int) -> str:
    for size, name in ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s")):
        if ms >= size:
            return f"{ms / size:.3g} {name}"
    return "less than a second"
