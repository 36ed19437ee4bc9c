"""`roark-ingest dlq confirm`: deliveries in which Roark did not name the call. `dlq replay` sends such a one again."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from roark_ops.cli.letters.moved import tell
from roark_ops.cli.terminal.options import As, AsJson, Reason, SomeCallIds, Yes, actor
from roark_ops.cli.terminal.output import print_json, print_line
from roark_ops.cli.terminal.running import USAGE, confirm, fail
from roark_ops.cli.terminal.words import counted

if TYPE_CHECKING:
    from roark_ops.access import Access

All = Annotated[bool, typer.Option("--all", help="Every unconfirmed delivery right now.")]


def confirm_(
    call_ids: SomeCallIds = None,
    *,
    all_: All = False,
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
    from roark_ops.cli.terminal.ids_as_options import refuse_ids_as_options
    from roark_ops.desk.dead_letters import DeadLetters

    if bool(call_ids) is all_:
        fail("choose one: call IDs or --all. To see them: roark-ingest list --state unconfirmed", USAGE)
    with Access.from_env() as access:
        refuse_ids_as_options(access.ledger)
        desk = DeadLetters(access.ledger, by=actor(by))
        ids = call_ids or desk.unconfirmed()
        confirm(f"Confirm {counted(len(set(ids)), 'call')}? Their stored reports are deleted.", yes=yes)
        tell(desk.confirm(ids, reason), "confirmed", as_json=as_json)


def unconfirmed_of(access: "Access", call_ids: Sequence[str], *, everything: bool) -> list[str]:
    """Return those of the calls, or all, that are unconfirmed."""
    from roark_ops.desk.dead_letters import DeadLetters

    found = DeadLetters(access.ledger, by="").unconfirmed()
    known = set(found)
    return list(found) if everything else [call_id for call_id in call_ids if call_id in known]


def replay_unconfirmed(
    access: "Access", call_ids: Sequence[str], *, dry_run: bool, by: str, reason: str, yes: bool, as_json: bool
) -> None:
    """Send these unconfirmed reports again. They need no job and no ramp: Roark took them once."""
    from roark_ops.desk.dead_letters import DeadLetters

    if dry_run:
        for call_id in call_ids if as_json else ():
            print_json({"call_id": call_id, "result": "would be replayed"})
        if not as_json:
            number = counted(len(call_ids), "unconfirmed report")
            print_line(f"{number} would be sent again at once, without a replay job: Roark has accepted them once.")
        return
    confirm(f"Resend {counted(len(call_ids), 'unconfirmed report')}?", yes=yes)
    tell(
        DeadLetters(access.ledger, by=by, wake=access.wake).resend(call_ids, reason=reason), "replayed", as_json=as_json
    )
