"""`roark-ingest dlq confirm`: deliveries in which Roark did not name the call. `dlq replay` sends such a one again."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from roark_ops.cli.letters.moved import tell
from roark_ops.cli.terminal.options import As, AsJson, Reason, SomeCallIds, Yes, actor
from roark_ops.cli.terminal.output import print_json, print_line
from roark_ops.cli.terminal.running import USAGE, confirm, fail, say
from roark_ops.cli.terminal.words import counted, shown

if TYPE_CHECKING:
    from roark_ops.access import Access

All = Annotated[bool, typer.Option("--all", help="Every unconfirmed delivery right now.")]
List = Annotated[bool, typer.Option("--list", help="List their call IDs, oldest first, and change nothing.")]


def confirm_(
    call_ids: SomeCallIds = None,
    *,
    all_: All = False,
    list_: List = False,
    reason: Reason = "",
    yes: Yes = False,
    by: As = None,
    as_json: AsJson = False,
) -> None:
    """Confirm that unconfirmed calls are at Roark.

    A delivery is unconfirmed if Roark answered with success but without its call ID; the report is kept until you
    decide. `dlq replay CALL_ID` resends it, which is safe even if Roark has it (skipAlreadyImported). `dlq discard
    CALL_ID` drops the report.
    """
    from roark_ops.access import Access
    from roark_ops.desk.dead_letters import DeadLetters

    if sum((bool(call_ids), all_, list_)) != 1:
        fail("choose one: call IDs, --all, or --list.", USAGE)
    with Access.from_env() as access:
        desk = DeadLetters(access.ledger, by=actor(by))
        if list_:
            _list(desk.unconfirmed(), as_json=as_json)
            return
        ids = call_ids or desk.unconfirmed()
        confirm(f"Confirm {counted(len(set(ids)), 'call')}? Their stored reports are deleted.", yes=yes)
        tell(desk.confirm(ids, reason), "confirmed", as_json=as_json)


def _list(ids: Sequence[str], *, as_json: bool) -> None:
    for call_id in ids:
        if as_json:
            print_json({"call_id": call_id, "state": "delivered", "confirmed": False})
        else:
            print_line(shown(call_id))
    if not as_json:
        say(f"{counted(len(ids), 'unconfirmed call')}. To see Roark's answer: roark-ingest why CALL_ID")


def replay_unconfirmed(
    access: "Access", call_ids: Sequence[str], *, everything: bool, by: str, reason: str, yes: bool, as_json: bool
) -> list[str]:
    """Send those of the calls (or of all) again that are unconfirmed; return the others.

    They need no job and no ramp: Roark took them once.
    """
    from roark_ops.desk.dead_letters import DeadLetters

    desk = DeadLetters(access.ledger, by=by, wake=access.wake)
    all_unconfirmed = desk.unconfirmed()
    known = set(all_unconfirmed)
    wanted = all_unconfirmed if everything else [call_id for call_id in call_ids if call_id in known]
    if wanted:
        confirm(f"Resend {counted(len(wanted), 'unconfirmed report')}?", yes=yes)
        tell(desk.resend(wanted, reason=reason), "replayed", as_json=as_json)
    elif everything and not as_json:
        print_line("No unconfirmed deliveries.")
    return [call_id for call_id in call_ids if call_id not in known]
