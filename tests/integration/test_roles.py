"""The users of Redis: each role can do all of its own on a real server, and nothing of another's."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from commands import CommandLine, report
from consoles import opened, quick_passwords
from partitioned import left_half_way
from servers import Server, running

from roark_ledger.errors import ConfigurationError
from roark_ledger.records.replays import Plan
from roark_ledger.server.connection import connect
from roark_ops import DeadLetters, Filter, Replays
from roark_ops.acl_files import acl_file, laid_down, url_of
from roark_ops.desk.rejected import RejectedBin
from roark_ops.roles import EVERYBODY, RedisRole, RolePlace
from roark_producer.celery_wiring import exercise

PASSWORDS = {role: f"password-of-the-{role}" for role in RedisRole}
LOOKING = (
    *("status", "list", "metrics", "dlq list", "dlq groups", "rejected list", "log list", "alerts list"),
    *("replay list", "why c-1", "dlq show c-1"),
)
ACTING = (
    *(
        "hold",
        "resume",
        "set-aside c-2 --reason test",
        "dlq discard c-1 --yes",
        "dlq restore c-1",
        "dlq replay c-1 --yes",
    ),
    *(
        "dlq export out.ndjson",
        "erase c-1 --yes",
        "audit --repair",
        "log trim --before 2020-01-01 --yes",
    ),
    *("dlq confirm c-1 --yes", "replay cancel 1", "rejected discard --all --yes"),
)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with our users, as compose starts it; the test itself has a user that may do everything."""
    file = tmp_path_factory.mktemp("acl") / "users.acl"
    file.write_text(acl_file(PASSWORDS, RolePlace()).replace(f"user {EVERYBODY}", "user default on nopass ~* &* +@all"))
    with running(aclfile=str(file)) as server:
        yield server


@pytest.fixture
def line(guarded: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CommandLine]:
    monkeypatch.chdir(tmp_path)
    with connect(guarded.url) as client:
        client.flushall()
    made = CommandLine(guarded.url, "roark", tmp_path)
    made.bury_all("c-1", "c-3")
    made.accept("c-2")
    yield made
    made.ledger.close()


def as_role(line: CommandLine, server: Server, role: RedisRole) -> CommandLine:
    return CommandLine(url_of(server.url, role, PASSWORDS[role]), "roark", line.folder)


def refusals(client: "redis.Redis") -> list[str]:
    entries = client.acl_log()
    client.execute_command("ACL", "LOG", "RESET")
    return sorted({f"{entry['username']}: {entry['object']}" for entry in entries})


def test_a_viewer_may_look_at_everything_and_change_nothing(line: CommandLine, guarded: Server) -> None:
    viewer = as_role(line, guarded, RedisRole.VIEWER)
    with connect(guarded.url) as admin:
        before = {key: admin.dump(key) for key in sorted(admin.keys("{roark}*"))}
        _all(LOOKING, lambda words: _assert(viewer.run(*words.split()).exit_code in {0, 3}, words))
        _all(ACTING, lambda words: _assert("the Redis user viewer may not" in viewer.run(*words.split()).stderr, words))
        # It writes down when it ended.
        assert viewer.run("audit").exit_code == 1
        assert viewer.run("enqueue", stdin=report("c-9")).exit_code == 1
        assert {key: admin.dump(key) for key in sorted(admin.keys("{roark}*"))} == before


def test_a_viewer_finds_calls_that_are_still_to_be_moved_to_their_partitions(
    line: CommandLine, guarded: Server
) -> None:
    viewer = as_role(line, guarded, RedisRole.VIEWER)
    left_half_way(line.ledger, 3)

    assert [each["call_id"] for each in viewer.run("list", "--json").documents] == ["c-2", "c-1", "c-3"]
    assert viewer.run("why", "c-1", "--json").document["state"] == "dead"
    assert viewer.run("dlq", "show", "c-3").exit_code == 0
    assert viewer.run("dlq", "groups", "--json").document["count"] == 2
    assert line.run("status", "--json").document["split"]["counted_twice"] == 0


def test_a_viewer_can_run_no_script_that_writes_whatever_its_text(guarded: Server) -> None:
    with connect(url_of(guarded.url, RedisRole.VIEWER, PASSWORDS[RedisRole.VIEWER])) as viewer:
        sha = viewer.script_load("return redis.call('HSET', KEYS[1], 'c-1', 'x')")
        with pytest.raises(redis.ResponseError):
            viewer.execute_command("EVALSHA_RO", sha, 1, "{roark}:v1:records")
        for command in ("EVALSHA", "EVAL", "FCALL"):
            with pytest.raises(redis.exceptions.NoPermissionError):
                viewer.execute_command(command, sha, 1, "{roark}:v1:records")


def test_a_producer_hands_in_and_does_nothing_of_the_desk(line: CommandLine, guarded: Server) -> None:
    producer = as_role(line, guarded, RedisRole.PRODUCER)
    ended = producer.run("enqueue", "--keep-rejected", stdin=report("c-8") + b"\n" + report("c-8", more=1) + b"\n{}\n")
    assert "NOPERM" not in ended.stderr
    assert ended.exit_code == 3, ended
    assert line.run("list", "--state", "ready", "--json").stdout.count("c-8") == 1
    _all(ACTING, lambda words: _assert("the Redis user producer may not" in producer.run(*words.split()).stderr, words))
    with connect(url_of(guarded.url, RedisRole.PRODUCER, PASSWORDS[RedisRole.PRODUCER])) as client:
        _all(
            (*FORBIDDEN, ("XADD", "{roark}:v1:logbook", "*", "a", "b"), ("XREVRANGE", "{roark}:v1:logbook", "+", "-")),
            lambda command: _refused(client, command),
        )


FORBIDDEN: tuple[tuple[str, ...], ...] = (
    ("FLUSHALL",),
    ("FLUSHDB",),
    ("CONFIG", "SET", "appendfsync", "no"),
    ("CONFIG", "GET", "*"),
    ("KEYS", "*"),
    ("SHUTDOWN",),
    ("ACL", "LIST"),
    ("ACL", "SETUSER", "x"),
    ("DEL", "{roark}:v1:records"),
    ("REPLICAOF", "a", "1"),
    ("MONITOR",),
    ("SCRIPT", "FLUSH"),
    ("EVAL", "return 1", "0"),
    ("GET", "other"),
    ("FUNCTION", "LIST"),
    ("RENAME", "{roark}:v1:records", "x"),
    ("CLIENT", "KILL", "TYPE", "normal"),
    ("SAVE",),
    ("HGETALL", "other:key"),
    ("SCAN", "0"),
    ("RESTORE", "x", "0", "y"),
    ("COPY", "{roark}:v1:records", "roark"),
)


def test_nobody_but_the_admin_reaches_the_server_itself_or_other_keys(guarded: Server) -> None:
    for role in RedisRole:
        with connect(url_of(guarded.url, role, PASSWORDS[role])) as client:
            allowed = {("CONFIG", "GET", "*")} if role is RedisRole.OPERATOR else set()
            _all([each for each in FORBIDDEN if each not in allowed], lambda command: _refused(client, command))


def test_an_operator_does_all_of_the_desk_and_is_the_doer_whatever_name_is_given(
    line: CommandLine, guarded: Server
) -> None:
    operator = as_role(line, guarded, RedisRole.OPERATOR)
    with connect(guarded.url) as admin:
        refusals(admin)
        _all(
            (*LOOKING, "audit", *ACTING),
            lambda words: _assert("NOPERM" not in operator.run(*words.split(), *_named(words)).stderr, words),
        )
        assert refusals(admin) == []
    assert {deed["by"] for deed in line.run("log", "list", "--json").documents} == {"operator (ada)"}


def test_programs_and_the_console_are_named_by_their_user_as_well(
    line: CommandLine, guarded: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick_passwords(monkeypatch)
    operator = as_role(line, guarded, RedisRole.OPERATOR)
    desk = DeadLetters(operator.ledger, by="night shift")
    desk.discard(["c-1"])
    desk.restore(["c-1"])
    desk.edit(["c-1"], [])
    replays = Replays(operator.ledger, by="night shift")
    made = replays.create(replays.preview(Filter()), plan=Plan(), delay_seconds=60)
    assert made.job
    replays.cancel(made.job.number)
    RejectedBin(operator.ledger, by="night shift").discard(["none"])
    with opened(operator) as console:
        console.post("/uploads/hold", reason="test")
        console.post("/uploads/resume")
        console.post("/call/reveal", id="c-1")
        console.post("/go/discard", id=console.freeze("discard", call="c-1"))
    deeds = line.run("log", "list", "--json").documents
    assert len(deeds) >= 8
    assert {deed["by"] for deed in deeds} == {"operator (night shift)", "operator (tester)"}
    (job,) = line.run("replay", "list", "--json").documents
    assert job["by"] == "operator (night shift)"


def test_a_program_whose_user_may_not_act_is_told_so_before_anything_is_done(
    line: CommandLine, guarded: Server
) -> None:
    for role in (RedisRole.VIEWER, RedisRole.WORKER, RedisRole.PRODUCER):
        with (
            DeadLetters(as_role(line, guarded, role).ledger, by="operator (ada)") as desk,
            pytest.raises(ConfigurationError, match="use the URL of the user operator"),
        ):
            desk.discard(["c-1"])
    assert line.run("log", "list", "--json").documents == []


def test_worker_and_producer_run_all_of_their_scripts_and_the_broker(line: CommandLine, guarded: Server) -> None:
    with connect(guarded.url) as admin:
        refusals(admin)
        for role in (RedisRole.WORKER, RedisRole.OPERATOR, RedisRole.PRODUCER):
            silent = exercise(url_of(guarded.url, role, PASSWORDS[role]))
            assert bool(silent) == (role is RedisRole.PRODUCER)
        assert exercise(url_of(guarded.url, RedisRole.VIEWER, PASSWORDS[RedisRole.VIEWER]), only_talk=True) == ""
        assert [each for each in refusals(admin) if "producer" not in each] == []


def test_whoever_has_no_password_may_only_ping() -> None:
    with running() as server, connect(server.url) as client:
        client.execute_command("ACL", "SETUSER", *EVERYBODY.split())
        assert client.ping()
        _refused(client, ("INFO",))


def test_passwords_that_are_there_stay_and_only_their_owner_can_read_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROARK_INGEST_REDIS_URL", "redis://:old@redis:6379/0")
    first = laid_down(tmp_path / "secrets", RolePlace())
    assert laid_down(tmp_path / "secrets", RolePlace()) == first
    assert (
        tmp_path / "secrets" / "redis_url_viewer"
    ).read_text() == f"redis://viewer:{first[RedisRole.VIEWER]}@redis:6379/0"
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "secrets").iterdir()} == {0o600}
    assert not any(password in (tmp_path / "secrets" / "users.acl").read_text() for password in first.values())


def _named(words: str) -> tuple[str, ...]:
    return ("--as", "ada") if words in ACTING else ()


def _all(cases: Iterable[Any], check: Callable[[Any], None]) -> None:
    for case in cases:
        check(case)


def _assert(holds: bool, words: str) -> None:
    assert holds, words


def _refused(client: "redis.Redis", command: tuple[str, ...]) -> None:
    with pytest.raises(redis.exceptions.NoPermissionError):
        client.execute_command(*command)


def test_one_command_makes_the_users_on_a_server_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with running(tcp=True) as server:
        line = CommandLine(f"redis://127.0.0.1:{server.port}/0", "roark", tmp_path)
        assert "until it is restarted" in line.run("acl", "secrets", "--apply").stdout
        urls = {role: (tmp_path / "secrets" / f"redis_url_{role}").read_text() for role in RedisRole}
        for role, url in urls.items():
            with connect(url) as client:
                assert client.acl_whoami() == role
        assert (
            CommandLine(urls[RedisRole.PRODUCER], "roark", tmp_path).run("enqueue", stdin=report("c-1")).exit_code == 0
        )
        assert CommandLine(urls[RedisRole.VIEWER], "roark", tmp_path).run("list", "--json").stdout.count("c-1") == 1
        line.ledger.close()
