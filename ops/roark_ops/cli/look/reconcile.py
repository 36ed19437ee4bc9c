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
    from contextlib import nullcontext

    from roark_ledger.moves import desk
    from roark_ledger.records.logbook import Action, doer
    from roark_ops.access import Access
    from roark_ops.cli.terminal.since import moment_of
    from roark_ops.cli.views.reconcile import following, show_comparison
    from roark_producer.taking import Intake
    from roark_worker.calls.reconcile import Comparer, Comparison
    from roark_worker.calls.reconciling import rules_of
    from roark_worker.calls.roark_calls import RoarkCalls
    from roark_worker.calls.rules import Stretch, StretchKind
    from roark_worker.calls.vapi import Vapi, VapiFailed
    from roark_worker.calls.vapi_settings import VapiSettings
    from roark_worker.settings import WorkerSettings
    from roark_worker.upload.roark import Token

    settings, worker = VapiSettings(), WorkerSettings()
    rules = rules_of(settings, worker)
    now_ms = round(time.time() * 1000)
    from_ms = moment_of(since, now_ms, "--since")
    to_ms = moment_of(until, now_ms, "--until") if until else now_ms
    if (oldest_ms := now_ms - rules.back_ms) > from_ms:
        say(
            f"Comparing the last {rules.back_ms / 86_400_000:g} days only "
            "(limited by ROARK_INGEST_RECONCILE_DAYS and ROARK_INGEST_REMEMBER_DAYS)."
        )
        from_ms = oldest_ms
    if from_ms >= to_ms:
        fail("--until must be later than --since.", USAGE)
    found = Comparison(from_ms, to_ms)
    with (
        Access.from_env() as access,
        Vapi(settings) as vapi,
        RoarkCalls(worker, Token.of(worker)) if at_roark else nullcontext() as roark,
        following(found, quiet=as_json) as show,
    ):
        if backfill:
            access.ledger.run(desk.log_deed(Action.BACKFILL, who=doer(actor(by))))
        intake, ledger = Intake(access.settings), access.durable_ledger()
        comparer = Comparer(ledger, vapi, rules, intake, backfill=backfill, roark=roark)
        try:
            comparer.compare(Stretch(StretchKind.NEW, from_ms, to_ms), found, done=show)
        except VapiFailed as failed:
            found.incomplete = str(failed)
    show_comparison(found, as_json=as_json)
    if found.incomplete or (found.at_roark and found.at_roark.silent):
        raise typer.Exit(INCOMPLETE)
    if found.missing or (found.at_roark and found.at_roark.absent):
        raise typer.Exit(TO_ACT_ON)
