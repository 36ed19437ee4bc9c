"""`roark-ingest why`: the whole story of one call."""

import typer

from roark_ops.cli.options import AsJson, CallIdArgument
from roark_ops.cli.running import FAILED


def why(call_id: CallIdArgument, *, as_json: AsJson = False) -> None:
    """What happened to one call, and what happens next.

    Ends with 1 when the ledger has never seen the call.
    """
    from roark_ops.access import Access
    from roark_ops.cli.why_view import show_story, show_unknown
    from roark_ops.story import tell
    from roark_producer import operations

    with Access.from_env() as access:
        entry = access.ledger.run(operations.look(call_id))
        snapshot = access.ledger.run(operations.snapshot())
    if entry is None:
        show_unknown(call_id, as_json=as_json)
        raise typer.Exit(FAILED)
    show_story(tell(entry, snapshot.lane, snapshot.setup), as_json=as_json)
