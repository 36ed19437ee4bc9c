"""Options that several commands share, and who acts when a person acts."""

import os
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one document per line.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask for confirmation.")]
As = Annotated[str | None, typer.Option("--as", metavar="NAME", help="Who is doing this (default: the OS user).")]
CallIdArgument = Annotated[str, typer.Argument(metavar="CALL_ID", help="Vapi's call ID.", show_default=False)]
CallIds = Annotated[list[str], typer.Argument(metavar="CALL_ID", help="Vapi's call IDs.", show_default=False)]
SomeCallIds = Annotated[
    list[str] | None, typer.Argument(metavar="CALL_ID", help="Vapi's call IDs.", show_default=False)
]
AllDead = Annotated[bool, typer.Option("--all", help="Every dead letter right now; later ones are not touched.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the log.", show_default=False)]

_ROARK = "roark"


def actor(name: str | None) -> str:
    """Return who acts: the name that was given, or the OS user."""
    found = (name or _os_user()).strip()
    # In the ledger a hold by "roark" is one that Roark's answers brought about, and a good probe ends it.
    return f"{found} (by hand)" if found == _ROARK else found


def _os_user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # In a container the user often has no name.
        return f"uid {os.getuid()}"
