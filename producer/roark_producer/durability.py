"""What a yes is worth: the durability promise, how it is kept, and whether this server can keep it.

    fsync          the write is on the server's disk before the sender gets its answer: `appendfsync always`,
                   or, where AOF is on and the server knows it (Redis 7.2, Valkey), WAITAOF after each write
    replicated:N   N replicas have the write: WAIT after each write
    memory         the server has it in memory; what it writes to disk, and when, is its own affair

Many concurrent accepts share one fsync: the server syncs once for all commands that it read together.
An eviction policy breaks every promise, because it deletes reports when memory is short.
"""

import re
from dataclasses import dataclass
from typing import Any

import redis
from redis.exceptions import ResponseError

from roark_producer.connection import translated_errors
from roark_producer.errors import BrokenPromise, ConfigurationError
from roark_producer.ledger import AfterWrite

_WAIT_MS = 4000
_REPLICATED = re.compile(r"replicated:([1-9]\d?)")


@dataclass(frozen=True, slots=True)
class Kept:
    """How a promise is kept: the command that follows each write, and one line that says so."""

    after_write: AfterWrite
    sentence: str


@dataclass(frozen=True, slots=True)
class Server:
    """What matters about a server here. None where it does not say (managed servers often forbid CONFIG)."""

    name: str
    version: tuple[int, ...]
    aof: bool
    appendfsync: str | None
    eviction: str | None
    replicas: int

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
        f"ROARK_INGEST_DURABILITY is {promise!r}; it can be fsync, replicated:N (N from 1) or memory"
    )


def inspect(client: "redis.Redis") -> Server:
    """Ask the server what it is and how it keeps its data."""
    with translated_errors():
        info: dict[str, Any] = client.info()
        config = _config(client)
    version = str(info.get("valkey_version") or info["redis_version"])
    return Server(
        name=f"{'Valkey' if 'valkey_version' in info else 'Redis'} {version}",
        version=tuple(int(part) for part in re.findall(r"\d+", version)),
        aof=info.get("aof_enabled", 0) == 1,
        appendfsync=config.get("appendfsync"),
        eviction=config.get("maxmemory-policy") or info.get("maxmemory_policy"),
        replicas=int(info.get("connected_slaves", 0)),
    )


def _config(client: "redis.Redis") -> dict[str, str]:
    try:
        found: dict[Any, Any] = client.config_get("appendfsync") | client.config_get("maxmemory-policy")
    except ResponseError:
        return {}
    return {_text(name): _text(value) for name, value in found.items()}


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def keep(promise: str, server: Server) -> Kept:
    """Return how `server` keeps `promise`.

    Raises BrokenPromise, with the line that mends it, when it cannot.
    """
    replicas = wanted_replicas(promise)
    if server.eviction not in {None, "noeviction"}:
        raise BrokenPromise(
            f"{server.name} evicts data when memory is short (maxmemory-policy {server.eviction}), so reports "
            "would vanish. Mend it with: CONFIG SET maxmemory-policy noeviction"
        )
    if replicas is not None:
        return _keep_replicated(replicas, server)
    if promise == "memory":
        return Kept((), f"memory: {server.name} has a report in memory before the sender gets its answer")
    return _keep_fsync(server)


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
    if not server.aof:
        raise BrokenPromise(
            f"{server.name} keeps no append-only file, so a crash loses reports. Mend it with: "
            "CONFIG SET appendonly yes, and CONFIG SET appendfsync always"
        )
    on_disk = f"fsync: a report is on the disk of {server.name} before the sender gets its answer"
    if server.appendfsync == "always":
        return Kept((), f"{on_disk} (appendfsync always)")
    if server.has_waitaof:
        return Kept(("WAITAOF", 1, 0, _WAIT_MS), f"{on_disk} (WAITAOF)")
    raise BrokenPromise(
        f"{server.name} syncs its file {server.appendfsync or 'at times it does not tell'} and does not know "
        "WAITAOF, so a power cut loses up to a second. Mend it with: CONFIG SET appendfsync always"
    )
