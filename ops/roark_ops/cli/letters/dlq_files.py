"""`roark-ingest dlq export` and `import`: dead letters to a file, and from a file into a ledger."""

from typing import TYPE_CHECKING, Annotated

import typer

from roark_ops.cli.letters.filtering import filtered
from roark_ops.cli.terminal.options import As, AsJson, actor

if TYPE_CHECKING:
    from roark_ops.desk.finding import Filter

Target = Annotated[
    str, typer.Argument(metavar="FILE", help="Compressed if the name ends in .gz or .zst. Use - for standard output.")
]
Origin = Annotated[str, typer.Argument(metavar="FILE", help="A file from `dlq export`. Use - for standard input.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")]
Partial = Annotated[bool, typer.Option("--partial", help="Accept missing or changed lines: ignore the manifest.")]
Sha256 = Annotated[
    str,
    typer.Option(
        "--sha256",
        metavar="CHECKSUM",
        help="Queue nothing unless the letters have this checksum (see `dlq export`, `log list`): a manifest can be "
        "forged along with the letters.",
        show_default=False,
    ),
]
Check = Annotated[bool, typer.Option("--check", help="Only check that the file is complete and valid.")]


@filtered
def export(file: Target, *, chosen: "Filter", force: Force = False, by: As = None, as_json: AsJson = False) -> None:
    """Write dead letters to a file, one per line: reason, properties, and the report byte for byte.

    Exports all of them, or those the filters select, and ends with a manifest (count and checksum). The file contains
    transcripts and phone numbers. The ledger is not changed, and memory use stays constant.
    """
    from roark_ops.access import Access
    from roark_ops.cli.letters.carrying import carry_out

    with Access.from_env() as access:
        carry_out(access, chosen, file, by=actor(by), force=force, as_json=as_json)


def import_(
    file: Origin,
    *,
    partial: Partial = False,
    check: Check = False,
    sha256: Sha256 = "",
    by: As = None,
    as_json: AsJson = False,
) -> None:
    """Queue the reports of an exported file, with their properties, as `enqueue` would.

    Running it again is safe: what the ledger already has counts as a duplicate. It does not replay a dead letter. Exit
    codes: 1 the file differs from what was exported, 3 some lines were unusable.
    """
    from roark_ops.cli.letters.carrying import carry_in
    from roark_ops.cli.terminal.sources import chosen

    if code := carry_in(chosen([file]), by=actor(by), partial=partial, check=check, as_json=as_json, sha256=sha256):
        raise typer.Exit(code)
