"""How replay jobs are shown: previews, lists, one job for a person, as JSON, or as Markdown for the ticket."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from roark_ledger.records.replays import Job, Jobs, JobState
from roark_ledger.urls import without_secrets
from roark_ops.cli.terminal.output import print_facts, print_json, print_line, print_table
from roark_ops.cli.terminal.words import ago, counted, iso, moment, shown, span
from roark_ops.cli.views.why import explanation_document

if TYPE_CHECKING:
    from roark_ops.desk.rehearsal import GroupRehearsal
    from roark_ops.desk.replay_preview import Preview

_DAY_MS = 86_400_000
_ELSEWHERE = {
    "ready": "already queued",
    "uploading": "being uploaded",
    "waiting": "waiting for a retry",
    "delivered": "already delivered",
}
_LEFT = {
    "replay": "replayed separately",
    "replace": "replaced by a newer report",
    "discard": "discarded",
    "erase": "erased",
    "expire": "removed by retention",
    "mend": "repaired by an audit",
}


def preview_document(preview: "Preview") -> dict[str, Any]:
    """Return a preview as `--json` prints it."""
    return {
        "chosen": shown(preview.chosen),
        "letters": len(preview.letters),
        "will_fail_again": preview.will_fail_again,
        "after_mending": preview.after_mending,
        "audio_ended": preview.audio_ended,
        "not_dead": dict(preview.elsewhere),
        "in_other_jobs": {str(job): number for job, number in preview.held.items()},
        "groups": [
            {
                "group": group.name,
                "reason": group.reason,
                "status": group.status or None,
                "message": shown(group.message) or None,
                "count": group.count,
                "edited": group.edited,
                "will_fail_again": group.will_fail_again,
                "explanation": explanation_document(group.explanation),
            }
            for group in preview.groups
        ],
    }


def print_preview(preview: "Preview") -> None:
    """Print a preview for a person."""
    print_line(f"{counted(len(preview.letters), 'dead letter')} to replay ({shown(preview.chosen)}).", style="bold")
    for group in preview.groups:
        said = f' "{shown(group.message)}"' if group.message else ""
        edited = f", {group.edited} edited" if group.edited else ""
        print_line(f"  {group.count}  {group.reason}{said}{edited}  (group {group.name})")
        if group.count > group.edited:
            # Of those that a person has changed, what was to be fixed may be fixed.
            print_line(f"     {shown(group.explanation.replay_in_words)}")
    for line in warnings_of(preview):
        print_line(line, style="yellow")
    for line in left_alone(preview.elsewhere, preview.held):
        print_line(line)


def warnings_of(preview: "Preview") -> list[str]:
    """Return what should be known before these letters are replayed."""
    warnings = [
        (preview.will_fail_again, "will likely fail again for the same reason unless fixed first"),
        (preview.after_mending, "will likely be delivered only once the cause above is fixed"),
        (preview.audio_ended, "with expired audio links: Roark gets no recording"),
    ]
    return [f"{counted(number, 'report')} {what}." for number, what in warnings if number]


def left_alone(elsewhere: Mapping[str, int], held: Mapping[int, int]) -> Iterable[str]:
    """Yield what was asked for and will not be sent, and why."""
    for state, number in elsewhere.items():
        yield f"Skipped {counted(number, 'call')}: {_ELSEWHERE.get(state, state)}."
    for job, number in held.items():
        yield f"Skipped {counted(number, 'letter')}: already in replay job {job} (roark-ingest replay show {job})"


def print_rehearsal(groups: "Sequence[GroupRehearsal]", url: str, *, as_json: bool) -> None:
    """Print what became of letters that were sent to a sandbox."""
    if as_json:
        for group in groups:
            print_json(
                {
                    "group": group.name or None,
                    "reason": group.reason or None,
                    "message": shown(group.message) or None,
                    "outcomes": {outcome.value: number for outcome, number in group.outcomes.items()},
                    "fails_now": {shown(cause): number for cause, number in group.now.most_common()},
                }
            )
        return
    print_line(f"Sent to {without_secrets(url)}; nothing was changed here.", style="bold")
    for group in groups:
        said = f' "{shown(group.message)}"' if group.message else ""
        print_line(f"{group.reason}{said}  (group {group.name})" if group.name else "no longer a dead letter")
        for outcome, number in group.outcomes.most_common():
            print_line(f"  {number}  {outcome.value}")
        for cause, number in group.now.most_common(10):
            print_line(f"     {number}  now: {shown(cause)}")


def print_jobs(found: Jobs, *, first: int, as_json: bool) -> None:
    """Print the open jobs and a page of the ended ones."""
    if as_json:
        for job in found.jobs:
            print_json(document(job))
        return
    if not found.jobs:
        print_line("No replay jobs.")
        return
    rows = [
        (
            str(job.number),
            in_a_word(job),
            f"{job.sent} of {job.selected}",
            str(job.delivered),
            str(job.failed),
            ago(job.created_ms, job.now_ms),
            shown(f"{job.spec.get('by', '')}: {job.spec.get('reason') or job.spec.get('chosen', '')}"),
        )
        for job in found.jobs
    ]
    head = ("job", "state", "sent", "delivered", "failed", "created", "who and why")
    print_table(head, rows, right=frozenset({0, 3, 4}))
    following = first + sum(job.state is JobState.ENDED for job in found.jobs)
    if following < found.ended:
        print_line()
        print_line(f"There are {found.ended - following} older jobs. Next page: --offset {following}")


def document(job: Job) -> dict[str, Any]:
    """Return a job as `--json` prints it. Times in ISO 8601, null where there is none."""
    return {
        "job": job.number,
        "state": job.state.value,
        "by": shown(job.spec.get("by", "")) or None,
        "reason": shown(job.spec.get("reason", "")) or None,
        "chosen": shown(job.spec.get("chosen", "")) or None,
        "created": iso(job.created_ms),
        "starts": iso(job.start_ms),
        "ended": iso(job.ended_ms),
        "cancelled": job.was_cancelled,
        "stopped_itself": job.stopped_itself and job.state is JobState.PAUSED,
        "last_change": {"by": shown(job.by) or None, "why": shown(job.reason) or None, "at": iso(job.changed_ms)},
        "selected": job.selected,
        "expected_to_fail": job.spec.get("expected_to_fail", 0),
        "sent": job.sent,
        "unsent": job.unsent,
        "delivered": job.delivered,
        "already_there": job.already_there,
        "failed": job.failed,
        "erased": job.erased,
        "outstanding": job.outstanding,
        "waiting_for_another_try": job.retrying,
        "given_back": job.given_back,
        "went_another_way": {move: number for move, number in job.left.items() if number},
        "seconds_left": seconds_left(job),
        "plan": {
            "ramp": list(job.plan.ramp),
            "per_second": job.plan.per_second or None,
            "stop_share": job.plan.stop_share,
            "step": job.step,
        },
        "groups": job.spec.get("groups", []),
        "failed_groups": [
            {"reason": one.reason, "status": one.status or None, "message": shown(one.message), "count": one.count}
            for one in job.failed_groups
        ],
    }


def in_a_word(job: Job) -> str:
    """Return what a job is doing: `starts in 4 s`, `running, step 2`, `paused itself`, `done`, …"""
    match job.state:
        case JobState.COLLECTING:
            return "being created"
        case JobState.RUNNING:
            return _running(job)
        case JobState.PAUSED:
            return "paused itself" if job.stopped_itself else "paused"
        case JobState.CANCELLED | JobState.ENDED:
            return "cancelled" if job.was_cancelled else "done"


def _running(job: Job) -> str:
    if job.start_ms > job.now_ms:
        return f"starts {ago(job.start_ms, job.now_ms)}"
    if not job.unsent:
        return "all sent"
    return f"running, step {job.step}" if job.step <= len(job.plan.ramp) else "running"


def seconds_left(job: Job) -> float | None:
    """Return how long the rest will take at the pace so far (or at the job's rate), None where that cannot be told."""
    if job.state is not JobState.RUNNING:
        return None
    settled = job.delivered + job.failed + job.erased
    seconds = (job.now_ms - job.start_ms) / 1000
    pace = settled / seconds if seconds > 0 else 0.0
    if job.plan.per_second and job.step > len(job.plan.ramp):
        pace = job.plan.per_second
    return round((job.unsent + job.outstanding) / pace, 1) if pace else None


def print_job(job: Job, *, keep_days: float = 0) -> None:
    """Print a job for a person, and what to type next."""
    facts = [(name, value) for name, value in facts_of(job, keep_days) if value]
    print_facts(facts)
    if job.failed_groups:
        print_line()
        rows = [(str(one.count), one.reason, shown(one.message)) for one in job.failed_groups]
        print_table(("failed again", "reason", "Roark's answer"), rows, right=frozenset({0}))
    if following := _next(job):
        print_line()
        print_line(following, style="bold yellow" if job.state is JobState.PAUSED else "")


def markdown(job: Job) -> str:
    """Return the report for the ticket."""
    lines = [f"## Replay job {job.number}: {in_a_word(job)}", ""]
    lines += [f"- **{name}**: {_escaped(value)}" for name, value in facts_of(job, 0) if value and name != "job"]
    if groups := job.spec.get("groups"):
        lines += [
            "",
            "### Selected, by group",
            "",
            "| reports | group | reason | Roark's answer |",
            "|--:|---|---|---|",
        ]
        lines += [
            f"| {group['count']} | {group['group']} | {_escaped(group['reason'])} | {_escaped(group['message'])} |"
            for group in groups
        ]
    if job.failed_groups:
        lines += ["", "### Failed again, by group", "", "| reports | reason | Roark's answer |", "|--:|---|---|"]
        lines += [f"| {one.count} | {_escaped(one.reason)} | {_escaped(one.message)} |" for one in job.failed_groups]
    return "\n".join(lines)


def _escaped(text: object) -> str:
    return shown(text).replace("|", "\\|").replace("<", "&lt;")


def facts_of(job: Job, keep_days: float) -> Iterable[tuple[str, str]]:
    """Yield what there is to know of a job, names and values; "" where it does not apply."""
    spec, now = job.spec, job.now_ms
    yield "job", f"{job.number}, {in_a_word(job)}"
    yield "created", f"{moment(job.created_ms)} by {shown(spec.get('by', ''))}"
    yield "why", shown(spec.get("reason", ""))
    yield "selection", shown(spec.get("chosen", ""))
    if job.reason or job.by:
        yield "last change", shown(f"{ago(job.changed_ms, now)}, by {job.by}{': ' if job.reason else ''}{job.reason}")
    yield "pace", _pace(job)
    yield "selected", counted(job.selected, "report")
    yield "sent", f"{job.sent}, {job.unsent} not yet sent" if job.unsent else str(job.sent)
    there = f", {job.already_there} already at Roark" if job.already_there else ""
    yield "delivered", f"{job.delivered}{there}"
    yield "failed again", str(job.failed)
    if job.outstanding:
        waits = f", {job.retrying} waiting for a retry" if job.retrying else ""
        yield "in progress", f"{job.outstanding}{waits}"
    yield "erased", str(job.erased or "")
    yield "otherwise", ", ".join(f"{number} {_LEFT.get(move, move)}" for move, number in job.left.items() if number)
    yield "returned", f"{job.given_back} to the dead letters" if job.given_back else ""
    if (left := seconds_left(job)) is not None:
        yield "time left", span(left)
    if job.ended_ms:
        yield "ended", f"{moment(job.ended_ms)}, after {span((job.ended_ms - job.created_ms) / 1000)}"
        if keep_days:
            yield "kept until", moment(round(job.ended_ms + keep_days * _DAY_MS))


def _pace(job: Job) -> str:
    rate = f"{job.plan.per_second:.3g}/s" if job.plan.per_second else "as fast as possible"
    ramp = f"after steps of {', '.join(map(str, job.plan.ramp))}" if job.plan.ramp else "no ramp"
    return f"{rate}, {ramp}; pauses if more than {job.plan.stop_share:.0%} fail"


def _next(job: Job) -> str:
    match job.state:
        case JobState.RUNNING | JobState.COLLECTING:
            return f"Next: roark-ingest replay show {job.number} --follow (or pause, or cancel)"
        case JobState.PAUSED:
            return (
                f"Nothing is being sent. To continue: roark-ingest replay resume {job.number}. "
                f"To give up: roark-ingest replay cancel {job.number}"
            )
        case _ if job.failed:
            return "Next: roark-ingest dlq groups"
        case _:
            return ""
