"""Options that several commands share, and who acts when a person acts.

Who acts is the user of Redis (see `desk/acting.py`); `--as`, or the OS user, only adds a name.
"""

import os
import sys
from typing import Annotated, Any

import typer

from roark_ops.cli.terminal.running import USAGE, fail

STDIN = "-"
UNSEEN = "- asks for it, or reads a line of standard input: options show in process lists."


def unseen(param: typer.CallbackParam, value: Any) -> Any:
    """Return an option's text, or texts, which a person may keep off the command line: `-` stands for a line of stdin.

    Several `-` read several lines, in the order of the options.
    """
    if isinstance(value, list | tuple):
        return [unseen(param, each) for each in value]
    if value != STDIN:
        return value
    option = param.opts[-1]
    if sys.stdin.isatty():
        return typer.prompt(option.lstrip("-").capitalize(), err=True)
    # Not by the text layer, which would read ahead of what follows.
    line = sys.stdin.buffer.readline().decode("utf-8", "replace").strip()
    return line or fail(f"{option} -: standard input has no line for it.", USAGE)


def reason_for(what: str) -> Any:
    """Return the option `--reason` of a command that writes it down there."""
    return typer.Option("--reason", metavar="TEXT", help=f"Why, {what}. {UNSEEN}", show_default=False, callback=unseen)


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one document per line.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask for confirmation.")]
As = Annotated[str | None, typer.Option("--as", metavar="NAME", help="Who is doing this (default: the OS user).")]
CallIdArgument = Annotated[str, typer.Argument(metavar="CALL_ID", help="Vapi's call ID.", show_default=False)]
CallIds = Annotated[list[str], typer.Argument(metavar="CALL_ID", help="Vapi's call IDs.", show_default=False)]
SomeCallIds = Annotated[
    list[str] | None, typer.Argument(metavar="CALL_ID", help="Vapi's call IDs.", show_default=False)
]
AllDead = Annotated[bool, typer.Option("--all", help="Every dead letter right now; later ones are not touched.")]
Reason = Annotated[str, reason_for("for the log")]


def actor(name: str | None) -> str:
    """Return who acts: the user of Redis, and the name that was given or the OS user.

    Raises ConfigurationError for a user whose role is not to act: its scripts would be refused half-way.
    """
    from roark_ledger.errors import LedgerError
    from roark_ops.access import Access
    from roark_ops.desk.acting import acting, by_hand

    found = person(name)
    try:
        with Access.from_env() as access:
            return acting(access.ledger, found)
    except LedgerError:
        # Where there is no server the command itself says so.
        return by_hand(found)


def person(name: str | None = None) -> str:
    """Return the name that was given, or the OS user."""
    return (name or _os_user()).strip()


def _os_user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # In a container the user often has no name.
        return f"uid {os.getuid()}"
