"""`roark-ingest reconcile`: is the report of every call that ended at Vapi here?"""

from typing import Annotated

import typer

from roark_ops.cli.terminal.options import As, AsJson, actor
from roark_ops.cli.terminal.running import TO_ACT_ON, USAGE, fail, say

INCOMPLETE = 4

Since = Annotated[
    str, typer.Option(metavar="TIME", help="Calls created since this time: 12h, 7d (ago), or 2026-05-19T10:00.")
]
Until = Annotated[
    str | None, typer.Option(metavar="TIME", help="Calls created before this time (default: now).", show_default=False)
]
Backfill = Annotated[
    bool, typer.Option("--backfill", help="Rebuild the missing reports from Vapi's list, and queue them.")
]
AtRoark = Annotated[
    bool, typer.Option("--at-roark", help="Look up every delivered call at Roark (5 a second; needs Roark's token).")
]


def reconcile(
    *,
    since: Since = "24h",
    until: Until = None,
    backfill: Backfill = False,
    at_roark: AtRoark = False,
    by: As = None,
    as_json: AsJson = False,
) -> None:
    """Compare Vapi's list of calls with the reports received here, and show which reports never came.

    Needs VAPI_API_KEY (Vapi's private key). Asks Vapi at most twice a second. Workers that have the key do the
    same every ROARK_INGEST_RECONCILE_MINUTES. Roark is contacted only with --at-roark.

    Exit codes: 0 nothing is missing, 3 reports are missing, or Roark does not show a delivered call, 4 Vapi's list, or
    what Roark shows, could not be read to the end.
    """
    import time

    from roark_ops.access import Access
    from roark_ops.cli.terminal.since import moment_of
    from roark_ops.cli.views.reconcile import following, show_comparison
    from roark_ops.desk.comparing import OneComparison
    from roark_worker.calls.reconcile import Comparison

    comparison = OneComparison()
    now_ms = round(time.time() * 1000)
    from_ms = moment_of(since, now_ms, "--since")
    to_ms = moment_of(until, now_ms, "--until") if until else now_ms
    if (oldest_ms := now_ms - comparison.most_ms) > from_ms:
        say(
            f"Comparing the last {comparison.most_ms / 86_400_000:g} days only "
            "(limited by ROARK_INGEST_RECONCILE_DAYS and ROARK_INGEST_REMEMBER_DAYS)."
        )
        from_ms = oldest_ms
    if from_ms >= to_ms:
        fail("--until must be later than --since.", USAGE)
    found = Comparison(from_ms, to_ms)
    with Access.from_env() as access, following(found, quiet=as_json) as show:
        comparison.run(access, found, by=lambda: actor(by), backfill=backfill, at_roark=at_roark, done=show)
    show_comparison(found, as_json=as_json)
    if found.incomplete or (found.at_roark and found.at_roark.silent):
        raise typer.Exit(INCOMPLETE)
    if found.missing or (found.at_roark and found.at_roark.absent):
        raise typer.Exit(TO_ACT_ON)
