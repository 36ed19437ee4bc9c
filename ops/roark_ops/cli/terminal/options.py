"""Options that several commands share, and who acts when a person acts.

Who acts is the user of Redis, where a password stands behind it; `--as`, or the OS user, only adds a name. Without
users (`default`) that name is all there is.
"""

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
_NOBODY = "default"


def actor(name: str | None) -> str:
    """Return who acts: the user of Redis, and the name that was given or the OS user.

    Raises ConfigurationError for a user whose role is not to act: its scripts would be refused half-way.
    """
    found = (name or _os_user()).strip()
    if user := _redis_user():
        return f"{user} ({found})"
    # In the ledger a hold by "roark" is one that Roark's answers brought about, and a good probe ends it.
    return f"{found} (by hand)" if found == _ROARK else found


def _redis_user() -> str:
    from roark_ledger.errors import ConfigurationError, IngestError
    from roark_ledger.server.connection import translated_errors
    from roark_ops.access import Access
    from roark_ops.roles import RedisRole, role_of

    try:
        with Access.from_env() as access, translated_errors():
            user = str(access.ledger.client.acl_whoami())
    except IngestError:
        # Where there is no server the command itself says so; one that does not tell has no users.
        return ""
    if role_of(user) not in {None, RedisRole.OPERATOR}:
        raise ConfigurationError(f"the Redis user {user} may not do this; use the URL of the user operator")
    return "" if user == _NOBODY else user


def _os_user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # In a container the user often has no name.
        return f"uid {os.getuid()}"
