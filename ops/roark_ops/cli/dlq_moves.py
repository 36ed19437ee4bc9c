"""`roark-ingest dlq replay`, `discard` and `restore`: change what becomes of dead letters."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from roark_ops.cli.options import As, AsJson, CallIds, Yes, actor
from roark_ops.cli.output import print_json, print_line
from roark_ops.cli.running import FAILED, USAGE, confirm, fail, say
from roark_ops.cli.words import counted, shown

if TYPE_CHECKING:
    from roark_ops.dead_letters import Moved

SomeCallIds = Annotated[
    list[str] | None, typer.Argument(metavar="CALL_ID", help="Vapi's call ids.", show_default=False)
]
All = Annotated[bool, typer.Option("--all", help="All that are dead at this moment; what dies later stays.")]


def replay(
    call_ids: SomeCallIds = None, *, all_: All = False, yes: Yes = False, by: As = None, as_json: AsJson = False
) -> None:
    """Send dead letters again, with their tries counted anew.

    What Roark has already is not imported twice. With --all the selection is frozen first, and its number told.
    """
    from roark_ops.access import Access
    from roark_ops.dead_letters import DeadLetters

    if bool(call_ids) == all_:
        fail("name the calls to replay, or say --all.", USAGE)
    with Access.from_env() as access:
        desk = DeadLetters(access.ledger, by=actor(by), wake=access.wake)
        chosen = desk.freeze() if all_ else call_ids or []
        if all_ and chosen:
            confirm(f"Replay {counted(len(chosen), 'dead letter')}?", yes=yes)
        moved = desk.replay(chosen)
    _tell(moved, "replayed", as_json=as_json, others_are_fine=all_)


def discard(call_ids: CallIds, *, yes: Yes = False, by: As = None, as_json: AsJson = False) -> None:
    """Put dead letters aside, payload and history kept; `restore` brings them back."""
    from roark_ops.access import Access
    from roark_ops.dead_letters import DeadLetters

    confirm(f"Discard {counted(len(set(call_ids)), 'dead letter')}?", yes=yes)
    with Access.from_env() as access:
        moved = DeadLetters(access.ledger, by=actor(by)).discard(call_ids)
    _tell(moved, "discarded", as_json=as_json)


def restore(call_ids: CallIds, *, by: As = None, as_json: AsJson = False) -> None:
    """Bring discarded reports back to the dead letters."""
    from roark_ops.access import Access
    from roark_ops.dead_letters import DeadLetters

    with Access.from_env() as access:
        moved = DeadLetters(access.ledger, by=actor(by)).restore(call_ids)
    _tell(moved, "restored", as_json=as_json)


def _tell(moved: "Sequence[Moved]", wanted: str, *, as_json: bool, others_are_fine: bool = False) -> None:
    if as_json:
        for one in moved:
            print_json({"call_id": one.call_id, "result": one.result})
    else:
        print_line(f"{counted(sum(one.result == wanted for one in moved), 'report')} {wanted}.")
    others = [one for one in moved if one.result != wanted]
    if others_are_fine:
        # Somebody else was faster; what is not dead any more needs no replay.
        for state, number in Counter(one.result for one in others).items():
            say(f"{counted(number, 'report')} {state} meanwhile: left alone.")
        return
    for one in others:
        say(f"roark-ingest: call {shown(one.call_id)} was not {wanted}: {_why_not(one.result)}.")
    if others:
        raise typer.Exit(FAILED)


def _why_not(result: str) -> str:
    return "it was never seen" if result == "unknown" else f"it is {result}"
