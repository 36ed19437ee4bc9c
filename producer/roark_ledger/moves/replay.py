"""The operations on replay jobs: a frozen selection of dead letters that is sent bit by bit.

    job = ledger.run(open_job(most_open=32))
    ledger.run(select(job, [("call-1", died_ms)]))
    ledger.run(start(job, Plan(), delay_ms=5000, who=b'{"by":"ada"}', spec=b"{}"))
    ledger.run(step(...))                                  # what each worker's tick does
    ledger.run(change(job, "pause", by="ada", reason="", most=500))

The headers of the scripts say what each one guarantees. In a ledger of several partitions a job is made in each of
them, under one number, with its share of the rate and of the ramp's steps; all stop where one does.
"""

import math
from collections.abc import Generator, Iterable, Sequence
from typing import Any, Literal

from roark_ledger.logs import masked_text
from roark_ledger.moves.goes import HOME, Everywhere, First, as_far_as_all, as_it_is
from roark_ledger.moves.operation import Operation, for_calls, parse_words
from roark_ledger.records.logbook import doer
from roark_ledger.records.replays import (
    Changed,
    Job,
    JobNumber,
    Jobs,
    Plan,
    Stepped,
    all_jobs,
    changed_everywhere,
    parse_jobs,
    stepped_everywhere,
    told_once,
    whole_job,
)


def open_job(*, most_open: int) -> Operation[JobNumber | None]:
    """Begin a job; None where so many are open already."""

    def parse(reply: int) -> JobNumber | None:
        return JobNumber(reply) if reply else None

    def everywhere(number: int) -> Operation[JobNumber | None]:
        def join(opened: Sequence[JobNumber | None]) -> JobNumber | None:
            return JobNumber(number) if all(opened) else None

        return Operation("replay_open", (most_open, number), parse, Everywhere(join))

    return Operation("replay_open", (most_open, 0), parse, First(Operation("replay_number", (), int), everywhere, None))


def select(job: JobNumber, letters: Iterable[tuple[str, int]]) -> Operation[list[str]]:
    """Select letters by id and time of death; return `selected`, or why not, for each, nothing for a job that ended."""
    return for_calls("replay_select", (job,), letters, parse_words, as_far_as_all)


def start(job: JobNumber, plan: Plan, *, delay_ms: int, who: bytes, spec: bytes) -> Operation[bool]:
    """Let a job begin; False where it has no letters, or is not being made any more.

    `who` is a `logbook.doer`, for the logbook and the history of each report, `spec` is one line of JSON to remember.
    """

    def at(_: int, share: int) -> Operation[bool]:
        ramp = " ".join(str(math.ceil(size / share)) for size in plan.ramp)
        gap_ms = 1000 / plan.per_second * share if plan.per_second else 0
        args = (job, delay_ms, ramp, f"{gap_ms:.3f}", f"{plan.stop_share:g}", who, spec)
        return Operation("replay_start", args, bool, Everywhere(any, instead=at))

    return at(HOME, 1)


def change(
    job: JobNumber, verb: Literal["pause", "resume", "cancel"], *, by: str, reason: str, most: int
) -> Operation[Changed]:
    """Pause, resume or cancel a job; `most` letters are given back at once by a cancel."""

    def parse(reply: list[Any]) -> Changed:
        return Changed(reply[0].decode(), int(reply[2]))

    by, reason = masked_text(by), masked_text(reason)
    args = (job, verb, by, reason, most, doer(by, reason, job=job))
    return Operation("replay_change", args, parse, Everywhere(changed_everywhere))


def step(*, most: int, queue_most: int, patience_ms: int, silence_ms: int, keep_ms: int) -> Operation[Stepped]:
    """Take every job one step further."""

    def parse(reply: list[Any]) -> Stepped:
        return Stepped(int(reply[0]), tuple((what.decode(), int(job), why.decode()) for what, job, why in reply[1:]))

    def at(_: int, share: int) -> Operation[Stepped]:
        args = (math.ceil(most / share), math.ceil(queue_most / share), patience_ms, silence_ms, keep_ms)
        goes = Everywhere(stepped_everywhere, instead=at, then=follow, without=as_it_is)
        return Operation("replay_step", args, parse, goes)

    def follow(stepped: Stepped) -> Generator[Operation[Any], Any, Stepped]:
        for what, stopped, why in stepped.news:
            if what == "stopped":
                yield change(JobNumber(stopped), "pause", by="roark-ingest", reason=why, most=0)
        if not stepped.news:
            return stepped
        found: Jobs = yield jobs(most=0)
        return told_once(stepped, [each.number for each in found.jobs])

    return at(HOME, 1)


def jobs(*, first: int = 0, most: int = 50) -> Operation[Jobs]:
    """The open jobs, and a page of the ended ones."""
    whole = Operation("replays", (0, 0, first + most), parse_jobs)
    # The home has those that ended before there were partitions.
    goes = Everywhere(lambda found: all_jobs(found, first, most), instead=lambda *_: whole, home_too=True)
    return Operation("replays", (0, first, most), parse_jobs, goes)


def job(number: JobNumber) -> Operation[Job | None]:
    """One job; None where there is none of that number, or it was removed."""

    def parse(reply: list[Any]) -> Job | None:
        return next(iter(parse_jobs(reply).jobs), None)

    return Operation("replays", (number, 0, 0), parse, Everywhere(whole_job, home_too=True))


def holders(call_ids: Iterable[str]) -> Operation[list[int]]:
    """The job that is to send each of these calls, 0 for none."""
    return for_calls("replay_held", (), ((each,) for each in call_ids), lambda reply: [int(number) for number in reply])
