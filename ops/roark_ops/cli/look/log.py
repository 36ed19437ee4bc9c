"""`roark-ingest log`: who did what. (What the processes say are their logs; the accounts are `audit`'s.)"""

import sys
from typing import Annotated

import typer

from roark_ops.cli.terminal.options import As, AsJson, Yes, actor
from roark_ops.cli.terminal.output import print_json, print_line
from roark_ops.cli.terminal.running import USAGE, confirm, fail
from roark_ops.cli.terminal.words import counted

Since = Annotated[
    str, typer.Option(metavar="TIME", help="Only since this time: 30min, 12h, 7d (ago), or 2026-05-19[T10:00[Z]].")
]
By = Annotated[str, typer.Option(metavar="NAME", help="Only this person's actions.", show_default=False)]
Action = Annotated[
    str, typer.Option(help="Only this action: hold, resume, replay, discard, restore, edit, erase, import, …")
]
Call = Annotated[str, typer.Option(metavar="CALL_ID", help="Only actions on this call.", show_default=False)]
Limit = Annotated[int, typer.Option(min=1, help="How many of the newest lines to show.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV with a header line.")]
Target = Annotated[
    str, typer.Argument(metavar="FILE", help="Compressed if the name ends in .gz or .zst. Use - for standard output.")
]
Before = Annotated[str, typer.Option(metavar="TIME", help="Delete lines older than this: 90d (ago), or a date.")]


def list_(
    *,
    since: Since = "",
    by: By = "",
    action: Action = "",
    call: Call = "",
    limit: Limit = 50,
    as_csv: AsCsv = False,
    as_json: AsJson = False,
) -> None:
    """Show who did what, oldest first: hold, resume, replay, discard, restore, edit, erase, import, retention.

    An action and its line are written together, so no line is missing. An erased call appears only as its tombstone.
    """
    from itertools import islice

    from roark_ledger.moves import watch
    from roark_ops.access import Access
    from roark_ops.cli.terminal.since import moment_of
    from roark_ops.cli.views.log import show_deeds
    from roark_ops.desk.logbook import Logbook, Wanted

    if as_csv and as_json:
        fail("choose either --csv or --json.", USAGE)
    with Access.from_env() as access:
        snapshot = access.ledger.run(watch.snapshot())
        wanted = Wanted(moment_of(since, snapshot.now_ms, "--since") if since else 0, by, action, call)
        found = list(islice(Logbook(access.ledger).newest(wanted), limit + 1))
    more, deeds = len(found) > limit, found[:limit][::-1]
    show_deeds(deeds, as_json=as_json, as_csv=as_csv)
    if not as_json and not as_csv:
        print_line(f"{counted(len(deeds), 'line')} of {snapshot.logbook_lines} in the log.")
        if more:
            print_line(f"There are older lines: --limit {limit * 10}, or roark-ingest log export")


def export(file: Target = "-", *, since: Since = "", as_csv: AsCsv = False, as_json: AsJson = False) -> None:
    """Export the whole log, oldest first, as one JSON object per line, or CSV. Changes nothing.

    After an export you can delete old lines with `log trim`; until then the log keeps everything.
    """
    from roark_ledger.moves import watch
    from roark_ops.access import Access
    from roark_ops.cli.terminal.since import moment_of
    from roark_ops.cli.views.log import write_deeds
    from roark_ops.desk.logbook import Logbook, Wanted

    with Access.from_env() as access:
        now_ms = access.ledger.run(watch.snapshot()).now_ms
        deeds = Logbook(access.ledger).oldest(Wanted(moment_of(since, now_ms, "--since") if since else 0))
        number = write_deeds(deeds, file, as_csv=as_csv)
    if file == "-":
        sys.stdout.flush()
    elif as_json:
        print_json({"file": file, "exported": number})
    else:
        print_line(f"{counted(number, 'line')} exported to {file}.")


def trim(*, before: Before, yes: Yes = False, by: As = None, as_json: AsJson = False) -> None:
    """Permanently delete old log lines. Export them first. The deletion itself is logged."""
    from roark_ledger.moves import watch
    from roark_ledger.records.logbook import doer
    from roark_ops.access import Access
    from roark_ops.cli.terminal.since import moment_of
    from roark_ops.cli.terminal.words import moment
    from roark_ops.desk.logbook import Logbook

    with Access.from_env() as access:
        before_ms = moment_of(before, access.ledger.run(watch.snapshot()).now_ms, "--before")
        confirm(f"Permanently delete all lines from before {moment(before_ms)}?", yes=yes)
        gone = Logbook(access.ledger).trim(before_ms, who=doer(actor(by), before=moment(before_ms)))
    if as_json:
        print_json({"removed": gone, "before": moment(before_ms)})
    else:
        print_line(f"{counted(gone, 'line')} deleted.")
