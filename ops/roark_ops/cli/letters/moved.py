"""How it is told what became of calls that a person moved, and what to type for those that did not move."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from roark_ledger.ids import as_argument
from roark_ops.cli.terminal.output import print_json, print_line
from roark_ops.cli.terminal.running import FAILED, say
from roark_ops.cli.terminal.words import counted, shown

if TYPE_CHECKING:
    from roark_ops.desk.dead_letters import Moved


def tell(moved: "Sequence[Moved]", wanted: str, *, as_json: bool) -> None:
    """Print what became of calls; end with 1 where one was not what was wanted."""
    if as_json:
        for one in moved:
            print_json({"call_id": one.call_id, "result": one.result})
    else:
        print_line(f"{counted(sum(one.result == wanted for one in moved), 'report')} {wanted}.")
    others = [one for one in moved if one.result != wanted]
    for one in others:
        say(f"roark-ingest: call {shown(one.call_id)} was not {wanted}: {why_not_moved(one.call_id, one.result)}.")
    if others:
        raise typer.Exit(FAILED)


_WAYS_OUT = {
    "unknown": "it is unknown",
    "delivered": "it is delivered and confirmed",
    "ready": "it is ready. Take it out of the queue first: roark-ingest set-aside --reason TEXT {call}",
    "waiting": "it is waiting for a retry. Take it out of the queue first: roark-ingest set-aside --reason TEXT {call}",
    "uploading": "it is being uploaded. See the result: roark-ingest why {call}",
    "dead": "it is a dead letter. See roark-ingest dlq show {call}",
    "discarded": "it is discarded. Restore it: roark-ingest dlq restore {call}",
}


def why_not_moved(call_id: str, result: str) -> str:
    """Return in which state the call is instead, and what to type where that state has a way out."""
    told = _WAYS_OUT.get(result, f"it is {result}")
    return told.format(call=as_argument(shown(call_id)))
