"""`roark-ingest dlq export` and `import`: dead letters to a file, and from a file into a ledger."""

from typing import Annotated

import typer

from roark_ops.cli.options import As, AsJson, actor

Target = Annotated[str, typer.Argument(metavar="FILE", help="Packed where it ends in .gz or .zst; -: standard output.")]
Origin = Annotated[str, typer.Argument(metavar="FILE", help="What `dlq export` wrote; -: standard input.")]
Force = Annotated[bool, typer.Option("--force", help="Replace a file that is there.")]


def export(file: Target, *, force: Force = False, as_json: AsJson = False) -> None:
    """Write every dead letter to a file, a line each: why it died, its properties, the report byte for byte.

    The file holds transcripts and phone numbers. Nothing changes in the ledger.
    """
    from roark_ops.access import Access
    from roark_ops.cli.carrying import carry_out

    with Access.from_env() as access:
        carry_out(access, file, force=force, as_json=as_json)


def import_(file: Origin, *, by: As = None, as_json: AsJson = False) -> None:
    """Hand in the reports of an exported file, with their properties, as `enqueue` would.

    May be repeated: what the ledger has already is a duplicate. A dead letter is not replayed by it.
    """
    from roark_ops.cli.carrying import carry_in
    from roark_ops.cli.sources import chosen

    if code := carry_in(chosen([file]), by=actor(by), as_json=as_json):
        raise typer.Exit(code)
