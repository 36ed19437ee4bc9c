"""Replay jobs as values, and one job from its parts in several partitions. The fields are listed in `_replays.lua`."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, NewType

import msgspec

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


def parse_jobs(reply: list[Any]) -> Jobs:
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
    return _in_order(found)


def _in_order(groups: Iterable[FailedGroup]) -> tuple[FailedGroup, ...]:
    return tuple(sorted(groups, key=lambda group: (-group.count, group.reason, group.message)))


def whole_job(parts: Sequence[Job | None]) -> Job | None:
    """Return a job from what each partition has of it; None where none has."""
    found = [part for part in parts if part]
    if not found:
        return None
    alive = [part for part in found if part.state is not JobState.ENDED]
    told = next((part for part in alive or found if part.spec), found[0])
    started = [part for part in found if part.plan.ramp]
    counted = (
        "selected",
        "sent",
        "delivered",
        "already_there",
        "failed",
        "erased",
        "unsent",
        "outstanding",
        "retrying",
    )
    return replace(
        told,
        state=alive[0].state if alive else JobState.ENDED,
        ended_ms=0 if alive else max(part.ended_ms for part in found),
        was_cancelled=any(part.was_cancelled for part in found),
        stopped_itself=any(part.stopped_itself for part in found),
        plan=_whole_plan([part.plan for part in started]) if started else told.plan,
        step=min(part.step for part in alive or found),
        left=dict(sum((Counter(part.left) for part in found), Counter())),
        failed_groups=_whole_groups([group for part in found for group in part.failed_groups]),
        **{name: sum(getattr(part, name) for part in found) for name in counted},
    )


def _whole_plan(plans: Sequence[Plan]) -> Plan:
    ramp = tuple(sum(sizes) for sizes in zip(*(plan.ramp for plan in plans), strict=False))
    return Plan(ramp, round(sum(plan.per_second for plan in plans), 3), plans[0].stop_share)


def _whole_groups(groups: Sequence[FailedGroup]) -> tuple[FailedGroup, ...]:
    counts: Counter[tuple[str, int, str]] = Counter()
    for group in groups:
        counts[group.reason, group.status, group.message] += group.count
    return _in_order(FailedGroup(*kind, count) for kind, count in counts.items())


def all_jobs(found: Sequence[Jobs], first: int, most: int) -> Jobs:
    """Return the open jobs and a page of the ended ones, from the first ones of each partition."""
    numbers = sorted({job.number for jobs in found for job in jobs.jobs}, reverse=True)
    by_number = [{job.number: job for job in jobs.jobs} for jobs in found]
    whole = [job for number in numbers if (job := whole_job([jobs.get(number) for jobs in by_number]))]
    still_open = [job for job in whole if job.state is not JobState.ENDED]
    ended = sorted((job for job in whole if job.state is JobState.ENDED), key=lambda job: -job.ended_ms)
    return Jobs(max(len(ended), *(jobs.ended for jobs in found)), (*still_open, *ended[first : first + most]))


def stepped_everywhere(steps: Sequence[Stepped]) -> Stepped:
    """Return what a step did in all partitions."""
    return Stepped(sum(step.sent for step in steps), tuple(dict.fromkeys(news for step in steps for news in step.news)))


def told_once(stepped: Stepped, still_open: Collection[int]) -> Stepped:
    """Return the step without news that other partitions have told, or that is not yet true of all: a job's end."""
    first = {(what, job): (what, job, why) for what, job, why in reversed(stepped.news)}
    news = (one for one in reversed(first.values()) if one[0] != "ended" or one[1] not in still_open)
    return Stepped(stepped.sent, tuple(news))


def changed_everywhere(changes: Sequence[Changed]) -> Changed:
    """Return in which state a job was: not ended in one partition counts before ended, and that before unknown."""
    rank = {"ended": 1, "unknown": 2}
    was = min((change.was for change in changes), key=lambda state: rank.get(state, 0))
    return Changed(was, sum(change.remaining for change in changes))
