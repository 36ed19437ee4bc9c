"""`roark-ingest enqueue`: hand in reports from files."""

import sys
from typing import Annotated

import typer

from roark_ops.cli.options import AsJson
from roark_ops.cli.running import USAGE, fail

Files = Annotated[
    list[str] | None,
    typer.Argument(metavar="FILE", help="Files to read; - or none: standard input.", show_default=False),
]
Property = Annotated[
    list[str],
    typer.Option("--property", metavar="NAME=VALUE", help="Sent to Roark beside each report. May be repeated."),
]
Silent = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary.")]
Patience = Annotated[float, typer.Option(min=0, metavar="SECONDS", help="How long to try again while Redis is away.")]


def enqueue(
    files: Files = None,
    *,
    properties: Property = [],  # noqa: B006 Typer copies it
    patience: Patience = 30.0,
    quiet: Silent = False,
    as_json: AsJson = False,
) -> None:
    """Hand in reports: JSON, a JSON array or NDJSON; as Vapi sends them ({"message": …}) or bare.

    Files that end in .gz or .zst are unpacked. Files of any size are read in constant memory. A report that was
    handed in before is a duplicate and does no harm, so the same command may be run again. What cannot be used is
    told with its file and line, kept in the rejected bin, and the rest goes on.

    Ends with 0 when all is in, 3 when some were rejected, 1 when Redis could not be reached.
    """
    from roark_ops.cli.enqueueing import run
    from roark_ops.cli.sources import chosen

    given = dict(map(_pair, properties))
    raise typer.Exit(
        run(
            chosen(files),
            given,
            patience=patience,
            quiet=quiet or (as_json and sys.stdout.isatty()),
            as_json=as_json,
        )
    )


def _pair(text: str) -> tuple[str, str]:
    from roark_producer.errors import InvalidReport
    from roark_producer.properties import PropertyRules, gather

    name, found, value = text.partition("=")
    if not found:
        fail(f"--property {text}: there is no = in it; write NAME=VALUE.", USAGE)
    try:
        gather(PropertyRules(), b"{}", given={name: value})
    except InvalidReport as error:
        fail(f"--property {text}: {error}.", USAGE)
    return name, value
