"""Moves of every worker's tick, so that nothing stays where it was left."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from roark_ledger.flow import NO_LIMITS, FlowRules
from roark_ledger.ids import CallId
from roark_ledger.moves.goes import Everywhere, First, as_it_is
from roark_ledger.moves.lane import passes
from roark_ledger.moves.operation import Operation, for_calls, parse_words
from roark_ledger.records.accounts import Accounts
from roark_ledger.records.logbook import doer


@dataclass(frozen=True, slots=True)
class Reaped:
    """How many reports came back from workers that died, and the calls whose reports were taken for poison instead."""

    reclaimed: int
    poisoned: tuple[CallId, ...] = ()


def reap(*, most: int, deaths: int) -> Operation[Reaped]:
    """Take back reports whose lease ran out."""

    def parse(reply: list[Any]) -> Reaped:
        return Reaped(reply[0], tuple(CallId(one.decode()) for one in reply[1:]))

    def join(answers: Sequence[Reaped]) -> Reaped:
        poisoned = tuple(call_id for answer in answers for call_id in answer.poisoned)
        return Reaped(sum(answer.reclaimed for answer in answers), poisoned)

    return Operation("reap", (most, deaths), parse, Everywhere(join, without=as_it_is))


def promote(*, most: int) -> Operation[int]:
    """Make due reports ready; return how many."""
    return Operation("promote", (most,), int, Everywhere(sum, without=as_it_is))


def forget(*, window_ms: int, most: int) -> Operation[int]:
    """Drop records of deliveries older than the window; return how many."""
    return Operation("forget", (window_ms, most), int, Everywhere(sum, without=as_it_is))


def pulse(*, quiet_ms: int, rules: FlowRules = NO_LIMITS, plenty: int = 0) -> Operation[bool]:
    """Learn whether a wake-up should be published; `plenty` ready reports deserve one even while others claim."""

    def at_partitions(may_pass: bool) -> Operation[bool] | None:
        parts = Operation("pulse", (quiet_ms, NO_LIMITS.text(), plenty), bool, Everywhere(any, without=as_it_is))
        return parts if may_pass else None

    goes = First(passes(rules=rules), at_partitions, otherwise=False)
    return Operation("pulse", (quiet_ms, rules.text(), plenty), bool, goes)


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

    def join(answers: Sequence[Expired]) -> Expired:
        firsts = [answer.first_ms for answer in answers if answer.first_ms]
        removed, announced = (
            sum(amounts) for amounts in zip(*((a.removed, a.announced) for a in answers), strict=True)
        )
        return Expired(removed, announced, min(firsts, default=0))

    return Operation("expire", args, lambda reply: Expired(*map(int, reply)), Everywhere(join, without=as_it_is))


def note_setup(facts: bytes, *, started: bool, most: int) -> Operation[bool]:
    """Keep how a worker is set up; return whether it is another set-up than the last one."""
    return Operation("note_setup", (facts, int(started), most), bool)


_CREW_PATIENCE_MS = 60_000


def note_crew(worker: str, facts: bytes) -> Operation[int]:
    """Keep how a worker that lives is set up; it says so again every few seconds."""
    return Operation("note_crew", (worker, facts, _CREW_PATIENCE_MS), int)


def mend(call_ids: Iterable[str]) -> Operation[list[str]]:
    """Put broken calls where their records say; return `mended` or `sound` for each."""
    return for_calls("mend", (), ((each,) for each in call_ids), parse_words)


def audit_turn(*, who: str, every_ms: int, patience_ms: int) -> Operation[bool]:
    """Ask for the turn to audit the ledger, or keep it; return whether it is the caller's."""
    return Operation("audit_turn", (who, every_ms, patience_ms), bool)


def audit_done(found: Accounts, *, who: str = "") -> Operation[int]:
    """Keep what an audit found; `who` gives the turn back that it had."""
    miscounted = "\n".join(found.miscounted)
    args = (found.difference, found.broken, found.looked_at, found.took_ms, miscounted, who)
    return Operation("audit_done", args, int)
