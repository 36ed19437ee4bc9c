"""`roark-ingest doctor`: is everything as it should be, and what mends it where not?"""

from typing import Annotated

import typer

from roark_ops.cli.terminal.options import AsJson
from roark_ops.cli.terminal.running import TO_ACT_ON

PublicUrl = Annotated[
    str | None,
    typer.Option(
        "--public-url",
        metavar="URL",
        help="Also test Vapi's server URL: post a large, harmless message through your proxy.",
        show_default=False,
    ),
]


def doctor(*, public_url: PublicUrl = None, as_json: AsJson = False) -> None:
    """Check Redis, durability, broker, token, Roark, webhook, workers, uploads and accounts, and say how to fix them.

    Exit code 3: a check failed. Warnings are worth a look, but exit with 0.
    """
    from roark_ops.cli.views.doctor import show_checks
    from roark_ops.doctor.examination import examine

    if show_checks(examine(public_url), as_json=as_json):
        raise typer.Exit(TO_ACT_ON)
