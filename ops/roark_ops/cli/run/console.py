"""`roark-ingest console`: the console in a browser, and who may use it."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from roark_ops.cli.run.parts import LogJson, export_variable, log_as
from roark_ops.cli.terminal.options import AsJson, Yes, person
from roark_ops.cli.terminal.output import print_json, print_line, print_table
from roark_ops.cli.terminal.running import USAGE, confirm, fail, need

if TYPE_CHECKING:
    from roark_ops.console.access.users import Users

Host = Annotated[
    str | None, typer.Option(help="Address to listen on.", show_default="ROARK_INGEST_CONSOLE_HOST, 127.0.0.1")
]
Port = Annotated[
    int | None,
    typer.Option(
        min=0, max=65535, help="Port to listen on (0: any free port).", show_default="ROARK_INGEST_CONSOLE_PORT, 5656"
    ),
]
Name = Annotated[
    str, typer.Argument(metavar="NAME", help="The person's name, as the log shows it.", show_default=False)
]
RoleOption = Annotated[
    str,
    typer.Option(
        "--role",
        metavar="ROLE",
        help="viewer (looks), operator (also replays, edits, discards, pauses) or admin (also deletes for good).",
        show_default=False,
    ),
]
Stdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]
NoPassword = Annotated[
    bool, typer.Option("--no-password", help="A proxy signs this person in; only the role is kept here.")
]


def serve(ctx: typer.Context, *, host: Host = None, port: Port = None, log_json: LogJson = False) -> None:
    """Run the console: what the commands show and do, in a browser.

    Without users it answers on this machine only. Elsewhere it needs users (`console user add`), or a proxy that signs
    people in (ROARK_INGEST_CONSOLE_PROXIES).
    """
    if ctx.invoked_subcommand:
        return
    need("console", "webhook")
    log_as(log_json)
    export_variable("ROARK_INGEST_CONSOLE_HOST", host)
    export_variable("ROARK_INGEST_CONSOLE_PORT", port)
    from roark_ops.access import Access
    from roark_ops.console.serve import run
    from roark_ops.console.settings import ConsoleSettings

    settings = ConsoleSettings()
    with Access.from_env() as access:
        try:
            run(access, settings, me=person())
        except OSError as error:
            fail(f"the console can't listen on {settings.console_host}:{settings.console_port}: {error.strerror}.")


def add(
    name: Name,
    *,
    role: RoleOption,
    password_stdin: Stdin = False,
    no_password: NoPassword = False,
    as_json: AsJson = False,
) -> None:
    """Add a user of the console, or change role and password of one. A running console notices by itself."""
    from roark_ops.console.access.roles import role_of
    from roark_ops.console.settings import SHORTEST_PASSWORD

    try:
        wanted = role_of(role)
    except ValueError as error:
        fail(f"--role {error}.", USAGE)
    password = None if no_password else _password(stdin=password_stdin)
    if password is not None and len(password) < SHORTEST_PASSWORD:
        fail(f"the password needs at least {SHORTEST_PASSWORD} characters.", USAGE)
    users = _users()
    is_new = users.put(name, wanted, password)
    if as_json:
        print_json({"user": name, "role": wanted.word, "new": is_new, "file": str(users.path)})
    else:
        print_line(f"{name} is {'now' if is_new else 'still'} a user, as {wanted.word}. Users: {users.path}")


def list_(*, as_json: AsJson = False) -> None:
    """List the users of the console."""
    users = _users()
    found = sorted(users.all().values(), key=lambda user: user.name)
    if as_json:
        for user in found:
            print_json({"user": user.name, "role": user.role.word, "password": bool(user.kept)})
        return
    if found:
        print_table(
            ("user", "role", "signs in"),
            [(user.name, user.role.word, "with a password" if user.kept else "by a proxy") for user in found],
        )
    else:
        print_line("No users. Add one: roark-ingest console user add NAME --role admin")


def remove(name: Name, *, yes: Yes = False, as_json: AsJson = False) -> None:
    """Remove a user of the console. Open sessions end at once."""
    users = _users()
    if users.find(name) is None:
        fail(f"there is no user {name!r}. See roark-ingest console user list")
    confirm(f"Remove the user {name}?", yes=yes)
    gone = users.remove(name)
    if as_json:
        print_json({"user": name, "removed": gone})
    else:
        print_line(f"{name} is removed." if gone else f"{name} comes from ROARK_INGEST_CONSOLE_PASSWORD; remove that.")


def _users() -> "Users":
    from roark_ops.console.access.users import Users
    from roark_ops.console.settings import ConsoleSettings
    from roark_producer.settings import IngestSettings

    return Users(ConsoleSettings().users_file(IngestSettings().data_dir))


def _password(*, stdin: bool) -> str:
    if stdin:
        return sys.stdin.readline().rstrip("\n")
    if not sys.stdin.isatty():
        fail("not a terminal, so I can't ask for a password. Use --password-stdin or --no-password.", USAGE)
    asked: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return asked
