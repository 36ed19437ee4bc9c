"""`roark-ingest explain`: what a code means, or the whole catalogue."""

from typing import Annotated

import typer

from roark_ops.cli.terminal.options import AsJson
from roark_ops.cli.terminal.running import FAILED, USAGE, fail, say
from roark_ops.cli.terminal.words import shown

Code = Annotated[
    str | None,
    typer.Argument(metavar="CODE", help="As `dlq list` and `why` show it: http_422, exhausted, …", show_default=False),
]
List = Annotated[bool, typer.Option("--list", help="Every explanation that there is.")]


def explain(code: Code = None, *, list_: List = False, as_json: AsJson = False) -> None:
    """What a reason means: what happened, on whose side, whether a replay helps, what to do, what to type.

    Of dead letters, holds of the lane, and reports that were rejected. The rules are fixed; nothing is guessed.
    """
    from roark_ops.cli.views.explain import print_catalogue, print_entry
    from roark_ops.desk import explain_rejected
    from roark_worker.answers import explain

    if list_ == bool(code):
        fail("name a code, or say --list.", USAGE)
    if list_:
        print_catalogue([*explain.catalogue(), *explain_rejected.catalogue()], as_json=as_json)
        return
    name = str(code)
    print_entry(explain.CatalogueEntry("dead letter", name, explain.explain(name)), as_json=as_json)
    if not explain.is_known(name):
        say(f"roark-ingest: {shown(name)} is no code of this version. `roark-ingest explain --list` shows all of them.")
        raise typer.Exit(FAILED)
