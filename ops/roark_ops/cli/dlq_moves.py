"""`roark-ingest dlq discard` and `restore`: put dead letters aside, bring them back. Replays are in `replay.py`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from roark_ops.cli.filtering import filtered, require_one_choice
from roark_ops.cli.options import AllDead, As, AsJson, Reason, SomeCallIds, Yes, actor
from roark_ops.cli.output import print_json, print_line
from roark_ops.cli.running import FAILED, confirm, say
from roark_ops.cli.words import counted, shown, span

if TYPE_CHECKING:
    from roark_ops.dead_letters import Moved
    from roark_ops.finding import Filter

AllDiscarded = Annotated[bool, typer.Option("--all", help="All that are discarded at this moment.")]


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
    """Put dead letters aside, payload and history kept; `restore` brings them back.

    What a filter chooses is frozen first, and its number told: what dies later stays. Discarded reports are kept for
    ever, unless ROARK_INGEST_DISCARDED_DAYS says otherwise; before they go it is announced.
    """
    from roark_ops.access import Access
    from roark_ops.dead_letters import DeadLetters

    require_one_choice(call_ids, chosen, all_=all_)
    with Access.from_env() as access:
        desk = DeadLetters(access.ledger, by=actor(by))
        ids = call_ids or desk.freeze(chosen)
        confirm(f"Discard {counted(len(set(ids)), 'dead letter')}?", yes=yes)
        moved = desk.discard(ids, reason)
        window_ms = desk.restorable_ms()
    if not as_json and any(one.result == "discarded" for one in moved):
        how_long = f"for {span(window_ms / 1000)}" if window_ms else "at any time"
        say(f"They can be brought back {how_long}: roark-ingest dlq restore")
    _tell(moved, "discarded", as_json=as_json)


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
    """Bring discarded reports back to the dead letters: the undo of `discard`."""
    from roark_ops.access import Access
    from roark_ops.dead_letters import DeadLetters
    from roark_producer.lifecycle import State

    require_one_choice(call_ids, chosen, all_=all_)
    with Access.from_env() as access:
        desk = DeadLetters(access.ledger, by=actor(by))
        moved = desk.restore(call_ids or desk.freeze(chosen, state=State.DISCARDED), reason)
    _tell(moved, "restored", as_json=as_json)


def _tell(moved: "Sequence[Moved]", wanted: str, *, as_json: bool) -> None:
    if as_json:
        for one in moved:
            print_json({"call_id": one.call_id, "result": one.result})
    else:
        print_line(f"{counted(sum(one.result == wanted for one in moved), 'report')} {wanted}.")
    others = [one for one in moved if one.result != wanted]
    for one in others:
        say(f"roark-ingest: call {shown(one.call_id)} was not {wanted}: {_why_not(one.result)}.")
    if others:
        raise typer.Exit(FAILED)


def _why_not(result: str) -> str:
    return "it was never seen" if result == "unknown" else f"it is {result}"
