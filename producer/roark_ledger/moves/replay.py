"""Replay jobs as values, and the operations on them: a frozen selection of dead letters that is sent bit by bit.

    job = ledger.run(open_job(most_open=32))
    ledger.run(select(job, [("call-1", died_ms)]))
    ledger.run(start(job, Plan(), delay_ms=5000, who=b'{"by":"ada"}', spec=b"{}"))
    ledger.run(step(...))                                  # what each worker's tick does
    ledger.run(change(job, "pause", by="ada", reason="", most=500))

The fields are listed in `_replays.lua`; the headers of the scripts say what each one guarantees.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, NewType

import msgspec

from roark_ledger.logs import masked_text
from roark_ledger.moves.operation import Argument, Operation
from roark_ledger.records.logbook import doer

JobNumber = NewType("JobNumber", int)
RAMP = (1, 5, 25, 100)
STOP_SHARE = 0.2


class JobState(StrEnum):
    """What a replay job is doing. `ended` has nothing left to do; a cancelled one may still wait for outcomes."""

    COLLECTING = "collecting"
    RUNNING = "running"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Plan:
    """How a job sends: the sizes of the first steps, reports per second (0: no rate), the share that stops it."""

    ramp: tuple[int, ...] = RAMP
    per_second: float = 0.0
    stop_share: float = STOP_SHARE


@dataclass(frozen=True, slots=True)
class FailedGroup:
    """Reports of a job that failed again for the same reason; ids and numbers in Roark's message are folded."""

    reason: str
    status: int
    message: str
    count: int


@dataclass(frozen=True, slots=True)
class Job:
    """A replay job at one moment. Times are Unix ms by Redis's clock, 0 for none.

    `unsent` letters are still to be sent, `outstanding` reports were sent and have no outcome yet, `retrying` of them
    wait for another try (counted up to 100). `left` are letters that went another way first, by the move that took
    them. `spec` is what its creator wanted to remember. `was_cancelled` tells how an ended job came to its end.
    """

    number: JobNumber
    state: JobState
    now_ms: int
    created_ms: int
    start_ms: int
    changed_ms: int
    ended_ms: int
    was_cancelled: bool
    stopped_itself: bool
    by: str
    reason: str
    plan: Plan
    step: int
    selected: int
    sent: int
    delivered: int
    already_there: int
    failed: int
    erased: int
    unsent: int
    outstanding: int
    retrying: int
    left: Mapping[str, int]
    failed_groups: tuple[FailedGroup, ...]
    spec: Mapping[str, Any] = field(default_factory=dict)

    @property
    def given_back(self) -> int:
        """Letters that stayed dead because the job was cancelled."""
        return max(0, self.selected - self.sent - self.unsent - sum(self.left.values())) if self.was_cancelled else 0


@dataclass(frozen=True, slots=True)
class Jobs:
    """The open jobs and a page of the ended ones, the youngest first; `ended` is how many of those there are."""

    ended: int
    jobs: tuple[Job, ...]


@dataclass(frozen=True, slots=True)
class Stepped:
    """What a step did: letters sent, and `(what, job, why)` for jobs that `stopped`, `ended` or were `forgotten`."""

    sent: int
    news: tuple[tuple[str, int, str], ...]


@dataclass(frozen=True, slots=True)
class Changed:
    """In which state a job was (or `ended`, `unknown`), and how many unsent letters are still to be given back."""

    was: str
    remaining: int


def open_job(*, most_open: int) -> Operation[JobNumber | None]:
    """Begin a job; None where so many are open already."""
    return Operation("replay_open", (most_open,), lambda reply: JobNumber(int(reply)) if reply else None)


def select(job: JobNumber, letters: Iterable[tuple[str, int]]) -> Operation[list[str]]:
    """Select letters by id and time of death; return `selected`, or why not, for each, nothing for a job that ended."""
    args: list[Argument] = [job]
    for call_id, died_ms in letters:
        args += (call_id, died_ms)
    return Operation("replay_select", tuple(args), lambda reply: [word.decode() for word in reply])


def start(job: JobNumber, plan: Plan, *, delay_ms: int, who: bytes, spec: bytes) -> Operation[bool]:
    """Let a job begin; False where it has no letters, or is not being made any more.

    `who` is a `logbook.doer`, for the logbook and the history of each report, `spec` is one line of JSON to remember.
    """
    gap_ms = 1000 / plan.per_second if plan.per_second else 0
    args = (job, delay_ms, " ".join(map(str, plan.ramp)), f"{gap_ms:.3f}", f"{plan.stop_share:g}", who, spec)
    return Operation("replay_start", args, bool)


def change(
    job: JobNumber, verb: Literal["pause", "resume", "cancel"], *, by: str, reason: str, most: int
) -> Operation[Changed]:
    """Pause, resume or cancel a job; `most` letters are given back at once by a cancel."""

    def parse(reply: list[Any]) -> Changed:
        return Changed(reply[0].decode(), int(reply[2]))

    by, reason = masked_text(by), masked_text(reason)
    return Operation("replay_change", (job, verb, by, reason, most, doer(by, reason, job=job)), parse)


def step(*, most: int, queue_most: int, patience_ms: int, silence_ms: int, keep_ms: int) -> Operation[Stepped]:
    """Take every job one step further."""

    def parse(reply: list[Any]) -> Stepped:
        return Stepped(int(reply[0]), tuple((what.decode(), int(job), why.decode()) for what, job, why in reply[1:]))

    return Operation("replay_step", (most, queue_most, patience_ms, silence_ms, keep_ms), parse)


def jobs(*, first: int = 0, most: int = 50) -> Operation[Jobs]:
    """The open jobs, and a page of the ended ones."""
    return Operation("replays", (0, first, most), _parse_jobs)


def job(number: JobNumber) -> Operation[Job | None]:
    """One job; None where there is none of that number, or it was removed."""
    return Operation("replays", (number, 0, 0), lambda reply: next(iter(_parse_jobs(reply).jobs), None))


def holders(call_ids: Iterable[str]) -> Operation[list[int]]:
    """The job that is to send each of these calls, 0 for none."""
    return Operation("replay_held", tuple(call_ids), lambda reply: [int(number) for number in reply])


def _parse_jobs(reply: list[Any]) -> Jobs:
    now, ended, *rows = reply
    return Jobs(int(ended), tuple(_parse_job(int(now), row) for row in rows))


def _parse_job(now_ms: int, row: list[Any]) -> Job:
    number, unsent, outstanding, retrying, text = row
    lines = text.decode(errors="replace").split("\n")
    fields = dict(zip(lines[::2], lines[1::2], strict=True))
    counts: Counter[str] = Counter({name: int(value) for name, value in fields.items() if value.isdigit()})
    gap_ms = float(fields.get("gap", 0))
    ended_ms = counts["ended"]
    return Job(
        number=JobNumber(int(number)),
        state=JobState.ENDED if ended_ms else JobState(fields["state"]),
        now_ms=now_ms,
        created_ms=counts["created"],
        start_ms=counts["start_at"],
        changed_ms=counts["changed"],
        ended_ms=ended_ms,
        was_cancelled=fields["state"] == JobState.CANCELLED,
        stopped_itself=fields.get("stopped") == "1",
        by=fields.get("by", ""),
        reason=fields.get("reason", ""),
        plan=Plan(
            ramp=tuple(map(int, fields.get("ramp", "").split())),
            per_second=round(1000 / gap_ms, 3) if gap_ms else 0.0,
            stop_share=float(fields.get("stop", STOP_SHARE)),
        ),
        step=counts["step"],
        selected=counts["selected"],
        sent=counts["sent"],
        delivered=counts["delivered"],
        already_there=counts["already_there"],
        failed=counts["failed"],
        erased=counts["erased"],
        unsent=int(unsent),
        outstanding=int(outstanding),
        retrying=int(retrying),
        left={name.removeprefix("left "): counts[name] for name in sorted(fields) if name.startswith("left ")},
        failed_groups=_groups(fields),
        spec=msgspec.json.decode(fields.get("spec", "{}"), type=dict[str, Any]),
    )


def _groups(fields: Mapping[str, str]) -> tuple[FailedGroup, ...]:
    found = []
    for name, value in fields.items():
        if name.startswith("group "):
            reason, status, message = name.removeprefix("group ").split(" ", 2)
            found.append(FailedGroup(reason, int(status), message.strip(), int(value)))
    return tuple(sorted(found, key=lambda group: (-group.count, group.reason, group.message)))
