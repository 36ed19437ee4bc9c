"""Every command of `roark-ingest` as every user of Redis: who may run it is decided here, and holds on a real server.

A new command needs its row.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import typer.main
from commands import CommandLine, report
from servers import Server, running
from test_roles import PASSWORDS, as_role

from roark_ledger.server.connection import connect
from roark_ops.acl_files import acl_file
from roark_ops.cli.app import app
from roark_ops.roles import EVERYBODY, RedisRole, RolePlace
from roark_sandbox.options import SandboxOptions
from roark_sandbox.server import background

P, W, V, O = RedisRole.PRODUCER, RedisRole.WORKER, RedisRole.VIEWER, RedisRole.OPERATOR  # noqa: E741 letters of a table
EVERYONE = frozenset({P, W, V, O})
LOOKERS = frozenset({W, V, O})
DESK = frozenset({O})


@dataclass(frozen=True)
class Row:
    """A command, words to run it with, and whose it is. `ends` are the exit codes of a success."""

    words: str
    whose: frozenset[RedisRole]
    ends: tuple[int, ...] = (0, 3)
    stdin: bytes = b""
    env: dict[str, str] = field(default_factory=dict)


# They ask no server that has users: files and texts of this machine.
ELSEWHERE = frozenset(
    {"acl", "sandbox", "sample", "explain", "schedule", "console user add", "console user list", "console user remove"}
    | {"repair aof"}
)
# They run until they are told to end, with the URL of the user that docker-compose.yml gives them.
PARTS = frozenset({"webhook", "worker", "flower", "console", "up"})
ALERTS = {"ROARK_INGEST_ALERT_URL": "http://127.0.0.1:9/"}

ROWS = {
    "status": Row("", EVERYONE),
    "list": Row("", EVERYONE),
    "why": Row("d-1", EVERYONE),
    "audit": Row("", frozenset({W, O})),
    "reconcile": Row("", EVERYONE),
    "doctor": Row("", EVERYONE),
    "metrics": Row("", EVERYONE),
    "plan": Row("--rate 1/s --size 60kB", EVERYONE),
    "enqueue": Row("", frozenset({P, W, O}), stdin=report("new")),
    "hold": Row("--reason test", DESK),
    "resume": Row("", DESK),
    "route": Row("call --reason test --yes", DESK),
    "set-aside": Row("ready-1 --reason test", DESK),
    "erase": Row("d-9 --yes", DESK),
    "dlq list": Row("", EVERYONE),
    "dlq groups": Row("", LOOKERS),
    "dlq show": Row("d-1", EVERYONE),
    "dlq replay": Row("d-2 --yes", DESK),
    "dlq edit": Row("d-3 --set endedReason=x --yes", DESK),
    "dlq discard": Row("d-4 --yes", DESK),
    "dlq confirm": Row("unconfirmed-1 --yes", DESK),
    "dlq restore": Row("d-4", DESK),
    "dlq export": Row("out.ndjson", DESK),
    "dlq import": Row("in.ndjson", DESK),
    "alerts list": Row("", EVERYONE),
    "alerts test": Row("", EVERYONE, (0, 1), env=ALERTS),
    "replay list": Row("", LOOKERS),
    "replay show": Row("1", LOOKERS),
    "replay pause": Row("1", DESK),
    "replay resume": Row("1", DESK),
    "replay cancel": Row("1", DESK),
    "log list": Row("", LOOKERS),
    "log export": Row("log.ndjson", LOOKERS),
    "log trim": Row("--before 2020-01-01 --yes", DESK),
    "rejected list": Row("", EVERYONE),
    "rejected show": Row("DIGEST", EVERYONE),
    "rejected retry": Row("--all", DESK, (1,)),
    "rejected discard": Row("--all --yes", DESK),
    "partition": Row("4 --one-server --dry-run --json", EVERYONE),
    "repair ledger": Row("--yes", EVERYONE),
    "repair spool": Row("--yes", EVERYONE),
}


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Walk the tree of commands."""
    if not hasattr(command, "commands"):
        yield " ".join(path)
        return
    if command.invoke_without_command:
        yield " ".join(path)
    for name, member in command.commands.items():
        yield from commands(member, (*path, name))


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with our users; the test itself has one that may do everything."""
    file = tmp_path_factory.mktemp("acl") / "users.acl"
    file.write_text(acl_file(PASSWORDS, RolePlace()).replace(f"user {EVERYBODY}", "user default on nopass ~* &* +@all"))
    with running(aclfile=str(file)) as server:
        yield server


def test_each_command_has_a_decision() -> None:
    assert {*ROWS, *ELSEWHERE, *PARTS} == set(commands(typer.main.get_command(app)))


@pytest.mark.servers
@pytest.mark.parametrize("role", RedisRole)
def test_each_user_runs_its_commands_and_is_refused_the_others(
    role: RedisRole,
    guarded: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    monkeypatch.chdir(tmp_path)
    line = with_some_of_everything(guarded, tmp_path)
    user = as_role(line, guarded, role)
    (rejected,) = line.run("rejected", "list", "--json").documents
    line.run("dlq", "export", "in.ndjson")
    wrong = []
    with background(SandboxOptions(port=0, vapi_key="key")) as outside:
        env = dict.fromkeys(("ROARK_API_BASE_URL", "VAPI_BASE_URL"), outside) | {"VAPI_API_KEY": "key"}
        for name, row in ROWS.items():
            before = dump(guarded)
            words = row.words.replace("DIGEST", rejected["entry"])
            ended = user.run(*name.split(), *words.split(), stdin=row.stdin, **env, **row.env)
            is_refused = "may not do this" in ended.stderr or "NOPERM" in ended.stderr
            if is_refused != (role not in row.whose) or not (is_refused or ended.exit_code in row.ends):
                wrong.append((name, ended))
            if (is_refused or role is V) and dump(guarded) != before:
                wrong.append((f"{name} changed something", ended))
    line.ledger.close()
    refused = sum(role not in row.whose for row in ROWS.values())
    record_property(
        "attack", f"{len(ROWS)} commands with the Redis user `{role}` | {refused} refused as decided, without a change"
    )
    assert wrong == []


@pytest.mark.servers
def test_only_the_operator_splits_the_ledger(guarded: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with connect(guarded.url) as admin:
        admin.flushall()
    line = CommandLine(guarded.url, "roark", tmp_path)
    line.accept("ready-1")

    for role in (P, W, V):
        ended = as_role(line, guarded, role).run("partition", "4", "--one-server", "--yes")
        assert "may not do this" in ended.stderr or "NOPERM" in ended.stderr, (role, ended)
        assert as_role(line, guarded, O).run("status", "--json").document["partitions"] == 1
    assert as_role(line, guarded, O).run("partition", "4", "--one-server", "--yes").exit_code == 0
    for role in (V, O):
        told = as_role(line, guarded, role).run("status", "--json").document
        assert (told["partitions"], told["states"]["ready"], told["balanced"]) == (4, 1, True)
    line.ledger.close()


def with_some_of_everything(server: Server, folder: Path) -> CommandLine:
    """An empty ledger, filled again."""
    with connect(server.url) as admin:
        admin.flushall()
    line = CommandLine(server.url, "roark", folder)
    line.bury_all(*(f"d-{number}" for number in range(1, 10)))
    line.accept("unconfirmed-1")
    line.deliver("unconfirmed-1", "")
    line.accept("ready-1", "ready-2")
    line.run("enqueue", "--keep-rejected", stdin=b"nonsense\n")
    line.run("dlq", "replay", "d-1", "--yes")
    return line


def dump(server: Server) -> dict[bytes, bytes | None]:
    with connect(server.url) as admin:
        return {key: admin.dump(key) for key in sorted(admin.keys("{roark}*"))}
