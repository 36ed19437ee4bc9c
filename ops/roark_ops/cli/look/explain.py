"""`roark-ingest explain`: what a code means, or the whole catalogue."""

from typing import Annotated

import typer

from roark_ops.cli.terminal.options import AsJson
from roark_ops.cli.terminal.running import USAGE, fail
from roark_ops.cli.terminal.words import shown

Code = Annotated[
    str | None,
    typer.Argument(
        metavar="CODE", help="A reason from `dlq list` or `why`: http_422, exhausted, …", show_default=False
    ),
]
List = Annotated[bool, typer.Option("--list", help="Explain every reason.")]


def explain(code: Code = None, *, list_: List = False, as_json: AsJson = False) -> None:
    """Explain a reason: what happened, who caused it, whether a replay helps, and what to do.

    Covers dead letters, paused uploads and rejected reports. The rules are fixed; nothing is guessed.
    """
    from roark_ops.cli.views.explain import print_catalogue, print_entry
    from roark_ops.desk import explain_rejected
    from roark_worker.answers import explain

    if list_ == bool(code):
        fail("give either a CODE or --list.", USAGE)
    if list_:
        print_catalogue([*explain.catalogue(), *explain_rejected.catalogue()], as_json=as_json)
        return
    name = str(code)
    if not explain.is_known(name):
        near = explain.near(name)
        like = f" Did you mean {' or '.join(near)}?" if near else ""
        fail(f"this version does not know {shown(name)}.{like} To see every code: roark-ingest explain --list")
    print_entry(explain.CatalogueEntry("dead letter", name, explain.explain(name)), as_json=as_json)
