"""Options that several commands share, and who acts when a person acts."""

import os
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one document a line.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
As = Annotated[str | None, typer.Option("--as", metavar="NAME", help="Who does this; otherwise the OS user.")]
CallIdArgument = Annotated[str, typer.Argument(metavar="CALL_ID", help="Vapi's call.id.", show_default=False)]
CallIds = Annotated[list[str], typer.Argument(metavar="CALL_ID", help="Vapi's call ids.", show_default=False)]
SomeCallIds = Annotated[
    list[str] | None, typer.Argument(metavar="CALL_ID", help="Vapi's call ids.", show_default=False)
]
AllDead = Annotated[bool, typer.Option("--all", help="All that are dead at this moment; what dies later stays.")]
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
