"""`roark-ingest set-aside`, `dlq discard` and `restore`: take reports out of the way. Replays are in `replay.py`."""

from typing import TYPE_CHECKING, Annotated

import typer

from roark_ops.cli.letters.filtering import filtered, require_one_choice
from roark_ops.cli.letters.moved import tell
from roark_ops.cli.terminal.options import AllDead, As, AsJson, CallIds, Reason, SomeCallIds, Yes, actor
from roark_ops.cli.terminal.running import confirm, say
from roark_ops.cli.terminal.words import counted, span

if TYPE_CHECKING:
    from roark_ops.desk.finding import Filter

AllDiscarded = Annotated[bool, typer.Option("--all", help="Every discarded letter right now.")]


def set_aside(
    call_ids: CallIds,
    *,
    reason: Reason,
    by: As = None,
    as_json: AsJson = False,
) -> None:
    """Turn ready or waiting reports into dead letters, so that they are not uploaded.

    The report and its history are kept, along with who did this and why. `dlq replay` sends such a report after all;
    `dlq edit` and `dlq discard` work as for any dead letter.
    """
    from roark_ops.access import Access
    from roark_ops.cli.terminal.ids_as_options import refuse_ids_as_options
    from roark_ops.desk.dead_letters import DeadLetters

    with Access.from_env() as access:
        refuse_ids_as_options(access.ledger)
        moved = DeadLetters(access.ledger, by=actor(by)).set_aside(call_ids, reason)
    tell(moved, "set aside", as_json=as_json)


@filtered
def discard(
    call_ids: SomeCallIds = None,
    *,
    chosen: "Filter",
    all_: AllDead = False,
    reason: Reason = "",
    yes: Yes = False,
    by: As = None,
    as_json: AsJson = False,
) -> None:
    """Discard dead letters. Report and history are kept; `dlq restore` brings them back.

    For an unconfirmed delivery, given by its call ID, the stored report is dropped permanently.

    A filter selects the letters that match right now; later ones are not touched. Discarded letters are kept forever
    unless ROARK_INGEST_DISCARDED_DAYS is set; an alert warns before they are removed.
    """
    from roark_ops.access import Access
    from roark_ops.cli.terminal.ids_as_options import refuse_ids_as_options
    from roark_ops.desk.dead_letters import DeadLetters

    require_one_choice(call_ids, chosen, all_=all_)
    with Access.from_env() as access:
        refuse_ids_as_options(access.ledger)
        desk = DeadLetters(access.ledger, by=actor(by))
        ids = call_ids or desk.freeze(chosen)
        confirm(f"Discard {counted(len(set(ids)), 'dead letter')}?", yes=yes)
        moved = desk.discard(ids, reason)
        window_ms = desk.restorable_ms()
    if not as_json and any(one.result == "discarded" for one in moved):
        how_long = f"for {span(window_ms / 1000)}" if window_ms else "at any time"
        say(f"You can restore them {how_long}: roark-ingest dlq restore")
    tell(moved, "discarded", as_json=as_json)


@filtered
def restore(
    call_ids: SomeCallIds = None,
    *,
    chosen: "Filter",
    all_: AllDiscarded = False,
    reason: Reason = "",
    by: As = None,
    as_json: AsJson = False,
) -> None:
    """Undo `dlq discard`: make discarded letters dead letters again."""
    from roark_ledger.lifecycle import State
    from roark_ops.access import Access
    from roark_ops.cli.terminal.ids_as_options import refuse_ids_as_options
    from roark_ops.desk.dead_letters import DeadLetters

    require_one_choice(call_ids, chosen, all_=all_)
    with Access.from_env() as access:
        refuse_ids_as_options(access.ledger)
        desk = DeadLetters(access.ledger, by=actor(by))
        moved = desk.restore(call_ids or desk.freeze(chosen, state=State.DISCARDED), reason)
    tell(moved, "restored", as_json=as_json)
