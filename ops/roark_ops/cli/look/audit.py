"""`roark-ingest audit`: is every report accounted for, and in exactly one place?"""

from typing import Annotated

import typer

from roark_ops.cli.terminal.options import As, AsJson, actor
from roark_ops.cli.terminal.running import TO_ACT_ON

Repair = Annotated[bool, typer.Option("--repair", help="Fix calls that are in no queue, or in two.")]


def audit(*, repair: Repair = False, by: As = None, as_json: AsJson = False) -> None:
    """Check that every report ever accepted is accounted for, in exactly one place.

    Uses at most a fifth of Redis's time. `status`, alerts and metrics show the result, too. Exit code 3: something is
    wrong.
    """
    from roark_ledger.moves import desk, upkeep
    from roark_ledger.records.logbook import Action, doer
    from roark_ops.access import Access
    from roark_ops.cli.views.audit import show_verdict
    from roark_worker.upkeep.audit import audit as run

    with Access.from_env() as access:
        access.remember()
        if repair:
            access.ledger.run(desk.log_deed(Action.REPAIR, who=doer(actor(by))))
        verdict = run(access.ledger, repair=repair)
        access.ledger.run(upkeep.audit_done(verdict.accounts))
    show_verdict(verdict, as_json=as_json)
    if not verdict.accounts.holds:
        raise typer.Exit(TO_ACT_ON)
