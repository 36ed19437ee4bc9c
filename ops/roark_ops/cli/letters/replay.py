"""`roark-ingest dlq replay` makes replay jobs, `roark-ingest replay` looks after them."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from roark_ops.cli.letters.filtering import filtered, require_one_choice
from roark_ops.cli.letters.unconfirmed import replay_unconfirmed, unconfirmed_of
from roark_ops.cli.terminal.options import AllDead, As, AsJson, SomeCallIds, Yes, actor, reason_for
from roark_ops.cli.terminal.output import print_json, print_line
from roark_ops.cli.terminal.running import FAILED, USAGE, Misused, confirm, fail, say
from roark_ops.cli.terminal.words import counted, shown

if TYPE_CHECKING:
    from roark_ledger.records.replays import Job, Plan
    from roark_ops.access import Access
    from roark_ops.desk.finding import Filter
    from roark_ops.desk.replay_preview import Preview
    from roark_ops.desk.replays import Made, Replays

_PANEL = "Pace"
_DELAY_SECONDS = 5.0
_MOST_PERCENT = 100
_PAST = {"pause": "paused", "resume": "resumed", "cancel": "cancelled"}

Rate = Annotated[
    str, typer.Option(metavar="RATE", help="Send no faster than this: 20/s, 600/min.", rich_help_panel=_PANEL)
]
StopAt = Annotated[
    str, typer.Option(metavar="SHARE", help="Pause the job when more than this share fails.", rich_help_panel=_PANEL)
]
Ramp = Annotated[
    bool,
    typer.Option("--ramp/--no-ramp", help="Start with 1 report, then 5, 25 and 100.", rich_help_panel=_PANEL),
]
Delay = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Wait before starting, so that you can still cancel: 30s, 5min (default: 5s in a terminal, else 0).",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
Unconfirmed = Annotated[bool, typer.Option("--unconfirmed", help="Resend every unconfirmed delivery.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be sent, and stop.")]
Follow = Annotated[
    bool | None,
    typer.Option(
        "--follow/--no-follow", help="Watch until it finishes (the default in a terminal).", show_default=False
    ),
]
To = Annotated[
    str,
    typer.Option(metavar="URL", help="Rehearse: send to this sandbox, change nothing, and show the results."),
]
ToToken = Annotated[
    str | None,
    typer.Option(
        "--to-token",
        envvar="ROARK_INGEST_REPLAY_TO_TOKEN",
        metavar="TOKEN",
        help="Token for --to; prefer the variable. The workers' token is never sent there.",
        show_default=False,
        show_envvar=True,
    ),
]

Number = Annotated[int, typer.Argument(metavar="JOB", min=1, help="Job number.", show_default=False)]
Offset = Annotated[int, typer.Option(min=0, metavar="N", help="Skip this many finished jobs.")]
Limit = Annotated[int, typer.Option(min=1, max=1000, metavar="N", help="Show this many finished jobs.")]
Reason = Annotated[str, reason_for("for the job's report and the log")]
Markdown = Annotated[bool, typer.Option("--markdown", help="Print the job as Markdown, for a ticket.")]
FollowOne = Annotated[bool, typer.Option("--follow", help="Watch until it finishes. Ctrl-C leaves it running.")]


@filtered
def dlq_replay(
    call_ids: SomeCallIds = None,
    *,
    chosen: "Filter",
    all_: AllDead = False,
    unconfirmed: Unconfirmed = False,
    reason: Reason = "",
    rate: Rate = "",
    stop_at: StopAt = "20%",
    ramp: Ramp = True,
    delay: Delay = None,
    dry_run: DryRun = False,
    to: To = "",
    to_token: ToToken = None,
    follow: Follow = None,
    yes: Yes = False,
    by: As = None,
    as_json: AsJson = False,
) -> None:
    """Replay dead letters in a job that the workers run. You can close this terminal.

    First you see the selection: how many, from which groups, and which will likely fail again. The job starts with
    one report, then 5, 25 and 100, and pauses itself if too many fail. A letter is in at most one job, and Roark never
    imports a call twice. Replaying more than 100 needs a --reason.

    An unconfirmed delivery (Roark accepted it without naming the call) is resent at once, without a job.

    Exit code 3, when watched: some failed again, or the job paused itself.
    """
    from roark_ops.access import Access
    from roark_ops.cli.terminal.ids_as_options import refuse_ids_as_options
    from roark_ops.cli.terminal.since import seconds_of
    from roark_ops.desk.replays import Replays

    if not unconfirmed:
        require_one_choice(call_ids, chosen, all_=all_)
    elif call_ids or all_ or not chosen.is_everything:
        fail("--unconfirmed means all of them, so it cannot be combined with call IDs or filters.", USAGE)
    plan = plan_of(rate, stop_at, ramp=ramp)
    wait = seconds_of(delay, "--delay") if delay else _DELAY_SECONDS if sys.stdin.isatty() else 0.0
    with Access.from_env() as access:
        refuse_ids_as_options(access.ledger)
        unnamed = unconfirmed_of(access, call_ids or [], everything=unconfirmed) if call_ids or unconfirmed else []
        call_ids = [call_id for call_id in call_ids or [] if call_id not in set(unnamed)]
        if unnamed and not to:
            replay_unconfirmed(access, unnamed, dry_run=dry_run, by=actor(by), reason=reason, yes=yes, as_json=as_json)
        elif unconfirmed and not unnamed and not as_json:
            print_line("No unconfirmed deliveries.")
        if (unnamed or unconfirmed) and not (call_ids or to):
            return
        replays = Replays(access.ledger, by=actor(by))
        preview = replays.preview_calls(call_ids) if call_ids or unnamed or unconfirmed else replays.preview(chosen)
        if to:
            _rehearse(access, [*unnamed, *(call_id for call_id, _ in preview.letters)], to, to_token, as_json=as_json)
            return
        _show_preview(preview, as_json=as_json and dry_run, quiet=as_json and not dry_run)
        if not preview.letters:
            raise typer.Exit(FAILED if call_ids and not preview.held else 0)
        if dry_run:
            if not as_json:
                print_line("Next: fix what will likely fail again, or replay: run the same command without --dry-run")
            return
        why = _reason(preview, reason)
        confirm(f"Replay {counted(len(preview.letters), 'dead letter')}?", yes=yes)
        made = replays.create(preview, reason=why, plan=plan, delay_seconds=wait)
        _tell(replays, made, as_json=as_json, follow=sys.stderr.isatty() if follow is None else follow)


def plan_of(rate: str, stop_at: str, *, ramp: bool) -> "Plan":
    """Return the pace that is asked for. Raises Misused where it cannot be read."""
    from roark_ledger.errors import ConfigurationError
    from roark_ledger.flow import per_second
    from roark_ledger.records.replays import RAMP, Plan

    try:
        found = per_second(rate)
    except ConfigurationError:
        raise Misused(f"--rate {shown(rate)}: try 20/s or 600/min.") from None
    try:
        percent = float(stop_at.strip().removesuffix("%"))
    except ValueError:
        percent = -1.0
    if not 0 <= percent <= _MOST_PERCENT:
        raise Misused(f"--stop-at {shown(stop_at)}: try a share such as 20%.")
    return Plan(ramp=RAMP if ramp else (), per_second=found, stop_share=percent / _MOST_PERCENT)


def _show_preview(preview: "Preview", *, as_json: bool, quiet: bool) -> None:
    from roark_ops.cli.views.replay import preview_document, print_preview

    if as_json:
        print_json(preview_document(preview))
    elif quiet and not preview.letters:
        say("roark-ingest: no dead letters to replay.")
    elif not quiet:
        print_preview(preview)


def _reason(preview: "Preview", reason: str) -> str:
    from roark_ops.desk.replays import MOST_WITHOUT_REASON

    if reason or len(preview.letters) <= MOST_WITHOUT_REASON:
        return reason
    if not sys.stdin.isatty():
        fail(f"Replaying more than {MOST_WITHOUT_REASON} reports needs a reason: add --reason TEXT.", USAGE)
    asked: str = typer.prompt("Reason for this replay", err=True)
    return asked


def _tell(replays: "Replays", made: "Made", *, as_json: bool, follow: bool) -> None:
    from roark_ops.cli.views.replay import document

    for word, number in made.left_out.items():
        say(f"Skipped {counted(number, 'report')}: {why_left_out(word)}.")
    if (job := made.job) is None:
        say("roark-ingest: nothing left to replay.")
        raise typer.Exit(FAILED)
    if as_json:
        print_json(document(job))
    else:
        starts = f", starts in {round((job.start_ms - job.now_ms) / 1000)} s" if job.start_ms > job.now_ms else ""
        print_line(f"Replay job {job.number}: {counted(job.selected, 'report')}{starts}. The workers send them.")
        if not follow:
            print_line(f"Watch: roark-ingest replay show {job.number} --follow")
        print_line(f"Cancel: roark-ingest replay cancel {job.number}")
    if follow and not as_json:
        sys.stdout.flush()
        _watch(replays, job.number)


def why_left_out(word: str) -> str:
    """Return why letters of a preview are not in the job, by the ledger's word for it."""
    if word.startswith("job "):
        return f"already in replay {word}"
    return {"newer": "failed again in the meantime", "unknown": "unknown"}.get(word, f"{word} in the meantime")


def _watch(replays: "Replays", number: int) -> None:
    from roark_ops.cli.letters.replay_follow import follow
    from roark_ops.cli.views.replay import print_job

    job, code = follow(replays, number)
    if job:
        print_job(job)
    if code:
        raise typer.Exit(code)


def _rehearse(access: "Access", call_ids: list[str], url: str, token: str | None, *, as_json: bool) -> None:
    from pydantic import SecretStr

    from roark_ops.cli.views.replay import print_rehearsal
    from roark_ops.desk.rehearsal import Rehearsal
    from roark_producer.secret_texts import tidied_secret
    from roark_worker.settings import WorkerSettings

    token = tidied_secret("ROARK_INGEST_REPLAY_TO_TOKEN", token)
    secret = SecretStr(token) if token else None
    rehearsal = Rehearsal(access.ledger, url=url, token=secret, settings=WorkerSettings())
    groups = rehearsal.run(call_ids)
    print_rehearsal(groups, url, as_json=as_json)


def list_(*, limit: Limit = 20, offset: Offset = 0, as_json: AsJson = False) -> None:
    """List replay jobs: the open ones, and the latest finished ones."""
    from roark_ops.access import Access
    from roark_ops.cli.views.replay import print_jobs
    from roark_ops.desk.replays import Replays

    with Access.from_env() as access:
        print_jobs(Replays(access.ledger, by="").list(first=offset, most=limit), first=offset, as_json=as_json)


def show(number: Number, *, follow: FollowOne = False, markdown: Markdown = False, as_json: AsJson = False) -> None:
    """Show one replay job: who, why, when, progress, and what failed again.

    Exit code 3, with --follow: some failed again, or the job paused itself.
    """
    from roark_ops.access import Access
    from roark_ops.cli.views.replay import document, print_job
    from roark_ops.cli.views.replay import markdown as as_markdown
    from roark_ops.desk.replays import Replays
    from roark_worker.settings import WorkerSettings

    with Access.from_env() as access:
        replays = Replays(access.ledger, by="")
        if follow and not as_json and not markdown:
            _existing(replays, number)
            _watch(replays, number)
            return
        job = _existing(replays, number)
    if as_json:
        print_json(document(job))
    elif markdown:
        print_line(as_markdown(job))
    else:
        print_job(job, keep_days=WorkerSettings().replay_keep_days)


def pause(number: Number, *, reason: Reason = "", by: As = None, as_json: AsJson = False) -> None:
    """Pause a job. Reports already sent are still delivered."""
    _change(number, "pause", reason, by, as_json=as_json)


def resume(number: Number, *, reason: Reason = "", by: As = None, as_json: AsJson = False) -> None:
    """Resume a job. One that paused itself starts again with 1 report, then 5, 25 and 100."""
    _change(number, "resume", reason, by, as_json=as_json)


def cancel(number: Number, *, reason: Reason = "", by: As = None, as_json: AsJson = False) -> None:
    """Cancel a job. Unsent reports stay dead letters; those already sent are still delivered."""
    _change(number, "cancel", reason, by, as_json=as_json)


def _change(number: int, verb: str, reason: str, by: str | None, *, as_json: bool) -> None:
    from roark_ops.access import Access
    from roark_ops.cli.views.replay import document, in_a_word
    from roark_ops.desk.replays import MAY_CHANGE, Replays

    with Access.from_env() as access:
        replays = Replays(access.ledger, by=actor(by))
        was = getattr(replays, verb)(number, reason=reason)
        job = _existing(replays, number)
    if was not in MAY_CHANGE[verb]:
        fail(f"replay job {number} cannot be {_PAST[verb]}: it is {in_a_word(job)}.")
    if as_json:
        print_json(document(job))
        return
    print_line(f"Replay job {number} {_PAST[verb]}: {job.sent} of {job.selected} sent.")
    if verb == "cancel":
        unsent = job.given_back or job.selected - job.sent - sum(job.left.values())
        print_line(f"{counted(unsent, 'report')} stay{'s' if unsent == 1 else ''} in the dead letters.")


def _existing(replays: "Replays", number: int) -> "Job":
    job = replays.show(number)
    if job is None:
        fail(f"no replay job {number}. See roark-ingest replay list")
    return job
