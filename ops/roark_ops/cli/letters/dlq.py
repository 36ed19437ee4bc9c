"""`roark-ingest dlq`: look at the dead letters. What changes them is in `dlq_moves.py`, files in `dlq_files.py`."""

from typing import TYPE_CHECKING, Annotated

import typer

from roark_ledger.ids import as_argument
from roark_ops.cli.letters.filtering import filtered
from roark_ops.cli.terminal.options import AsJson, CallIdArgument
from roark_ops.cli.terminal.running import FAILED, USAGE, fail, say
from roark_ops.cli.terminal.words import shown

if TYPE_CHECKING:
    from roark_ops.desk.finding import Filter
    from roark_ops.desk.pages import Cursor

Limit = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N", help="How many to show (default: 50; all with --json or --csv).", show_default=False
    ),
]
All = Annotated[bool, typer.Option("--all", help="Show all of them.")]
From = Annotated[
    str,
    typer.Option("--cursor", metavar="CURSOR", help="Continue where the previous list stopped.", show_default=False),
]
Discarded = Annotated[bool, typer.Option("--discarded", help="Show discarded letters instead of dead ones.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV with a header line.")]
Payload = Annotated[
    bool, typer.Option("--payload", help="Print the stored report itself, including transcript and phone numbers.")
]

_SHOWN_TO_PEOPLE = 50


@filtered
def list_(
    *,
    chosen: "Filter",
    limit: Limit = None,
    all_: All = False,
    cursor: From = "",
    discarded: Discarded = False,
    as_csv: AsCsv = False,
    as_json: AsJson = False,
) -> None:
    """List dead letters, oldest first: call, since when, and why.

    The list shows the state at the start: letters that come or go while you page through it shift nothing. If it is
    cut, it says so and how to see the rest.
    """
    from roark_ledger.lifecycle import State
    from roark_ops.access import Access
    from roark_ops.cli.letters.dlq_list import show_dead, show_letters
    from roark_ops.desk.dead_letters import DeadLetters

    limit, form, behind = how_to_list(limit, cursor, all_=all_, as_csv=as_csv, as_json=as_json)
    state = State.DISCARDED if discarded else State.DEAD
    with Access.from_env() as access:
        show_letters(
            access.ledger,
            chosen,
            [state],
            limit=limit,
            behind=behind,
            form=form,
            show_table=lambda shown: show_dead(shown, state),
        )
        if notice := DeadLetters(access.ledger, by="").retention_notice(state):
            say(notice)


def how_to_list(
    limit: int | None, cursor: str, *, all_: bool, as_csv: bool, as_json: bool
) -> "tuple[int | None, str, Cursor | None]":
    """Return how many to show, in which form, and from where on; ends the command where that makes no sense."""
    from roark_ops.desk.pages import Cursor

    if (as_csv and as_json) or (all_ and limit):
        fail("choose either --csv or --json, and either --all or --limit.", USAGE)
    if limit is None and not (all_ or as_csv or as_json):
        limit = _SHOWN_TO_PEOPLE
    try:
        behind = Cursor.parse(cursor) if cursor else None
    except ValueError:
        fail(f"--cursor {shown(cursor)}: not a valid cursor. A cut list prints the right one.", USAGE)
    return limit, "csv" if as_csv else "json" if as_json else "", behind


@filtered
def groups(*, chosen: "Filter", as_json: AsJson = False) -> None:
    """Group dead letters by cause: same reason and same message, ignoring IDs and numbers.

    Each group shows what its letters have in common (an assistant, a property), what changed just before the first of
    them failed (the workers' version, settings or token), what it means, and what to do.
    """
    from roark_ops.access import Access
    from roark_ops.cli.views.letters import show_groups
    from roark_ops.desk.dead_letters import DeadLetters

    with Access.from_env() as access:
        desk = DeadLetters(access.ledger, by="")
        show_groups(desk, desk.groups(chosen), as_json=as_json)


def show(call_id: CallIdArgument, *, payload: Payload = False, as_json: AsJson = False) -> None:
    """Show one dead letter: every attempt with time, status and Roark's answer, and what to do."""
    from roark_ledger.lifecycle import State
    from roark_ledger.moves import watch
    from roark_ops.access import Access
    from roark_ops.cli.views.letters import show_payload
    from roark_ops.cli.views.why import show_story, show_unknown
    from roark_ops.desk.dead_letters import DeadLetters
    from roark_ops.desk.story import tell

    with Access.from_env() as access:
        entry = DeadLetters(access.ledger, by="").show(call_id)
        snapshot = access.ledger.run(watch.snapshot())
    if entry is None:
        show_unknown(call_id, as_json=as_json)
        raise typer.Exit(FAILED)
    story = tell(entry, snapshot.lane, snapshot.setup)
    if story.state not in {State.DEAD, State.DISCARDED}:
        why = f"roark-ingest why {as_argument(call_id)}"
        fail(f"call {shown(call_id)} is not a dead letter, it is {story.state}. See {why}")
    if payload:
        show_payload(entry, story, as_json=as_json)
    else:
        show_story(story, as_json=as_json, asked_by="roark-ingest dlq show")
