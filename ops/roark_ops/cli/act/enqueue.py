"""`roark-ingest enqueue`: hand in reports from files."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from roark_ops.cli.terminal.options import UNSEEN, AsJson, unseen
from roark_ops.cli.terminal.running import USAGE, fail

if TYPE_CHECKING:
    from roark_producer.vapi.properties import Scalar

Files = Annotated[
    list[str] | None,
    typer.Argument(metavar="FILE", help="Files to read. Use - (or no file) for standard input.", show_default=False),
]
Property = Annotated[
    list[str],
    typer.Option(
        "--property",
        metavar="NAME=VALUE",
        help=f"A property to send to Roark with every report. Repeatable. {UNSEEN}",
        callback=unseen,
    ),
]
At = Annotated[
    str | None,
    typer.Option(
        metavar="PATH", help="Path to the message in each document, such as body, payload or data[].attributes.message."
    ),
]
KeepRejected = Annotated[
    bool, typer.Option("--keep-rejected", help="Also keep unusable documents in the rejected bin.")
]
Silent = Annotated[bool, typer.Option("--quiet", "-q", help="Print no progress and no summary.")]
Patience = Annotated[
    str, typer.Option(metavar="TIME", help="How long to keep retrying while Redis is unreachable: 30s, 5min, 2h.")
]


def enqueue(
    files: Files = None,
    *,
    properties: Property = [],  # noqa: B006 Typer copies it
    at: At = None,
    keep_rejected: KeepRejected = False,
    patience: Patience = "30s",
    quiet: Silent = False,
    as_json: AsJson = False,
) -> None:
    """Queue reports from files: JSON, NDJSON or CSV, as Vapi sends them ({"message": …}) or unwrapped.

    Arrays and concatenated documents work too, and so does CSV with JSON in one column. Compressed files (gzip, zstd,
    bzip2, xz) are detected automatically. Memory use stays constant, however large the files are. Running the same
    command again is safe: reports that are already stored count as duplicates. A Call object from Vapi's API is turned
    into a report, unless the call is already known. Unusable documents are reported with file and line; the rest
    continues.

    --at is the path to the message inside each document: names separated by dots, and [] for every element of an
    array. A string found there is parsed as JSON. Without --at, the error message for a wrapped report suggests it.

    Exit codes: 0 everything is queued, 3 some documents were unusable or a file held no report, 1 Redis is
    unreachable or a file could not be read to its end.
    """
    from roark_ops.cli.act.enqueueing import Wishes, run
    from roark_ops.cli.terminal.since import seconds_of
    from roark_ops.cli.terminal.sources import chosen

    given: dict[str, Scalar] = dict(map(_pair, properties))
    wishes = Wishes(
        properties=given,
        at=place(at),
        keep_rejected=keep_rejected,
        patience=seconds_of(patience, "--patience"),
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
        fail(f"--at {at}: {error}. Try body, payload.message or data[].attributes.message.", USAGE)


def _pair(text: str) -> tuple[str, str]:
    from roark_ledger.errors import InvalidReport
    from roark_producer.vapi.properties import PropertyRules, gather

    name, found, value = text.partition("=")
    if not found:
        fail(f"--property {text}: the = is missing. Write NAME=VALUE.", USAGE)
    try:
        gather(PropertyRules(), b"{}", given={name: value})
    except InvalidReport as error:
        fail(f"--property {text}: {error}.", USAGE)
    return name, value
