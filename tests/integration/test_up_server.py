"""The embedded server in its data directory: durable, reachable, alone, and found again."""

import asyncio
import ctypes.util
import os
import signal
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
import redis

from roark_ledger.errors import ConfigurationError
from roark_ledger.server.connection import connect, redis_url
from roark_ledger.server.durability import inspect, keep
from roark_ledger.server.redis_url import parse_redis_url
from roark_ledger.whole_files import replacing
from roark_ops.roles import RedisRole
from roark_ops.up.datadir import DataDirTaken, taken
from roark_ops.up.server.embedded import EmbeddedServer

DEADLINE_SECONDS = 10
KEY = "{roark}:v1:kept"


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        pause.wait(0.01)


async def started(server: EmbeddedServer) -> "subprocess.Popen[bytes]":
    environment = server.environment(os.environ)
    process = subprocess.Popen(await server.command(), env=environment, stdout=subprocess.DEVNULL)  # noqa: ASYNC220 a moment
    until(server.is_ready)
    return process


def ended(process: "subprocess.Popen[bytes]", *, by: signal.Signals = signal.SIGTERM) -> None:
    process.send_signal(by)
    process.wait(DEADLINE_SECONDS)


@asynccontextmanager
async def running(data_dir: Path, *, for_sandbox: bool = False) -> AsyncIterator["redis.Redis"]:
    server = EmbeddedServer(data_dir, for_sandbox=for_sandbox)
    process = await started(server)
    try:
        with connect(redis_url(None, data_dir)) as client:
            yield client
    finally:
        ended(process)
        server.clear()


@contextmanager
def killed_at_the_end(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    try:
        yield
    finally:
        process.kill()
        process.wait()


def loaded_by(client: "redis.Redis") -> str:
    pid: int = client.info("server")["process_id"]  # type: ignore[index]
    return Path(f"/proc/{pid}/maps").read_text("utf-8")


async def test_a_second_run_finds_what_the_first_one_stored(tmp_path: Path) -> None:
    async with running(tmp_path) as client:
        client.hset(KEY, "report", "here")

    async with running(tmp_path) as client:
        assert client.hget(KEY, "report") == b"here"


async def test_the_server_works_with_jemalloc_exactly_where_the_machine_has_it(tmp_path: Path) -> None:
    library = ctypes.util.find_library("jemalloc")
    async with running(tmp_path) as client:
        assert ("jemalloc" in loaded_by(client)) == (library is not None)


async def test_the_server_keeps_the_default_promise_and_opens_no_port(tmp_path: Path) -> None:
    async with running(tmp_path) as client:
        assert keep("fsync", inspect(client)).after_write == ()
        assert client.config_get("port") == {"port": "0"}
        assert client.config_get("save") == {"save": ""}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


async def test_each_part_has_a_user_and_whoever_has_none_may_only_ping(tmp_path: Path) -> None:
    # given a data directory of an earlier version, without users
    (tmp_path / "valkey").mkdir()
    server = EmbeddedServer(tmp_path, for_sandbox=False, prefix="mine")
    process = await started(server)
    with killed_at_the_end(process):
        found = {role: server.url(role) for role in RedisRole}
        for role, url in found.items():
            with connect(url) as client:
                assert client.acl_whoami() == role
        with connect(found[RedisRole.WORKER]) as client, pytest.raises(redis.exceptions.NoPermissionError):
            client.hget(KEY, "report")
        with redis.Redis(unix_socket_path=f"{tmp_path}/valkey/valkey.sock", driver_info=None) as stranger:
            assert stranger.ping()
            for command in ("INFO", "ACL LIST", f"HGETALL {KEY}"):
                with pytest.raises(redis.exceptions.NoPermissionError):
                    stranger.execute_command(*command.split())
        # and their passwords are this user's, and stay
        assert {file.stat().st_mode & 0o777 for file in (tmp_path / "users").iterdir()} == {0o600}
        before = {file: file.stat().st_mtime_ns for file in (tmp_path / "users").iterdir()}
        ended(process)
    process = await started(server)
    with killed_at_the_end(process):
        assert {file: file.stat().st_mtime_ns for file in (tmp_path / "users").iterdir()} == before
        assert {role: server.url(role) for role in RedisRole} == found
    server.clear()


async def test_a_password_that_may_be_someone_elses_is_not_used(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path, for_sandbox=False)
    await server.command()
    file = tmp_path / "users" / "redis_url_worker"
    known = file.read_text()

    def is_refused() -> None:
        with pytest.raises(ConfigurationError, match="redis_url_worker") as refused:
            asyncio.run(server.command())
        assert known.partition(":")[2] not in str(refused.value)

    file.chmod(0o666)
    await asyncio.to_thread(is_refused)
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    await asyncio.to_thread(is_refused)
    file.unlink()
    file.mkdir()
    await asyncio.to_thread(is_refused)
    file.rmdir()
    with replacing(file) as written:
        written.write(b"nonsense \xff")
    await asyncio.to_thread(is_refused)
    file.unlink()
    await server.command()
    assert file.read_text() != known


async def test_what_is_for_the_sandbox_never_meets_what_is_for_roark(tmp_path: Path) -> None:
    async with running(tmp_path, for_sandbox=True) as client:
        client.hset(KEY, "report", "made up")

    async with running(tmp_path) as client:
        assert client.hget(KEY, "report") is None


async def test_commands_find_the_sandboxs_server_where_they_look_for_the_real_one(tmp_path: Path) -> None:
    async with running(tmp_path, for_sandbox=True):
        found = parse_redis_url(redis_url(None, tmp_path))
        assert (found.socket, found.username) == (f"{tmp_path}/sandbox/valkey/valkey.sock", "operator")
        # and where somebody names the sandbox's own folder
        assert parse_redis_url(redis_url(None, tmp_path / "sandbox")) == found

    assert not (tmp_path / "valkey" / "valkey.sock").is_symlink()


@pytest.mark.parametrize("for_sandbox", [False, True])
@pytest.mark.parametrize("name", ["x" * 120, "with a blank", "100%", "a#b?c"])
async def test_a_data_directory_of_any_length_and_name_can_be_reached(
    tmp_path: Path, name: str, *, for_sandbox: bool
) -> None:
    data_dir = tmp_path / name

    async with running(data_dir, for_sandbox=for_sandbox) as client:
        client.hset(KEY, "report", "here")
    assert not (data_dir / "valkey" / "valkey.sock").is_symlink()


async def test_clients_find_a_server_that_was_started_again_below_a_long_path_where_it_was(tmp_path: Path) -> None:
    # given a client that knows the socket of a server that dies
    server = EmbeddedServer(tmp_path / ("x" * 120), for_sandbox=False)
    first = await started(server)
    url = redis_url(None, tmp_path / ("x" * 120))
    ended(first, by=signal.SIGKILL)

    # when the server is started again, then the client's way leads to it
    second = await started(server)
    with killed_at_the_end(second), connect(url) as client:
        assert client.ping()
    server.clear()


async def test_the_real_server_starts_below_a_long_path_where_the_sandboxs_was_killed(tmp_path: Path) -> None:
    data_dir = tmp_path / ("x" * 120)
    server = EmbeddedServer(data_dir, for_sandbox=True)
    ended(await started(server), by=signal.SIGKILL)

    async with running(data_dir) as client:
        assert client.ping()
    server.clear()


async def test_what_a_killed_server_left_behind_is_cleared_away(tmp_path: Path) -> None:
    # given a server that was killed after a write: socket and pid file are still there
    server = EmbeddedServer(tmp_path, for_sandbox=False)
    process = await started(server)
    with connect(redis_url(None, tmp_path)) as client:
        client.hset(KEY, "report", "here")
    ended(process, by=signal.SIGKILL)
    assert (tmp_path / "valkey" / "valkey.sock").exists()

    # then the next one starts, with its data
    async with running(tmp_path) as client:
        assert client.hget(KEY, "report") == b"here"


@pytest.mark.parametrize("state", ["serving", "stopped"])
async def test_a_server_that_outlived_its_up_is_ended_before_another_one_writes_its_file(
    tmp_path: Path, state: str
) -> None:
    # given an orphan that serves, or one that is stopped and acts on no gentle signal
    server = EmbeddedServer(tmp_path, for_sandbox=False)
    orphan = await started(server)
    if state == "stopped":
        orphan.send_signal(signal.SIGSTOP)

    # when the next server is prepared, while whoever started the orphan waits for it
    with killed_at_the_end(orphan):
        _, code = await asyncio.gather(server.command(), asyncio.to_thread(orphan.wait, DEADLINE_SECONDS))

    # then the orphan has ended properly
    assert code == 0


async def test_another_process_that_was_given_an_old_servers_id_is_left_alone(tmp_path: Path) -> None:
    # given a pid file that now names something else: this test
    server = EmbeddedServer(tmp_path, for_sandbox=False)
    (tmp_path / "valkey").mkdir()
    (tmp_path / "valkey" / "valkey.pid").write_text(f"{os.getpid()}\n")

    # then it is not ended
    await server.command()
    assert os.getpid()


def test_a_data_directory_has_one_up_at_a_time(tmp_path: Path) -> None:
    with taken(tmp_path / "data") as data_dir, pytest.raises(DataDirTaken, match=str(os.getpid())), taken(data_dir):
        pass

    with taken(tmp_path / "data"):
        """It is free again."""


def test_a_data_directory_that_cannot_be_written_is_refused_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with (
        pytest.raises(ConfigurationError, match=r"cannot write to the data directory .*/file/data"),
        taken(tmp_path / "file" / "data"),
    ):
        pass


def test_a_new_data_directory_is_its_owners_alone_and_no_repositorys(tmp_path: Path) -> None:
    with taken(tmp_path / "data") as data_dir:
        assert data_dir.stat().st_mode & 0o777 == 0o700
        assert (data_dir / ".gitignore").read_text() == "*\n"
