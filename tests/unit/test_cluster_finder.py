"""What a client knows of its cluster, and what it makes of what nodes tell it; no server."""

import socket
from types import SimpleNamespace
from typing import Any

import pytest
from redis.exceptions import (
    AskError,
    BusyLoadingError,
    ClusterDownError,
    MovedError,
    NoPermissionError,
    NoScriptError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from roark_ledger.errors import ConfigurationError, LedgerRefuses, LedgerUnavailable
from roark_ledger.server.cluster import ClusterUnusable, Finder, finder_of, node_of, slot_of
from roark_ledger.server.connection import connect, translated_errors
from roark_ledger.server.redis_url import parse_broker_url, parse_redis_url

A, B, C = ("10.0.0.1", 1), ("10.0.0.2", 2), ("10.0.0.3", 3)
SLOT = slot_of("roark")
REFUSED = ConnectionRefusedError(111, "Connection refused")


def finder(url: str = "redis+cluster://10.0.0.1:1,10.0.0.2:2") -> Finder:
    return Finder(parse_redis_url(url), "roark")


def node(address: tuple[Any, int]) -> list[Any]:
    host, port = address
    return [host.encode() if isinstance(host, str) else host, port, b"id", []]


def slots(owner: tuple[Any, int], *replicas: tuple[str, int]) -> list[Any]:
    """An answer to CLUSTER SLOTS: the ledger's slot at `owner`, all others at C."""
    return [
        [0, SLOT - 1, node(C)],
        [SLOT, SLOT, *map(node, (owner, *replicas))],
        [SLOT + 1, 16383, node(C)],
    ]


def heard(known: Finder, error: BaseException, at: tuple[str, int] = A) -> None:
    known.hear(SimpleNamespace(generation=known.generation, host=at[0], port=at[1]), error)


def test_the_slots_primary_is_the_node_and_all_that_were_named_can_be_asked() -> None:
    known = finder()

    assert known.learn(A, slots(B, C), known.generation) == B

    assert known.node == B
    assert set(known.whom_to_ask()) == {A, B, C}
    assert set(known.members) == {B, C}


@pytest.mark.parametrize("host", [None, b"", b"?"])
def test_a_node_that_does_not_know_its_name_is_called_as_the_one_that_was_asked(host: bytes | None) -> None:
    known = finder()
    assert known.learn(A, slots((host, 7)), known.generation) == (A[0], 7)


def test_a_slot_that_nobody_serves_is_said() -> None:
    known = finder()
    with pytest.raises(ClusterUnusable, match=f"hash slot, {SLOT}"):
        known.learn(A, [[0, SLOT - 1, node(C)]], known.generation)


def test_moved_leads_to_the_node_that_it_names() -> None:
    known = finder()
    known.learn(A, slots(A), known.generation)

    heard(known, MovedError(f"{SLOT} 10.0.0.3:3"))

    assert known.node is None
    assert known.whom_to_ask()[0] == C


@pytest.mark.parametrize(
    "told",
    [MovedError(f"{SLOT} :9"), MovedError(f"{SLOT} ?:9"), ResponseError(f"MOVED {SLOT} :9")],
)
def test_moved_without_a_host_means_the_host_that_said_so(told: ResponseError) -> None:
    known = finder()
    heard(known, told, at=A)
    assert known.whom_to_ask()[0] == (A[0], 9)


CHANGES = (
    *(
        ReadOnlyError(),
        BusyLoadingError(),
        ClusterDownError("is down"),
        ResponseError("CLUSTERDOWN is down"),
        RedisConnectionError(),
        RedisTimeoutError(),
    ),
    *(OSError(), KeyboardInterrupt()),
)
NO_CHANGES = (
    AskError(f"{SLOT} 10.0.0.3:3"),
    TryAgainError(),
    NoScriptError(),
    NoPermissionError(),
    ResponseError("BUSY"),
)


def test_what_says_that_the_node_is_not_the_right_one_has_all_connections_look_anew_and_nothing_else() -> None:
    for error in CHANGES + NO_CHANGES:
        known = finder()
        known.learn(A, slots(B), known.generation)

        heard(known, error)

        assert (known.generation, known.node) == ((1, None) if error in CHANGES else (0, B)), repr(error)


def test_who_told_of_a_node_that_did_not_do_is_asked_last() -> None:
    known = finder()
    known.learn(A, slots(B), known.generation)

    heard(known, RedisTimeoutError())

    assert known.whom_to_ask() == (C, A, B)


def test_what_a_connection_of_before_hears_changes_nothing() -> None:
    known = finder()
    known.learn(A, slots(A), known.generation)
    heard(known, MovedError(f"{SLOT} 10.0.0.2:2"))
    known.learn(B, slots(B), known.generation)

    known.hear(SimpleNamespace(generation=0, host=A[0], port=A[1]), MovedError(f"{SLOT} 10.0.0.3:3"))

    assert known.node == B


def test_an_answer_that_is_older_than_the_doubt_is_not_kept() -> None:
    known = finder()
    known.doubt(0)
    known.learn(A, slots(A), 0)
    assert known.node is None


def test_an_address_that_cannot_be_reached_is_named_beside_the_settings() -> None:
    known = finder()
    failed = known.unreachable(SimpleNamespace(generation=0, host="172.17.0.2", port=6379), REFUSED)

    place = parse_redis_url("redis+cluster://10.0.0.1:1")
    with pytest.raises(LedgerUnavailable) as caught, translated_errors():
        raise failed

    assert place.cluster
    assert "172.17.0.2:6379" in str(caught.value)
    assert "connection refused" in str(caught.value)
    assert "cluster-announce-ip" in str(caught.value)


def test_nodes_that_fail_for_different_reasons_are_told_in_one_order() -> None:
    reasons = {B: REFUSED, A: socket.gaierror(-2, "Name or service not known")}
    words = str(finder().nobody_tells(reasons))
    assert words == str(finder().nobody_tells(dict(reversed(reasons.items()))))
    assert words.index("10.0.0.1:1: its host name cannot be resolved") < words.index("10.0.0.2:2: connection refused")


def test_a_server_outside_of_cluster_mode_is_said() -> None:
    error = finder().nobody_tells({A: ResponseError("This instance has cluster support disabled")})
    assert "redis://" in str(error)


def test_a_permission_that_is_missing_is_named() -> None:
    denied = NoPermissionError("User worker has no permissions to run the 'cluster|slots' command")
    with pytest.raises(LedgerRefuses, match=r"\+cluster\|slots"), translated_errors():
        raise finder().nobody_tells({A: denied, B: REFUSED})


def test_a_move_is_no_refusal_and_a_cluster_that_is_down_is_one() -> None:
    for moving in (
        MovedError("1 a:1"),
        AskError("1 a:1"),
        TryAgainError("Multiple keys request during rehashing of slot"),
    ):
        with pytest.raises(LedgerUnavailable, match="another node of the cluster") as caught, translated_errors():
            raise moving
        assert not isinstance(caught.value, LedgerRefuses)
    with pytest.raises(LedgerRefuses) as caught, translated_errors():
        raise ClusterDownError("The cluster is down")
    assert caught.value.code == "CLUSTERDOWN"


def test_only_the_client_of_a_cluster_has_a_node() -> None:
    with connect("redis://127.0.0.1:1") as client:
        assert finder_of(client) is None
        assert node_of(client) == ""


@pytest.mark.parametrize("setting", ["ROARK_INGEST_REDIS_URL", "ROARK_INGEST_BROKER_URL"])
def test_a_broker_in_a_cluster_is_refused_with_what_to_do(setting: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{setting} names a cluster.*set ROARK_INGEST_BROKER_URL") as caught:
        parse_broker_url("rediss+cluster://:hush@a,b", setting)
    assert "hush" not in str(caught.value)
