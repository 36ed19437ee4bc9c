"""Replay jobs: select dead letters, preview what a replay would do, let the workers send them, control the job.

    with Replays.from_env(by="ada") as replays:
        preview = replays.preview(Filter(reasons=("exhausted",)))
        made = replays.create(preview, reason="Roark is back, ticket 4711", plan=Plan(per_second=20))
        replays.pause(made.job.number)

1. `preview` freezes the selection and says what will happen to it. It changes nothing.
2. `create` reserves the reports and starts the job. What another job has, or is no dead letter any more, is skipped and
   counted, so doing it twice sends nothing twice.
3. The workers do the rest; nobody has to watch. What is not sent stays a dead letter.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import tee
from types import TracebackType
from typing import Literal, Self

import msgspec

from roark_ledger.errors import LedgerError, ReplayRefused
from roark_ledger.ledger import Ledger
from roark_ledger.lifecycle import State
from roark_ledger.logs import masked_text
from roark_ledger.moves import replay as replay_jobs
from roark_ledger.moves import watch
from roark_ledger.records.letters import DeadLetter
from roark_ledger.records.logbook import doer
from roark_ledger.records.replays import Job, JobNumber, Jobs, Plan
from roark_ops.desk.acting import Actor
from roark_ops.desk.dead_letters import DeadLetters
from roark_ops.desk.finding import Filter
from roark_ops.desk.pages import Pages, batches
from roark_ops.desk.replay_preview import Forecasting, GroupForecast, Preview

MOST_WITHOUT_REASON = 100
MAY_CHANGE = {"pause": {"running"}, "resume": {"paused"}, "cancel": {"collecting", "running", "paused", "cancelled"}}
"""In which states a job may be paused, resumed or cancelled."""
_MOST_OPEN = 32
_AT_ONCE = 250
_MOST_GROUPS_KEPT = 20
_SELECTED = "selected"


@dataclass(frozen=True, slots=True)
class Made:
    """The new job, or None if there was nothing to send.

    `left_out` counts what was skipped since the preview: by state, `newer` if a report died again in the meantime,
    `job N` if another job took it first.
    """

    job: Job | None
    left_out: Mapping[str, int]


class Replays:
    """The replay jobs of a ledger. `by` is your name for the log, beside the user of Redis.

    Every method may raise LedgerUnavailable.
    """

    def __init__(self, ledger: Ledger, *, by: str) -> None:
        self._ledger = ledger
        self._actor = Actor(ledger, by)
        self._desk = DeadLetters(ledger, by=by)

    @classmethod
    def from_env(cls, *, by: str) -> Self:
        """Connect to the ledger that the environment variables name.

        Raises ConfigurationError when a setting is wrong.
        """
        from roark_ops.access import Access

        return cls(Access.from_env().ledger, by=by)

    def preview(self, chosen: Filter) -> Preview:
        """Freeze the dead letters that match right now, and return what a replay would do."""
        return self._forecast(chosen.in_words(), self._desk.find(chosen), ())

    def preview_letters(self, letters: Iterable[DeadLetter], chosen: str) -> Preview:
        """Return what a replay of these letters would do; `chosen` says in words which they are."""
        return self._forecast(chosen, iter(letters), ())

    def preview_calls(self, call_ids: Iterable[str]) -> Preview:
        """Freeze the dead letters among these calls, and return what a replay would do."""
        wanted = list(dict.fromkeys(call_ids))
        letters, elsewhere = [], []
        for found in Pages(self._ledger).named(wanted):
            if isinstance(found, str):
                elsewhere.append(found)
            elif found.record.state is State.DEAD:
                letters.append(found)
            else:
                elsewhere.append(found.record.state.value)
        named = "1 call ID" if len(wanted) == 1 else f"{len(wanted)} call IDs"
        return self._forecast(named, iter(letters), elsewhere)

    def _forecast(self, chosen: str, letters: Iterator[DeadLetter], elsewhere: Sequence[str]) -> Preview:
        found = Forecasting(chosen, self._ledger.run(watch.snapshot()).now_ms)
        found.leave_out(elsewhere)
        some, asked = tee(batches(letters, _AT_ONCE))
        asks = (replay_jobs.holders([letter.call_id for letter in batch]) for batch in asked)
        for batch, holders in zip(some, self._ledger.run_ahead(asks), strict=True):
            for letter, job in zip(batch, holders, strict=True):
                found.add(letter, job)
        return found.preview()

    def create(self, preview: Preview, *, reason: str = "", plan: Plan | None = None, delay_seconds: float = 0) -> Made:
        """Create a job from a preview. It starts after the delay; until then, cancelling it undoes everything.

        If this fails half-way, the workers release the reserved reports within a few minutes. Raises ReplayRefused for
        more than 100 reports without a reason, and when too many jobs are open.
        """
        if len(preview.letters) > MOST_WITHOUT_REASON and not reason:
            raise ReplayRefused(f"replaying more than {MOST_WITHOUT_REASON} reports needs a reason")
        if not preview.letters:
            return Made(None, {})
        number = self._ledger.run(replay_jobs.open_job(most_open=_MOST_OPEN))
        if number is None:
            raise ReplayRefused(f"{_MOST_OPEN} replay jobs are already open. Wait until they finish, or cancel some")
        try:
            left_out = self._reserve(number, preview)
            self._start(number, preview, reason, plan or Plan(), round(delay_seconds * 1000))
        except BaseException:
            self._give_up(number)
            raise
        return Made(self.show(number), left_out)

    def _reserve(self, number: JobNumber, preview: Preview) -> Mapping[str, int]:
        results: Counter[str] = Counter()
        for batch in batches(preview.letters, _AT_ONCE):
            words = self._ledger.run(replay_jobs.select(number, batch))
            if not words:
                raise ReplayRefused(f"replay job {number} was cancelled while it was being created")
            results.update(words)
        del results[_SELECTED]
        return dict(results)

    def _start(self, number: JobNumber, preview: Preview, reason: str, plan: Plan, delay_ms: int) -> None:
        chosen = masked_text(preview.chosen)
        spec = {
            "by": masked_text(self._actor.name),
            "reason": masked_text(reason),
            "chosen": chosen,
            "asked": len(preview.letters),
            "groups": [_group_document(group) for group in preview.groups[:_MOST_GROUPS_KEPT]],
            "expected_to_fail": preview.will_fail_again,
        }
        who = doer(self._actor.name, reason, job=number)
        encoded = msgspec.json.encode(spec)
        self._ledger.run(replay_jobs.start(number, plan, delay_ms=delay_ms, who=who, spec=encoded))

    def _give_up(self, number: JobNumber) -> None:
        try:
            self._change(number, "cancel", "it could not be created")
        except LedgerError:
            # The tick gives the letters back when it has not heard of the job for a while.
            return

    def list(self, *, first: int = 0, most: int = 50) -> Jobs:
        """Return the open jobs and up to `most` finished ones, newest first, skipping the first `first`."""
        return self._ledger.run(replay_jobs.jobs(first=first, most=most))

    def show(self, number: int) -> Job | None:
        """Return one job, or None if there is no such number."""
        return self._ledger.run(replay_jobs.job(JobNumber(number)))

    def pause(self, number: int, *, reason: str = "") -> str:
        """Send nothing more until the job is resumed; return its state before, `ended` or `unknown`."""
        return self._change(number, "pause", reason)

    def resume(self, number: int, *, reason: str = "") -> str:
        """Continue; a job that paused itself starts its ramp over. Return its state before."""
        return self._change(number, "resume", reason)

    def cancel(self, number: int, *, reason: str = "") -> str:
        """Send nothing more and release every unsent report: they stay dead letters. Return its state before.

        If this fails half-way, the workers do the rest.
        """
        return self._change(number, "cancel", reason)

    def _change(self, number: int, verb: Literal["pause", "resume", "cancel"], reason: str) -> str:
        change = replay_jobs.change(JobNumber(number), verb, by=self._actor.name, reason=reason, most=_AT_ONCE)
        changed = self._ledger.run(change)
        was = changed.was
        while verb == "cancel" and changed.remaining and changed.was not in {"ended", "unknown"}:
            changed = self._ledger.run(change)
        return was

    def close(self) -> None:
        """Close the connections."""
        self._ledger.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _group_document(group: GroupForecast) -> dict[str, str | int]:
    return {
        "group": group.name,
        "reason": group.reason,
        "status": group.status,
        "message": group.message,
        "count": group.count,
    }
