"""What each promise needs of a server, as a table."""

from typing import Any

import pytest

from roark_ledger.errors import BrokenPromise, ConfigurationError
from roark_ledger.server.durability import Server, keep, wanted_replicas

WAITAOF = ("WAITAOF", 1, 0, 4000)
NOTHING: tuple[str | int, ...] = ()


def server(**facts: Any) -> Server:
    """A Valkey 9 set up as it should be, but for `facts`."""
    good: dict[str, Any] = {
        "name": "Valkey 9.1.0",
        "version": (9, 1, 0),
        "aof": True,
        "appendfsync": "always",
        "eviction": "noeviction",
        "replicas": 0,
    }
    return Server(**good | facts)


REDIS_7_0 = {"name": "Redis 7.0.15", "version": (7, 0, 15)}


@pytest.mark.parametrize(
    ("promise", "facts", "after_write"),
    [
        ("fsync", {}, NOTHING),
        ("fsync", REDIS_7_0, NOTHING),
        ("fsync", {"appendfsync": "everysec"}, WAITAOF),
        ("fsync", {"appendfsync": "no"}, WAITAOF),
        ("fsync", {"appendfsync": None}, WAITAOF),
        ("fsync", {"appendfsync": "everysec", "version": (7, 2)}, WAITAOF),
        ("fsync", {"rests_in_rewrites": True}, WAITAOF),
        ("fsync", {"eviction": None}, NOTHING),
        ("memory", {}, NOTHING),
        ("memory", {"aof": False, "appendfsync": None, "eviction": None, **REDIS_7_0}, NOTHING),
        ("replicated:1", {"replicas": 1}, ("WAIT", 1, 4000)),
        ("replicated:2", {"replicas": 3, "aof": False}, ("WAIT", 2, 4000)),
    ],
)
def test_a_server_that_can_keep_the_promise_does_it_this_way(
    promise: str, facts: dict[str, Any], after_write: tuple[str | int, ...]
) -> None:
    kept = keep(promise, server(**facts))

    assert kept.after_write == after_write
    assert kept.sentence.startswith(promise.partition(":")[0])
    assert server(**facts).name in kept.sentence


@pytest.mark.parametrize(
    ("promise", "facts", "mend"),
    [
        ("fsync", {"aof": False}, "CONFIG SET appendonly yes"),
        ("fsync", {"appendfsync": "everysec", **REDIS_7_0}, "CONFIG SET appendfsync always"),
        ("fsync", {"rests_in_rewrites": True, **REDIS_7_0}, "CONFIG SET no-appendfsync-on-rewrite no"),
        ("fsync", {"appendfsync": None, **REDIS_7_0}, "ACL SETUSER OUR-USER +config|get"),
        ("fsync", {"aof": None, "hidden": ("+info",)}, "ACL SETUSER OUR-USER +info"),
        ("replicated:1", {}, "Connect the replicas"),
        ("replicated:3", {"replicas": 2}, "has 2 replicas; replicated:3 needs 3"),
        ("fsync", {"eviction": "allkeys-lru"}, "CONFIG SET maxmemory-policy noeviction"),
        ("memory", {"eviction": "volatile-ttl"}, "CONFIG SET maxmemory-policy noeviction"),
        ("replicated:1", {"eviction": "allkeys-lfu", "replicas": 1}, "CONFIG SET maxmemory-policy noeviction"),
    ],
)
def test_a_server_that_cannot_is_refused_with_the_line_that_mends_it(
    promise: str, facts: dict[str, Any], mend: str
) -> None:
    with pytest.raises(BrokenPromise) as caught:
        keep(promise, server(**facts))

    assert mend in str(caught.value)
    assert server(**facts).name in str(caught.value)


@pytest.mark.parametrize(
    ("promise", "replicas"), [("fsync", None), ("memory", None), ("replicated:1", 1), ("replicated:12", 12)]
)
def test_the_promises_there_are(promise: str, replicas: int | None) -> None:
    assert wanted_replicas(promise) == replicas


@pytest.mark.parametrize(
    "promise",
    ["", "Fsync", "sync", "disk", "replicated", "replicated:", "replicated:0", "replicated:x", "replicated:1 "],
)
def test_any_other_word_is_refused_and_the_right_ones_are_named(promise: str) -> None:
    with pytest.raises(ConfigurationError, match=r"ROARK_INGEST_DURABILITY .*fsync, replicated:N .* or memory"):
        wanted_replicas(promise)


@pytest.mark.parametrize(
    ("version", "knows"), [((7, 0, 15), False), ((7, 2, 0), True), ((8, 0), True), ((6, 2), False), ((9, 1, 0), True)]
)
def test_waitaof_came_with_redis_7_2(version: tuple[int, ...], knows: bool) -> None:
    assert server(version=version).has_waitaof is knows
