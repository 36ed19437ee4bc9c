"""The commands of `roark-ingest`. Their modules import nothing heavy: that happens when one is run."""

import inspect
from collections.abc import Callable
from typing import Annotated

import typer

from roark_ops.called import as_called
from roark_ops.cli.act import rejected, repair
from roark_ops.cli.act.enqueue import enqueue
from roark_ops.cli.act.erase import erase
from roark_ops.cli.act.lane import hold, resume
from roark_ops.cli.act.partition import partition
from roark_ops.cli.act.route import route
from roark_ops.cli.letters import dlq, dlq_edit, dlq_files, dlq_moves, replay, unconfirmed
from roark_ops.cli.look import alerts, log
from roark_ops.cli.look.audit import audit
from roark_ops.cli.look.doctor import doctor
from roark_ops.cli.look.explain import explain
from roark_ops.cli.look.list import list_
from roark_ops.cli.look.metrics import metrics
from roark_ops.cli.look.plan import plan
from roark_ops.cli.look.reconcile import reconcile
from roark_ops.cli.look.schedule import schedule
from roark_ops.cli.look.status import status
from roark_ops.cli.look.why import why
from roark_ops.cli.run import console
from roark_ops.cli.run.acl import acl
from roark_ops.cli.run.parts import flower, webhook, worker
from roark_ops.cli.terminal.running import Commands
from roark_ops.up.command import up
from roark_samples.command import sample
from roark_sandbox.command import sandbox

_RUN, _LOOK, _ACT = "Run", "Look", "Act"
_EXIT_CODES = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 something needs your attention."

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode="rich",
    # Their errors may repeat a secret; ours mask them (see `roark_ledger.logs`).
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=_EXIT_CODES,
)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"roark-ingest {version('roark-ingest')}")
        raise typer.Exit


@app.callback(
    help="Deliver every Vapi end-of-call report to Roark: stored durably, retried, never lost, never doubled."
)
def roark_ingest(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take what stands before the command."""


def _add(
    group: typer.Typer, command: Callable[..., None], *examples: str, name: str | None = None, panel: str | None = None
) -> None:
    # [ is Rich's markup.
    group.command(
        name,
        help=_escaped(_paragraphs(command)),
        epilog=_examples(*examples) if examples else None,
        rich_help_panel=panel,
    )(command)


def _paragraphs(command: Callable[..., None]) -> str:
    # A paragraph is one line for Rich, which breaks it where the terminal ends.
    paragraphs = (inspect.getdoc(command) or _written(command)).split("\n\n")
    return "\n\n".join(paragraph.replace("\n", " ") for paragraph in paragraphs)


def _examples(*examples: str) -> str:
    return _escaped("\n\n".join(("Examples:", *map(as_called, examples))))


def _written(command: Callable[..., None]) -> str:
    # With PYTHONOPTIMIZE=2 there are no docstrings, but in the source.
    import ast
    import textwrap

    node = ast.parse(textwrap.dedent(inspect.getsource(command))).body[0]
    assert isinstance(node, ast.FunctionDef)  # noqa: S101 a command is a function
    return ast.get_docstring(node) or ""


def _escaped(text: str) -> str:
    return text.replace("[", r"\[")


_add(app, up, "roark-ingest up --sandbox", "ROARK_API_BEARER_TOKEN=… roark-ingest up", panel=_RUN)
_add(app, webhook, "roark-ingest webhook --host 0.0.0.0 --port 8787", panel=_RUN)
_add(app, worker, "roark-ingest worker --processes 4 --max-in-flight 128", panel=_RUN)
_add(
    app,
    flower,
    "roark-ingest flower",
    "FLOWER_BASIC_AUTH=me:secret roark-ingest flower --host 0.0.0.0",
    panel=_RUN,
)
browser = typer.Typer(invoke_without_command=True, rich_markup_mode="rich")
app.add_typer(browser, name="console", rich_help_panel=_RUN)
browser.callback(
    help=_escaped(_paragraphs(console.serve)),
    epilog=_examples("roark-ingest console", "roark-ingest console --port 8000"),
)(console.serve)
people = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
browser.add_typer(people, name="user", help="Who may use the console.")
_add(
    people,
    console.add,
    "roark-ingest console user add ada --role operator",
    "roark-ingest console user add bea --role viewer --password-stdin < password",
    "roark-ingest console user add cy --role operator --no-password",
)
_add(people, console.list_, "roark-ingest console user list", name="list")
_add(people, console.remove, "roark-ingest console user remove ada")
_add(app, acl, "roark-ingest acl", "roark-ingest acl secrets --apply", panel=_RUN)
_add(app, sandbox, "roark-ingest sandbox --fail 503:0.2", "roark-ingest sandbox --scenario outage:30s", panel=_RUN)
_add(app, sample, "roark-ingest sample --count 1000 | roark-ingest enqueue", panel=_RUN)

_add(app, status, "roark-ingest status --watch", "roark-ingest status --json | jq .states.dead", panel=_LOOK)
_add(
    app,
    list_,
    "roark-ingest list --state waiting --died-of 'http_5*'",
    "roark-ingest list --state ready --state waiting --audio-ends-within 10min",
    "roark-ingest list --state delivered --audio ended --csv",
    name="list",
    panel=_LOOK,
)
_add(app, why, "roark-ingest why 0193b2c4-6f1d-7c3e-9a55-1d2e3f405162", panel=_LOOK)
_add(app, audit, "roark-ingest audit --json | jq .broken", panel=_LOOK)
_add(
    app,
    reconcile,
    "roark-ingest reconcile",
    "roark-ingest reconcile --since 7d --json | jq .buckets",
    "roark-ingest reconcile --since 2026-05-19 --until 2026-05-20 --backfill",
    "roark-ingest reconcile --since 24h --at-roark",
    panel=_LOOK,
)
_add(
    app,
    doctor,
    "roark-ingest doctor",
    "roark-ingest doctor --public-url https://reports.example.com/vapi",
    panel=_LOOK,
)
_add(
    app,
    metrics,
    "roark-ingest metrics | grep past_due",
    "roark-ingest metrics --json | jq .roark_ingest_reports.samples",
    panel=_LOOK,
)
_add(app, explain, "roark-ingest explain http_422", "roark-ingest explain --list", panel=_LOOK)
_add(app, schedule, "ROARK_INGEST_MAX_ATTEMPTS=8 roark-ingest schedule", panel=_LOOK)
_add(
    app,
    plan,
    "roark-ingest plan",
    "roark-ingest plan --rate 100/s --outage 24h --size 60kB",
    "roark-ingest plan --rate 20/s --outage 3d --size 60kB --memory 32GB --spool 50GB --webhooks 2",
    panel=_LOOK,
)

_add(
    app,
    enqueue,
    "roark-ingest enqueue reports.ndjson.zst",
    "zcat old/*.gz | roark-ingest enqueue --property source=backfill",
    "roark-ingest enqueue --json reports.json | jq 'select(.result == \"rejected\")'",
    panel=_ACT,
)
_add(app, hold, 'roark-ingest hold --reason "Roark maintenance until 4 pm"', panel=_ACT)
_add(app, resume, panel=_ACT)
_add(app, route, "roark-ingest route", "roark-ingest route call --reason 'Roark, ticket 4711'", panel=_ACT)
_add(app, dlq_moves.set_aside, "roark-ingest set-aside CALL_ID --reason 'test call, ticket 4711'", panel=_ACT)
_add(
    app,
    erase,
    "roark-ingest erase 0193b2c4-6f1d-7c3e-9a55-1d2e3f405162 --yes --json > certificate.json",
    "roark-ingest erase --phone +15550101234 --dry-run",
    "roark-ingest erase --phone +15550101234 --spool .roark-ingest/spool --reason 'ticket 4711'",
    panel=_ACT,
)

_add(
    app,
    partition,
    "roark-ingest partition 16 --dry-run",
    "roark-ingest partition 16 --reason 'moved to the cluster, ticket 4711'",
    panel=_ACT,
)

letters = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
app.add_typer(
    letters,
    name="dlq",
    rich_help_panel=_ACT,
    help="Work with dead letters: list, replay, edit, discard, restore, export.",
)
_add(
    letters,
    dlq.list_,
    "roark-ingest dlq list --json | jq -r .call_id",
    "roark-ingest dlq list --died-of http_422 --assistant A7 --since 2h",
    "roark-ingest dlq list --audio-ends-within 2h --csv > soon.csv",
    name="list",
)
_add(letters, dlq.groups, "roark-ingest dlq groups", "roark-ingest dlq groups --since 10:00 --json | jq .explanation")
_add(letters, dlq.show, "roark-ingest dlq show CALL_ID", "roark-ingest dlq show CALL_ID --payload | jq .")
_add(
    letters,
    replay.dlq_replay,
    "roark-ingest dlq replay CALL_ID",
    "roark-ingest dlq replay --group 3f9a --reason 'Roark is back, ticket 4711' --rate 20/s",
    "roark-ingest dlq replay --all --dry-run",
    "roark-ingest dlq replay --died-of http_422 --to http://localhost:4010",
    name="replay",
)
_add(
    letters,
    dlq_edit.edit,
    "roark-ingest dlq edit CALL_ID",
    "roark-ingest dlq edit --group 3f9a --set analysis.successEvaluation=true --dry-run",
    "roark-ingest dlq edit --group 3f9a --change 'number(analysis.score)' --change 'remove(call.debug)' --dry-run",
    "roark-ingest dlq edit --assistant A7 --patch fix.json --yes",
    "roark-ingest dlq edit CALL_ID --undo",
)
_add(
    letters,
    dlq_moves.discard,
    "roark-ingest dlq discard CALL_ID --yes",
    "roark-ingest dlq discard --group 3f9a --reason 'test calls, ticket 4711'",
)
_add(
    letters,
    unconfirmed.confirm_,
    "roark-ingest dlq confirm CALL_ID --reason 'seen at Roark'",
    "roark-ingest dlq confirm --all --yes",
    name="confirm",
)
_add(letters, dlq_moves.restore, "roark-ingest dlq restore CALL_ID", "roark-ingest dlq restore --since 2h")
_add(
    letters,
    dlq_files.export,
    "roark-ingest dlq export dead.ndjson.zst",
    "roark-ingest dlq export --group 3f9a2c1b - | jq .message",
)
_add(
    letters,
    dlq_files.import_,
    "roark-ingest dlq import dead.ndjson.zst",
    "roark-ingest dlq import --check dead.ndjson.zst",
    name="import",
)

alarms = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
app.add_typer(alarms, name="alerts", rich_help_panel=_LOOK, help="Show alerts, and test where they are sent.")
_add(alarms, alerts.list_, "roark-ingest alerts list --json | jq 'select(.active)'", name="list")
_add(alarms, alerts.try_, "ROARK_INGEST_ALERT_URL=https://hooks.slack.com/… roark-ingest alerts test", name="test")

jobs = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
app.add_typer(
    jobs, name="replay", rich_help_panel=_ACT, help="Watch and control replay jobs (`dlq replay` creates them)."
)
_add(jobs, replay.list_, "roark-ingest replay list --json | jq 'select(.state == \"paused\")'", name="list")
_add(jobs, replay.show, "roark-ingest replay show 12 --follow", "roark-ingest replay show 12 --markdown")
_add(jobs, replay.pause, "roark-ingest replay pause 12 --reason 'Roark is slow'")
_add(jobs, replay.resume, "roark-ingest replay resume 12")
_add(jobs, replay.cancel, "roark-ingest replay cancel 12 --reason 'the wrong group'")

deeds = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
app.add_typer(deeds, name="log", rich_help_panel=_LOOK, help="Show the audit trail: who did what, and when.")
_add(deeds, log.list_, "roark-ingest log list --since 7d --by ada", "roark-ingest log list --csv", name="list")
_add(deeds, log.export, "roark-ingest log export log.ndjson.zst", "roark-ingest log export --csv > log.csv")
_add(deeds, log.trim, "roark-ingest log trim --before 2026-01-01 --yes")

unusable = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
app.add_typer(
    unusable, name="rejected", rich_help_panel=_ACT, help="Work with rejected input: list, show, retry, discard."
)
_add(unusable, rejected.list_, "roark-ingest rejected list --json | jq -r .problem | sort | uniq -c", name="list")
_add(unusable, rejected.show, "roark-ingest rejected show 5f3a | jq .")
_add(unusable, rejected.retry, "roark-ingest rejected retry --all")
_add(unusable, rejected.discard, "roark-ingest rejected discard 5f3a --yes")

mending = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
app.add_typer(
    mending, name="repair", rich_help_panel=_ACT, help="Repair the ledger, the spool, or the embedded server's files."
)
_add(mending, repair.ledger, "roark-ingest repair ledger --accept-loss --reason 'a new Redis, ticket 4711'")
_add(mending, repair.spool, "roark-ingest repair spool")
_add(mending, repair.aof, "roark-ingest repair aof")
