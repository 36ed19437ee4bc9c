"""`roark-ingest dlq export` and `import`: dead letters to a file, and from a file into a ledger."""

from typing import TYPE_CHECKING, Annotated

import typer

from roark_ops.cli.letters.filtering import filtered
from roark_ops.cli.terminal.options import As, AsJson, actor

if TYPE_CHECKING:
    from roark_ops.desk.finding import Filter

Target = Annotated[str, typer.Argument(metavar="FILE", help="Packed where it ends in .gz or .zst; -: standard output.")]
Origin = Annotated[str, typer.Argument(metavar="FILE", help="What `dlq export` wrote; -: standard input.")]
Force = Annotated[bool, typer.Option("--force", help="Replace a file that is there.")]
Partial = Annotated[bool, typer.Option("--partial", help="Lines may be missing or changed: look at no manifest.")]
Check = Annotated[bool, typer.Option("--check", help="Look whether the file is whole and good; hand nothing in.")]


@filtered
def export(file: Target, *, chosen: "Filter", force: Force = False, by: As = None, as_json: AsJson = False) -> None:
    """Write dead letters to a file, a line each: why it died, its properties, the report byte for byte.

    All of them, or those that are chosen. Behind them stands a manifest with their number and checksum. The file holds
    transcripts and phone numbers. Nothing changes in the ledger. Any number is exported in constant memory.
    """
    from roark_ops.access import Access
    from roark_ops.cli.letters.carrying import carry_out

    with Access.from_env() as access:
        carry_out(access, chosen, file, by=actor(by), force=force, as_json=as_json)


def import_(
    file: Origin, *, partial: Partial = False, check: Check = False, by: As = None, as_json: AsJson = False
) -> None:
    """Hand in the reports of an exported file, with their properties, as `enqueue` would.

    May be repeated: what the ledger has already is a duplicate. A dead letter is not replayed by it. Ends with 1 where
    the file is not what was exported, with 3 where lines could not be used.
    """
    from roark_ops.cli.letters.carrying import carry_in
    from roark_ops.cli.terminal.sources import chosen

    if code := carry_in(chosen([file]), by=actor(by), partial=partial, check=check, as_json=as_json):
        raise typer.Exit(code)
