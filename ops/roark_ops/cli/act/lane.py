"""`roark-ingest hold` and `resume`: stop the way to Roark by hand, and open it again."""

from typing import Annotated

import typer

from roark_ops.cli.terminal.options import As, AsJson, actor
from roark_ops.cli.terminal.output import print_json, print_line

Reason = Annotated[str, typer.Option(help="Why, for those who look later.", show_default=False)]


def hold(*, reason: Reason = "", by: As = None, as_json: AsJson = False) -> None:
    """Stop uploading: reports are still taken in and stay ready until `roark-ingest resume`.

    Uploads that are under way end. No attempt is counted, and nothing is lost.
    """
    from roark_ledger.moves import delivery
    from roark_ops.access import Access

    who = actor(by)
    with Access.from_env() as access:
        was_open = access.ledger.run(delivery.hold(by=who, reason=reason))
    if as_json:
        print_json({"lane": "held", "by": who, "reason": reason or None, "changed": was_open})
    elif was_open:
        print_line(f"The lane is on hold, by {who}. Reports stay ready until: roark-ingest resume")
    else:
        print_line(f"The lane was on hold already; it is now held by {who}, until: roark-ingest resume")


def resume(*, reason: Reason = "", by: As = None, as_json: AsJson = False) -> None:
    """Upload again, whoever stopped it; what was held back goes out at once."""
    from roark_ledger.lifecycle import State
    from roark_ledger.moves import delivery, watch
    from roark_ops.access import Access

    with Access.from_env() as access:
        was_held = access.ledger.run(delivery.resume(by=actor(by), reason=reason))
        ready = access.ledger.run(watch.snapshot()).states[State.READY]
        if ready:
            access.wake(ready)
    if as_json:
        print_json({"lane": "open", "changed": was_held, "ready": ready})
    elif was_held:
        print_line(f"The lane is open; {ready} ready.")
    else:
        print_line(f"The lane was not on hold; {ready} ready.")
