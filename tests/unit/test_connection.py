"""From a URL to a client, and from redis-py's errors to ours. Nothing here talks to a server."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis.exceptions

from roark_ledger.errors import (
    ConfigurationError,
    IngestError,
    LedgerFault,
    LedgerFull,
    LedgerRefuses,
    LedgerUnavailable,
)
from roark_ledger.server.connection import connect, connect_async, redis_url, translated_errors

CONNECT: dict[str, Callable[[str], Any]] = {"sync": connect, "asyncio": connect_async}
both = pytest.mark.parametrize("connect_to", CONNECT.values(), ids=CONNECT)


@both
@pytest.mark.parametrize(
    ("url", "facts"),
    [
        ("redis://redis.internal:6380/2", {"host": "redis.internal", "port": 6380, "db": 2}),
        ("redis://ada:pw@redis.internal", {"username": "ada", "password": "pw"}),
        ("rediss://redis.internal", {"host": "redis.internal"}),
        ("unix:///run/redis.sock?db=3", {"path": "/run/redis.sock", "db": 3}),
    ],
)
def test_a_url_becomes_a_client_that_waits_only_so_long_and_sends_nothing_twice(
    connect_to: Callable[[str], Any], url: str, facts: dict[str, Any]
) -> None:
    connection = connect_to(url).connection_pool.make_connection()

    assert {name: getattr(connection, name) for name in facts} == facts
    assert connection.socket_timeout == 5.0
    assert connection.retry._retries == 0


@both
def test_a_sentinel_url_asks_for_the_named_primary(connect_to: Callable[[str], Any]) -> None:
    client = connect_to("sentinel://:pw@one:26380,two/4?master=ledger")

    pool = client.connection_pool
    assert pool.service_name == "ledger"
    assert pool.connection_kwargs["db"] == 4
    assert pool.connection_kwargs["password"] == "pw"
    places = [asked.connection_pool.connection_kwargs for asked in pool.sentinel_manager.sentinels]
    assert [(place["host"], place["port"]) for place in places] == [("one", 26380), ("two", 26379)]


@both
@pytest.mark.parametrize("url", ["http://redis:6379", "redis.internal:6379", "", "amqp://x"])
def test_any_other_scheme_is_refused_without_showing_the_url(connect_to: Callable[[str], Any], url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^ROARK_INGEST_REDIS_URL must start with redis://"):
        connect_to(url)


def test_without_a_url_the_embedded_servers_socket_is_meant(tmp_path: Path) -> None:
    socket = tmp_path / "valkey" / "valkey.sock"
    socket.parent.mkdir()
    socket.touch()

    assert redis_url(None, tmp_path) == f"unix://{socket}"
    assert redis_url("redis://elsewhere", tmp_path) == "redis://elsewhere"


def test_with_neither_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="roark-ingest up"):
        redis_url(None, tmp_path)


@pytest.mark.parametrize(
    ("raised", "ours"),
    [
        (redis.exceptions.OutOfMemoryError("command not allowed"), LedgerFull),
        (redis.exceptions.ResponseError("OOM allow-oom flag is not set on the script"), LedgerFull),
        (redis.exceptions.ConnectionError("secret"), LedgerUnavailable),
        (redis.exceptions.TimeoutError("secret"), LedgerUnavailable),
        (redis.exceptions.BusyLoadingError("Redis is loading the dataset in memory"), LedgerRefuses),
        (redis.exceptions.ReadOnlyError("You can't write against a read only replica."), LedgerRefuses),
        (redis.exceptions.NoPermissionError("this user has no permissions to run 'evalsha'"), LedgerRefuses),
        (
            redis.exceptions.ResponseError("ACL failure in script: User a has no permissions to run 'hset'"),
            LedgerRefuses,
        ),
        (redis.exceptions.ResponseError("MISCONF Redis is configured to save"), LedgerRefuses),
        (redis.exceptions.ResponseError("MASTERDOWN Link with MASTER is down"), LedgerRefuses),
        (redis.exceptions.ResponseError("BUSY Redis is busy running a script"), LedgerRefuses),
        (redis.exceptions.ResponseError("CLUSTERDOWN The cluster is down"), LedgerRefuses),
        (redis.exceptions.ResponseError("MOVED 1234 10.0.0.1:6379"), LedgerUnavailable),
        (redis.exceptions.ResponseError("unknown command 'X', with args beginning with: 'secret'"), LedgerRefuses),
        (redis.exceptions.ResponseError("something that nobody has seen yet"), LedgerRefuses),
        (ConnectionRefusedError("secret"), LedgerUnavailable),
        (redis.exceptions.ResponseError("WRONGTYPE Operation against a key"), LedgerFault),
        (redis.exceptions.ResponseError("user_script:138: attempt to perform arithmetic on a nil value"), LedgerFault),
    ],
)
def test_each_error_of_redis_is_one_of_ours(raised: Exception, ours: type[IngestError]) -> None:
    with pytest.raises(ours) as caught, translated_errors():
        raise raised

    assert type(caught.value) is ours
    assert caught.value.__cause__ is raised
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (redis.exceptions.ResponseError("MISCONF Redis is configured to save"), "MISCONF"),
        (redis.exceptions.NoPermissionError("this user has no permissions to run 'evalsha'"), "NOPERM"),
        (redis.exceptions.ResponseError("The user executing the script can't run this command"), "NOPERM"),
        (redis.exceptions.ReadOnlyError("You can't write against a read only replica."), "READONLY"),
        (redis.exceptions.OutOfMemoryError("command not allowed"), "OOM"),
        (redis.exceptions.ResponseError("nobody knows"), "ERR"),
    ],
)
def test_a_refusal_has_redis_own_word_for_it(said: Exception, code: str) -> None:
    with pytest.raises(LedgerRefuses) as caught, translated_errors():
        raise said

    assert caught.value.code == code
