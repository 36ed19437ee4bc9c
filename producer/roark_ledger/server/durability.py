"""What a yes is worth: the durability promise, how it is kept, and whether this server can keep it.

    fsync          the write is on the server's disk before the sender gets its answer: `appendfsync always`,
                   or, where AOF is on and the server knows it (Redis 7.2, Valkey), WAITAOF after each write; by
                   WAITAOF, too, where `no-appendfsync-on-rewrite yes` lets a rewrite of the file stop all syncing
    replicated:N   N replicas have the write: WAIT after each write
    memory         the server has it in memory; what it writes to disk, and when, is its own affair

Many concurrent accepts share one fsync: the server syncs once for all commands that it read together.
In a cluster the promise goes with each write, to whichever node has the ledger by then: what the settings of the node
before promised counts for nothing.
An eviction policy breaks every promise, because it deletes reports when memory is short.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import redis
from redis.exceptions import ResponseError

from roark_ledger.errors import (
    BrokenPromise,
    ConfigurationError,
    LedgerFault,
    LedgerRefuses,
    LedgerUnavailable,
    UnfitServer,
)
from roark_ledger.ledger import AfterWrite
from roark_ledger.server.cluster import finder_of, node_of
from roark_ledger.server.connection import place_of, translated_errors
from roark_ledger.server.redis_causes import SERVERS_PAGE, missing_permission, where

_WAIT_MS = 4000
_OLDEST = (7, 0)
_RESTS = "no-appendfsync-on-rewrite"
_NODE_OF_A_CLUSTER = (
    "is a node of a cluster, which has the ledger only until it moves. Name the cluster: redis+cluster://HOST:PORT, or "
    f"rediss+cluster:// with TLS. See {SERVERS_PAGE}"
)
_REPLICATED = re.compile(r"replicated:([1-9]\d?)")


@dataclass(frozen=True, slots=True)
class Kept:
    """How a promise is kept: the command that follows each write, and one line that says so."""

    after_write: AfterWrite
    sentence: str


@dataclass(frozen=True, slots=True)
class Server:
    """What matters about a server here. None, or no version, where it does not say.

    Managed servers often forbid CONFIG, and an ACL may forbid INFO; `hidden` names what our user may not ask.
    """

    name: str
    version: tuple[int, ...]
    aof: bool | None
    appendfsync: str | None
    eviction: str | None
    replicas: int
    cluster: bool = False
    hidden: tuple[str, ...] = ()
    where: str = ""
    node: str = ""
    """The cluster's node that has the ledger, "" where the URL names one server."""
    rests_in_rewrites: bool = False
    """Whether it syncs nothing while it rewrites its file (`no-appendfsync-on-rewrite yes`)."""

    @property
    def has_waitaof(self) -> bool:
        """Whether the server knows WAITAOF (Redis 7.2 and up; Valkey began there)."""
        return self.version >= (7, 2)


def wanted_replicas(promise: str) -> int | None:
    """Return N of `replicated:N`, None for the other promises.

    Raises ConfigurationError for anything else.
    """
    if promise in {"fsync", "memory"}:
        return None
    if match := _REPLICATED.fullmatch(promise):
        return int(match[1])
    raise ConfigurationError(
        f"ROARK_INGEST_DURABILITY is {promise!r}; it must be fsync, replicated:N (N from 1) or memory"
    )


def inspect(client: "redis.Redis") -> Server:
    """Ask the server what it is and how it keeps its data; what our user may not ask is found out by trying.

    Raises LedgerUnavailable when it is away or a replica, UnfitServer when it lets our user ask nothing at all.
    """
    with _asking(client):
        info = _info(client)
        config = _config(client)
        told = info or _told_without_info(client)
    if told.get("role") in {"slave", "replica"}:
        # Reads succeed there for ever: after a failover by name the connection would never lead to the new primary.
        if finder := finder_of(client):
            finder.doubt(finder.generation)
        client.connection_pool.disconnect(inuse_connections=False)
        raise LedgerUnavailable(f"the server is a replica and accepts no writes{where(place_of(client))}")
    version = str(told.get("valkey_version") or told.get("redis_version") or "")
    kind = "Valkey" if "valkey_version" in told else "Redis"
    return Server(
        name=f"{kind} {version}".strip(),
        version=tuple(int(part) for part in re.findall(r"\d+", version)),
        aof=None if told.get("aof_enabled") is None else told["aof_enabled"] == 1,
        appendfsync=config.get("appendfsync"),
        eviction=config.get("maxmemory-policy") or told.get("maxmemory_policy"),
        replicas=int(told.get("connected_slaves", 0)),
        cluster=_is_clusters(told),
        hidden=(*(() if info else ("+info",)), *(() if config else ("+config|get",))),
        where=where(place_of(client)),
        node=node_of(client),
        rests_in_rewrites=config.get(_RESTS) == "yes",
    )


@contextmanager
def _asking(client: "redis.Redis") -> Iterator[None]:
    try:
        with translated_errors(client):
            yield
    except (LedgerFault, LedgerRefuses) as error:
        # Waiting mends neither a permission nor a setting; the other refusals pass.
        if isinstance(error, LedgerRefuses) and error.code not in {"NOPERM", "ERR"}:
            raise
        raise UnfitServer(f"{error}{where(place_of(client))}") from error


def _info(client: "redis.Redis") -> dict[str, Any]:
    try:
        found: dict[str, Any] = client.info()
    except ResponseError as error:
        if "+info" in (missing_permission(error) or ""):
            return {}
        raise
    return found


def in_cluster_mode(client: "redis.Redis") -> bool:
    """Ask the server whether it is a cluster's node; raises as `inspect` does."""
    with _asking(client):
        told = _info(client) or _hello(client)
    return _is_clusters(told)


def _is_clusters(told: dict[str, Any]) -> bool:
    return told.get("cluster_enabled", 0) == 1 or told.get("redis_mode") == "cluster"


def _told_without_info(client: "redis.Redis") -> dict[str, Any]:
    found = _hello(client)
    # Without an append-only file it answers with an error, and a server that does not know the command as well.
    if _asked(client, "WAITAOF", 1, 0, _WAIT_MS):
        found["aof_enabled"] = 1
    return found | {"connected_slaves": _asked(client, "WAIT", 0, 1) or 0}


def _hello(client: "redis.Redis") -> dict[str, Any]:
    hello = _asked(client, "HELLO") or {}
    pairs = hello if isinstance(hello, dict) else dict(zip(hello[::2], hello[1::2], strict=False))
    facts = {_text(name): _text(value) for name, value in pairs.items() if isinstance(value, bytes | str)}
    version = "valkey_version" if facts.get("server") == "valkey" else "redis_version"
    return {version: facts.get("version"), "redis_mode": facts.get("mode"), "role": facts.get("role")}


def _asked(client: "redis.Redis", *command: str | int) -> Any:
    try:
        return client.execute_command(*command)  # type: ignore[no-untyped-call] # redis-py's own
    except ResponseError:
        return None


def _config(client: "redis.Redis") -> dict[str, str]:
    try:
        found: dict[Any, Any] = {}
        for name in ("appendfsync", _RESTS, "maxmemory-policy"):
            found |= client.config_get(name)
    except ResponseError:
        return {}
    return {_text(name): _text(value) for name, value in found.items()}


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def keep(promise: str, server: Server) -> Kept:
    """Return how `server` keeps `promise`.

    Raises BrokenPromise, with the line that mends it, when it cannot, UnfitServer when it cannot be a ledger at all.
    """
    check_fit(server)
    replicas = wanted_replicas(promise)
    if server.eviction not in {None, "noeviction"}:
        raise BrokenPromise(
            f"{server.name} evicts data when memory is full (maxmemory-policy {server.eviction}), so reports "
            "would be lost. Fix it with: CONFIG SET maxmemory-policy noeviction"
        )
    if replicas is not None:
        return _keep_replicated(replicas, server)
    if promise == "memory":
        return Kept((), f"memory: {server.name} has a report in memory before the sender gets its answer")
    return _keep_fsync(server)


def check_fit(server: Server) -> None:
    """Raise UnfitServer when the ledger cannot be on this server, whatever is promised."""
    if server.cluster and not server.node:
        raise UnfitServer(f"{server.name}{server.where} {_NODE_OF_A_CLUSTER}")
    if server.version and server.version < _OLDEST:
        raise UnfitServer(
            f"{server.name}{server.where} is too old: the ledger's scripts say what they may do when memory is full, "
            f"which Redis understands from 7.0 on, and Valkey. See {SERVERS_PAGE}"
        )


def _keep_replicated(replicas: int, server: Server) -> Kept:
    if server.replicas < replicas:
        raise BrokenPromise(
            f"{server.name} has {server.replicas} replicas; replicated:{replicas} needs {replicas}. "
            "Connect the replicas, or set ROARK_INGEST_DURABILITY=fsync"
        )
    return Kept(
        ("WAIT", replicas, _WAIT_MS),
        f"replicated: {replicas} replicas of {server.name} have a report before the sender gets its answer",
    )


def _keep_fsync(server: Server) -> Kept:
    if server.aof is False:
        raise BrokenPromise(
            f"{server.name} keeps no append-only file, so a crash loses reports. Fix it with: "
            "CONFIG SET appendonly yes, and CONFIG SET appendfsync always"
        )
    on_disk = f"fsync: a report is on the disk of {server.name} before the sender gets its answer"
    if server.aof and server.appendfsync == "always" and not server.cluster and not server.rests_in_rewrites:
        return Kept((), f"{on_disk} (appendfsync always)")
    if server.aof and server.has_waitaof:
        return Kept(("WAITAOF", 1, 0, _WAIT_MS), f"{on_disk} (WAITAOF)")
    if server.cluster and server.aof and server.version:
        raise BrokenPromise(
            f"{server.name} does not know WAITAOF, without which a cluster's next node promises nothing. "
            "Fix it with: Redis 7.2, Valkey, or another ROARK_INGEST_DURABILITY"
        )
    if server.aof is None or server.appendfsync is None:
        lacking = " ".join(server.hidden) or "+config|get"
        raise BrokenPromise(
            f"{server.name} does not let our user read its fsync settings. Fix it with: ACL SETUSER OUR-USER "
            f"{lacking}, or, if your provider does not allow that, use another ROARK_INGEST_DURABILITY"
        )
    if server.rests_in_rewrites:
        raise BrokenPromise(
            f"{server.name} syncs nothing while it rewrites its file, so a power cut loses what came in that time. "
            f"Fix it with: CONFIG SET {_RESTS} no"
        )
    raise BrokenPromise(
        f"{server.name} syncs its file {server.appendfsync} and does not know WAITAOF, so a power cut loses up to a "
        "second. Fix it with: CONFIG SET appendfsync always"
    )
