"""`roark-ingest dlq`: look at the dead letters. What changes them is in `dlq_moves.py`, files in `dlq_files.py`."""

from typing import Annotated

import typer

from roark_ops.cli.options import AsJson, CallIdArgument
from roark_ops.cli.running import FAILED, fail
from roark_ops.cli.words import shown

Limit = Annotated[int, typer.Option(min=1, max=10_000, help="Show so many.")]
Offset = Annotated[int, typer.Option(min=0, help="Pass over so many, from the oldest.")]
Discarded = Annotated[bool, typer.Option("--discarded", help="The discarded instead of the dead.")]
Payload = Annotated[
    bool, typer.Option("--payload", help="Print the report itself, byte for byte: transcript, phone number and all.")
]


def list_(*, limit: Limit = 50, offset: Offset = 0, discarded: Discarded = False, as_json: AsJson = False) -> None:
    """The dead letters, oldest first: call, since when, why."""
    from roark_ops.access import Access
    from roark_ops.cli.dlq_view import show_letters
    from roark_ops.dead_letters import DeadLetters
    from roark_producer import operations
    from roark_producer.lifecycle import State

    state = State.DISCARDED if discarded else State.DEAD
    with Access.from_env() as access:
        letters = DeadLetters(access.ledger, by="").list(limit=limit, offset=offset, state=state)
        snapshot = access.ledger.run(operations.snapshot())
    show_letters(letters, snapshot, state, offset=offset, as_json=as_json)


def groups(*, as_json: AsJson = False) -> None:
    """What the dead letters died of: letters with the same reason and message are one group."""
    from roark_ops.access import Access
    from roark_ops.cli.dlq_view import show_groups
    from roark_ops.dead_letters import DeadLetters

    with Access.from_env() as access:
        found = DeadLetters(access.ledger, by="").groups()
    show_groups(found, as_json=as_json)


def show(call_id: CallIdArgument, *, payload: Payload = False, as_json: AsJson = False) -> None:
    """One dead letter: every attempt with its time, status and Roark's reason, and what to do."""
    from roark_ops.access import Access
    from roark_ops.cli.dlq_view import show_payload
    from roark_ops.cli.why_view import show_story, show_unknown
    from roark_ops.dead_letters import DeadLetters
    from roark_ops.story import tell
    from roark_producer import operations
    from roark_producer.lifecycle import State

    with Access.from_env() as access:
        entry = DeadLetters(access.ledger, by="").show(call_id)
        lane = access.ledger.run(operations.snapshot()).lane
    if entry is None:
        show_unknown(call_id, as_json=as_json)
        raise typer.Exit(FAILED)
    story = tell(entry, lane)
    if story.state not in {State.DEAD, State.DISCARDED}:
        fail(f"call {shown(call_id)} is no dead letter, it is {story.state}. `roark-ingest why` tells its story.")
    if payload:
        show_payload(entry, story, as_json=as_json)
    else:
        show_story(story, as_json=as_json, asked_by="roark-ingest dlq show")
