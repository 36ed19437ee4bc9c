"""What an error of redis-py or kombu means in words: the cause, the setting, the server, and never what it quotes."""

import socket
import ssl

import pytest
from redis import exceptions

from roark_ledger.server.redis_causes import cause_of, missing_permission
from roark_ledger.server.redis_url import parse_redis_url

PLAIN = parse_redis_url("redis://:hush@db:1", "ROARK_INGEST_BROKER_URL")


def raised_from(outer: BaseException, inner: BaseException) -> BaseException:
    outer.__cause__ = inner
    return outer


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (raised_from(exceptions.ConnectionError("x"), ConnectionRefusedError(111, "Connection refused")), "refused"),
        (raised_from(exceptions.ConnectionError("x"), socket.gaierror(-2, "Name or service not known")), "DNS"),
        (
            raised_from(exceptions.ConnectionError("x"), ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER]")),
            "does not use TLS there",
        ),
        (exceptions.TimeoutError("Timeout connecting to server"), "no answer in time"),
        (exceptions.AuthenticationError("invalid username-password pair or user is disabled."), "wrong user name"),
        (exceptions.AuthenticationError("Authentication required."), "requires a password"),
        (exceptions.ResponseError("AUTH <password> called without any password configured"), "the server has none"),
        (exceptions.MaxConnectionsError("max number of clients reached"), "maxclients"),
        (exceptions.ConnectionError("Connection closed by server."), "use rediss://"),
        (exceptions.ReadOnlyError("READONLY You can't write against a read only replica."), "it is a replica"),
        (exceptions.ConnectionError("SELECT hush"), "ConnectionError"),
    ],
)
def test_each_error_is_a_cause_with_its_setting_and_server(error: BaseException, words: str) -> None:
    cause = cause_of(error, PLAIN)
    assert words in cause
    assert cause.endswith(" (ROARK_INGEST_BROKER_URL: db:1)")
    assert "hush" not in cause


@pytest.mark.parametrize(
    ("text", "lacks"),
    [
        ("User ada has no permissions to run the 'config|get' command", "+config|get"),
        ("this user has no permissions to run the 'info' command or its subcommand", "+info"),
        ("ACL failure in script: User ada has no permissions to run the 'zadd' command", "+zadd"),
        ("No permissions to access a key", "the keys"),
        ("No permissions to access a channel", "channels"),
        ("The user executing the script can't run this command or subcommand", "a command"),
        ("unknown command 'BRPOP', with args beginning with: 'hush'", "does not know the command BRPOP"),
        ("EXEC without MULTI", "+multi"),
    ],
)
def test_what_is_not_granted_is_named(text: str, lacks: str) -> None:
    said = missing_permission(raised_from(ValueError("kombu"), exceptions.ResponseError(text)))
    assert said
    assert lacks in said
    assert "hush" not in said


def test_any_other_error_lacks_no_permission() -> None:
    assert missing_permission(exceptions.ResponseError("WRONGTYPE Operation against a key")) is None
