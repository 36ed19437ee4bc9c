"""`roark-ingest set-aside`, `dlq discard` and `restore`: take reports out of the way. Replays are in `replay.py`."""

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from roark_ops.cli.filtering import filtered, require_one_choice
from roark_ops.cli.options import AllDead, As, AsJson, CallIds, Reason, SomeCallIds, Yes, actor
from roark_ops.cli.output import print_json, print_line
from roark_ops.cli.running import FAILED, confirm, say
from roark_ops.cli.words import counted, shown, span

if TYPE_CHECKING:
    from roark_ops.dead_letters import Moved
    from roark_ops.finding import Filter

AllDiscarded = Annotated[bool, typer.Option("--all", help="All that are discarded at this moment.")]


def set_aside(
    call_ids: CallIds,
    *,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, for the log.", show_default=False)],
    by: As = None,
    as_json: AsJson = False,
) -> None:
    """Make dead letters of reports that are ready or waiting, so that they are not uploaded.

    Report and history are kept; who did it and why stands in them and in the log. `dlq replay` sends such a report
    after all, `dlq edit` and `dlq discard` work as for any dead letter.
    """
    from roark_ops.access import Access
    from roark_ops.dead_letters import DeadLetters

    with Access.from_env() as access:
        moved = DeadLetters(access.ledger, by=actor(by)).set_aside(call_ids, reason)
    _tell(moved, "set aside", as_json=as_json)


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
        say(f"roark-ingest: call {shown(one.call_id)} was not {wanted}: {_why_not(one, wanted)}.")
    if others:
        raise typer.Exit(FAILED)


def _why_not(moved: "Moved", wanted: str) -> str:
    """Return in which state the call is instead, and what to type where that state has a way out."""
    quoted = shlex.quote(shown(moved.call_id))
    match moved.result, wanted:
        case "unknown", _:
            return "it was never seen"
        case "ready" | "waiting", _:
            return (
                f"it is {moved.result}; take it out of the queue first: roark-ingest set-aside {quoted} --reason TEXT"
            )
        case "uploading", _:
            return f"it is being uploaded; see how that ends: roark-ingest why {quoted}"
        case "dead", _:
            return f"it is a dead letter: roark-ingest dlq show {quoted}"
        case "discarded", "set aside":
            return f"it is discarded; bring it back: roark-ingest dlq restore {quoted}"
        case _:
            return f"it is {moved.result}"
