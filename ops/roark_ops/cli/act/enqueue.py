"""`roark-ingest enqueue`: hand in reports from files."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from roark_ops.cli.terminal.options import AsJson
from roark_ops.cli.terminal.running import USAGE, fail

if TYPE_CHECKING:
    from roark_producer.vapi.properties import Scalar

Files = Annotated[
    list[str] | None,
    typer.Argument(metavar="FILE", help="Files to read; - or none: standard input.", show_default=False),
]
Property = Annotated[
    list[str],
    typer.Option("--property", metavar="NAME=VALUE", help="Sent to Roark beside each report. May be repeated."),
]
At = Annotated[
    str | None,
    typer.Option(
        metavar="PLACE", help="Where in each document the message stands: body, payload, data[].attributes.message."
    ),
]
KeepRejected = Annotated[
    bool, typer.Option("--keep-rejected", help="Put what cannot be used into the rejected bin as well.")
]
Silent = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary.")]
Patience = Annotated[float, typer.Option(min=0, metavar="SECONDS", help="How long to try again while Redis is away.")]


def enqueue(
    files: Files = None,
    *,
    properties: Property = [],  # noqa: B006 Typer copies it
    at: At = None,
    keep_rejected: KeepRejected = False,
    patience: Patience = 30.0,
    quiet: Silent = False,
    as_json: AsJson = False,
) -> None:
    """Hand in reports: JSON, a JSON array or NDJSON; as Vapi sends them ({"message": …}) or bare.

    Also documents with nothing between them, and CSV with JSON in a column. Packed files (gzip, zstd, bzip2, xz) are
    known by their first bytes. Files of any size are read in constant memory. A report that was handed in before is a
    duplicate and does no harm, so the same command may be run again. Of a Call object, as Vapi's API returns it, the
    report is made, unless the call is known. What cannot be used is told with its file and line, and the rest goes on.

    --at names where in each document the message stands: members with dots between them, [] for each element of an
    array; a string there is read as JSON. Without it, what is told of a wrapper names the place.

    Ends with 0 when all is in, 3 when some could not be used or a file held no report, 1 when Redis could not be
    reached or a file could not be read to its end.
    """
    from roark_ops.cli.act.enqueueing import Wishes, run
    from roark_ops.cli.terminal.sources import chosen

    given: dict[str, Scalar] = dict(map(_pair, properties))
    wishes = Wishes(
        properties=given,
        at=place(at),
        keep_rejected=keep_rejected,
        patience=patience,
        quiet=quiet or (as_json and sys.stdout.isatty()),
        as_json=as_json,
    )
    raise typer.Exit(run(chosen(files), wishes))


def place(at: str | None) -> tuple[str, ...] | None:
    """Return the steps of --at; ends the command where it cannot be read."""
    from roark_producer.vapi.places import parse_place

    try:
        return None if at is None else parse_place(at)
    except ValueError as error:
        fail(f"--at {at}: {error}. Write it like body, payload.message or data[].attributes.message.", USAGE)


def _pair(text: str) -> tuple[str, str]:
    from roark_ledger.errors import InvalidReport
    from roark_producer.vapi.properties import PropertyRules, gather

    name, found, value = text.partition("=")
    if not found:
        fail(f"--property {text}: there is no = in it; write NAME=VALUE.", USAGE)
    try:
        gather(PropertyRules(), b"{}", given={name: value})
    except InvalidReport as error:
        fail(f"--property {text}: {error}.", USAGE)
    return name, value
