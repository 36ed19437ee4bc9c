"""`roark-ingest why`: the whole story of one call."""

import typer

from roark_ops.cli.terminal.options import AsJson, CallIdArgument
from roark_ops.cli.terminal.running import FAILED


def why(call_id: CallIdArgument, *, as_json: AsJson = False) -> None:
    """Show what happened to one call, and what happens next.

    Exit code 1: the call is unknown.
    """
    from roark_ledger.moves import watch
    from roark_ops.access import Access
    from roark_ops.cli.views.why import show_story, show_unknown
    from roark_ops.desk.story import tell

    with Access.from_env() as access:
        entry = access.ledger.run(watch.look(call_id))
        snapshot = access.ledger.run(watch.snapshot())
    if entry is None:
        show_unknown(call_id, as_json=as_json)
        raise typer.Exit(FAILED)
    show_story(tell(entry, snapshot.lane, snapshot.setup), as_json=as_json)
