"""Moves of every worker's tick, so that nothing stays where it was left."""

from collections.abc import Iterable
from dataclasses import dataclass

from roark_ledger.flow import NO_LIMITS, FlowRules
from roark_ledger.ids import CallId
from roark_ledger.moves.operation import Operation, parse_words
from roark_ledger.records.accounts import Accounts
from roark_ledger.records.logbook import doer


@dataclass(frozen=True, slots=True)
class Reaped:
    """How many reports came back from workers that died, and the calls whose reports were taken for poison instead."""

    reclaimed: int
    poisoned: tuple[CallId, ...] = ()


def reap(*, most: int, deaths: int) -> Operation[Reaped]:
    """Take back reports whose lease ran out."""
    return Operation(
        "reap", (most, deaths), lambda reply: Reaped(reply[0], tuple(CallId(one.decode()) for one in reply[1:]))
    )


def promote(*, most: int) -> Operation[int]:
    """Make due reports ready; return how many."""
    return Operation("promote", (most,), int)


def forget(*, window_ms: int, most: int) -> Operation[int]:
    """Drop records of deliveries older than the window; return how many."""
    return Operation("forget", (window_ms, most), int)


def pulse(*, quiet_ms: int, rules: FlowRules = NO_LIMITS, plenty: int = 0) -> Operation[bool]:
    """Learn whether a wake-up should be published; `plenty` ready reports deserve one even while others claim."""
    return Operation("pulse", (quiet_ms, rules.text(), plenty), bool)


@dataclass(frozen=True, slots=True)
class Expired:
    """How many reports retention removed, and how many it announced; those go at `first_ms` at the earliest."""

    removed: int
    announced: int
    first_ms: int


def expire(*, state: str, window_ms: int, notice_ms: int, most: int) -> Operation[Expired]:
    """Remove what has been `dead` or `discarded` for longer than the window, and was announced a notice ago.

    Of what has been `unconfirmed` for so long the payload is dropped.
    """
    args = (state, window_ms, notice_ms, most, doer("retention", f"{state} for too long", window_ms=window_ms))
    return Operation("expire", args, lambda reply: Expired(*map(int, reply)))


def note_setup(facts: bytes, *, started: bool, most: int) -> Operation[bool]:
    """Keep how a worker is set up; return whether it is another set-up than the last one."""
    return Operation("note_setup", (facts, int(started), most), bool)


_CREW_PATIENCE_MS = 60_000


def note_crew(worker: str, facts: bytes) -> Operation[int]:
    """Keep how a worker that lives is set up; it says so again every few seconds."""
    return Operation("note_crew", (worker, facts, _CREW_PATIENCE_MS), int)


def mend(call_ids: Iterable[str]) -> Operation[list[str]]:
    """Put broken calls where their records say; return `mended` or `sound` for each."""
    return Operation("mend", tuple(call_ids), parse_words)


def audit_turn(*, who: str, every_ms: int, patience_ms: int) -> Operation[bool]:
    """Ask for the turn to audit the ledger, or keep it; return whether it is the caller's."""
    return Operation("audit_turn", (who, every_ms, patience_ms), bool)


def audit_done(found: Accounts, *, who: str = "") -> Operation[int]:
    """Keep what an audit found; `who` gives the turn back that it had."""
    miscounted = "\n".join(found.miscounted)
    args = (found.difference, found.broken, found.looked_at, found.took_ms, miscounted, who)
    return Operation("audit_done", args, int)
