"""`roark-ingest acl`: the users of the ledger's server, one for each part and for people, each with what it needs."""

from pathlib import Path
from typing import Annotated

import typer

from roark_ops.cli.terminal.output import print_line

Folder = Annotated[
    Path | None,
    typer.Argument(metavar="FOLDER", help="Create passwords, users and URLs here.", show_default=False),
]
Apply = Annotated[bool, typer.Option("--apply", help="Create the users on the server (ROARK_INGEST_REDIS_URL), too.")]


def acl(folder: Folder = None, *, apply: Apply = False) -> None:
    """Print the Redis users that roark-ingest needs (producer, worker, viewer, operator), or create them.

    Without FOLDER: lines of an ACL file, in which you replace PASSWORD. With it: `users.acl` for the server, and for
    each role `redis_url_ROLE` for ROARK_INGEST_REDIS_URL_FILE. Passwords that are there already stay.
    """
    from roark_ops.acl_files import laid_down
    from roark_ops.roles import EVERYBODY, RedisRole, place_of_settings, user_line

    place = place_of_settings()
    if folder is None:
        if apply:
            raise typer.BadParameter("--apply needs a FOLDER for the passwords", param_hint="--apply")
        print_line(f"user {EVERYBODY}")
        for role in RedisRole:
            print_line(user_line(role, place=place))
        return
    users = laid_down(folder, place)
    for role in RedisRole:
        print_line(f"{folder}/redis_url_{role}")
    if apply:
        from roark_ops.acl_files import applied

        print_line(applied(users, place))
    else:
        print_line(f"{folder}/users.acl: for the server, as its aclfile or part of its configuration")
