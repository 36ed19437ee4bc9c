"""How explanations are shown: one, or the whole catalogue."""

from collections.abc import Sequence

from roark_ops.cli.terminal.output import print_json, print_line
from roark_ops.cli.terminal.words import shown
from roark_ops.cli.views.why import explanation_document
from roark_worker.answers.explain import CatalogueEntry

_HEADS = {
    "dead letter": "Why a report is a dead letter",
    "hold": "Why uploads are paused",
    "lane": "Why uploads are slow or stopped",
    "rejected": "Why input was rejected",
}


def print_catalogue(entries: Sequence[CatalogueEntry], *, as_json: bool) -> None:
    """Print every entry, by kind."""
    kind = ""
    for entry in entries:
        if not as_json and entry.kind != kind:
            kind = entry.kind
            print_line(_HEADS[kind], style="bold underline")
            print_line()
        print_entry(entry, as_json=as_json)


def print_entry(entry: CatalogueEntry, *, as_json: bool) -> None:
    """Print one entry."""
    found = entry.explanation
    if as_json:
        print_json({"kind": entry.kind, "codes": entry.codes} | explanation_document(found))
        return
    print_line(shown(entry.codes), style="bold")
    print_line(f"  {shown(found.what)}")
    print_line(f"  {found.cause_in_words}")
    print_line(f"  {found.todo}")
    print_line(f"  Next: {found.command}")
    print_line()
