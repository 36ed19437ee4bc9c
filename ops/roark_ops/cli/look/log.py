"""`roark-ingest log`: who did what. (What the processes say are their logs; the accounts are `audit`'s.)"""

import sys
from typing import Annotated

import typer

from roark_ops.cli.terminal.options import As, AsJson, Yes, actor
from roark_ops.cli.terminal.output import print_json, print_line
from roark_ops.cli.terminal.running import USAGE, confirm, fail
from roark_ops.cli.terminal.words import counted

Since = Annotated[str, typer.Option(metavar="TIME", help="From then on: 30min, 12h, 7d ago, or 2026-05-19[T10:00[Z]].")]
By = Annotated[str, typer.Option(metavar="NAME", help="What this person did.", show_default=False)]
Action = Annotated[str, typer.Option(help="hold, resume, replay, discard, restore, edit, erase, import, …")]
Call = Annotated[str, typer.Option(metavar="CALL_ID", help="What was done to this call.", show_default=False)]
Limit = Annotated[int, typer.Option(min=1, help="The newest so many.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV with a head.")]
Target = Annotated[str, typer.Argument(metavar="FILE", help="Packed where it ends in .gz or .zst; -: standard output.")]
Before = Annotated[str, typer.Option(metavar="TIME", help="Lines from before then: 90d ago, or a date.")]


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
    """Who did what, oldest first: hold, resume, replay, discard, restore, edit, erase, import, retention.

    An action and its line are written together, so none is missing. An erased call is named by its tombstone only.
    """
    from itertools import islice

    from roark_ledger.moves import watch
    from roark_ops.access import Access
    from roark_ops.cli.terminal.since import moment_of
    from roark_ops.cli.views.log import show_deeds
    from roark_ops.desk.logbook import Logbook, Wanted

    if as_csv and as_json:
        fail("--csv or --json, not both.", USAGE)
    with Access.from_env() as access:
        snapshot = access.ledger.run(watch.snapshot())
        wanted = Wanted(moment_of(since, snapshot.now_ms, "--since") if since else 0, by, action, call)
        found = list(islice(Logbook(access.ledger).newest(wanted), limit + 1))
    more, deeds = len(found) > limit, found[:limit][::-1]
    show_deeds(deeds, as_json=as_json, as_csv=as_csv)
    if not as_json and not as_csv:
        print_line(f"{counted(len(deeds), 'line')} of {snapshot.logbook_lines} in the log.")
        if more:
            print_line(f"Older ones are there: --limit {limit * 10}, or roark-ingest log export.")


def export(file: Target = "-", *, since: Since = "", as_csv: AsCsv = False, as_json: AsJson = False) -> None:
    """Write the whole log, oldest first, a JSON object a line, or CSV. Nothing is changed.

    Exported lines can be removed with `log trim`; until then the log keeps everything.
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
    """Remove the log's lines from before a time for good; that is written into the log. Export them first."""
    from roark_ledger.moves import watch
    from roark_ledger.records.logbook import doer
    from roark_ops.access import Access
    from roark_ops.cli.terminal.since import moment_of
    from roark_ops.cli.terminal.words import moment
    from roark_ops.desk.logbook import Logbook

    with Access.from_env() as access:
        before_ms = moment_of(before, access.ledger.run(watch.snapshot()).now_ms, "--before")
        confirm(f"Remove all lines from before {moment(before_ms)} for good?", yes=yes)
        gone = Logbook(access.ledger).trim(before_ms, who=doer(actor(by), before=moment(before_ms)))
    if as_json:
        print_json({"removed": gone, "before": moment(before_ms)})
    else:
        print_line(f"{counted(gone, 'line')} removed.")
