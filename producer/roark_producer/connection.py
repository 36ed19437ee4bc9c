"""The one door to redis-py: from a URL to a client, and from redis-py's errors to ours.

`redis://`, `rediss://` and `unix://` go to one server, `sentinel://host:port,host:port/db?master=NAME` asks
Sentinel for the primary. Without a URL the embedded server of this data directory is meant.

redis-py by itself sends a command again after a lost answer, up to ten times. Ours are never sent twice by the
library: who must not lose an answer asks again on purpose, and knows it.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.backoff import NoBackoff
from redis.connection import HiredisRespSerializer
from redis.exceptions import (
    BusyLoadingError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry
from redis.sentinel import Sentinel

from roark_producer.errors import (
    ConfigurationError,
    LedgerError,
    LedgerFault,
    LedgerFull,
    LedgerRefuses,
    LedgerUnavailable,
)

EMBEDDED_SOCKET = Path("valkey") / "valkey.sock"
_ANSWER_SECONDS = 5.0
_CONNECT_SECONDS = 3.0
# A claim's answer has some hundred kB.
_READ_AT_ONCE: dict[str, Any] = {"socket_read_size": 1 << 20}


def redis_url(configured: str | None, data_dir: Path) -> str:
    """Return the server's URL: the configured one, or the embedded server's socket.

    Raises ConfigurationError when neither is there.
    """
    if configured:
        return configured
    socket = (data_dir / EMBEDDED_SOCKET).resolve()
    if not socket.exists():
        raise ConfigurationError(
            f"no Redis: ROARK_INGEST_REDIS_URL is not set and no embedded server runs in {data_dir}. "
            "Start `roark-ingest up` there, or set the URL."
        )
    return f"unix://{socket}"


def connect(url: str) -> "redis.Redis":
    """Return a sync client. Nothing is sent before the first command."""
    if url.startswith("sentinel://"):
        hosts, master, options = _sentinel_parts(url)
        sentinel = Sentinel(hosts, sentinel_kwargs=_patience(), **_patience(), **options)  # type: ignore[no-untyped-call] # redis-py's own
        primary: redis.Redis = sentinel.master_for(master, retry=Retry(NoBackoff(), 0))  # type: ignore[no-untyped-call] # redis-py's own
        return primary
    return redis.Redis.from_url(_checked(url), retry=Retry(NoBackoff(), 0), **_patience(url))


def connect_async(url: str) -> "redis.asyncio.Redis":
    """Return an asyncio client. Nothing is sent before the first command."""
    if url.startswith("sentinel://"):
        hosts, master, options = _sentinel_parts(url)
        sentinel = AsyncSentinel(hosts, sentinel_kwargs=_patience(), **_patience(), **options, **_READ_AT_ONCE)  # type: ignore[no-untyped-call] # redis-py's own
        primary: redis.asyncio.Redis = sentinel.master_for(master, retry=AsyncRetry(NoBackoff(), 0))
        return _packing_in_c(primary)
    retry = AsyncRetry(NoBackoff(), 0)
    client = redis.asyncio.Redis.from_url(_checked(url), retry=retry, **_patience(url), **_READ_AT_ONCE)
    return _packing_in_c(client)


class _PacksInC:
    """Mixed into an asyncio connection of redis-py, which packs commands in Python, though its sync one does in C."""

    __slots__ = ()

    def pack_command(self, *args: Any) -> list[bytes]:
        packed: list[bytes] = HiredisRespSerializer().pack(*args)
        return packed


def _packing_in_c(client: "redis.asyncio.Redis") -> "redis.asyncio.Redis":
    pool = client.connection_pool
    theirs = pool.connection_class
    pool.connection_class = type(theirs.__name__, (_PacksInC, theirs), {"__slots__": ()})
    return client


def _patience(url: str = "") -> dict[str, Any]:
    # redis-py refuses the keep-alive of a connection that is no TCP connection.
    over_tcp: dict[str, Any] = {} if url.startswith("unix://") else {"socket_keepalive": True}
    return {
        "socket_timeout": _ANSWER_SECONDS,
        "socket_connect_timeout": _CONNECT_SECONDS,
        "client_name": "roark-ingest",
        **over_tcp,
    }


def _checked(url: str) -> str:
    if urlsplit(url).scheme not in {"redis", "rediss", "unix"}:
        raise ConfigurationError("ROARK_INGEST_REDIS_URL must start with redis://, rediss://, unix:// or sentinel://")
    return url


def _sentinel_parts(url: str) -> tuple[list[tuple[str, int]], str, dict[str, Any]]:
    parts = urlsplit(url)
    credentials, _, places = parts.netloc.rpartition("@")
    hosts = []
    for place in places.split(","):
        host, _, port = place.partition(":")
        hosts.append((host, int(port or 26379)))
    master = parse_qs(parts.query).get("master", ["mymaster"])[0]
    options: dict[str, Any] = {"db": int(parts.path.strip("/") or 0)}
    if credentials:
        username, _, password = credentials.rpartition(":")
        options |= {"username": username or None, "password": password}
    return hosts, master, options


# Where a script of ours fails on what it reads, Lua names its line: that is about one call. All else is about Redis.
_SCRIPT_FAILED = re.compile(r"(?:ERR )?(?:Error running script.*?: @?)?user_script:\d+: |WRONGTYPE")
_CODE = re.compile(r"[A-Z]{4,}(?= |$)")
_CODES = {NoPermissionError: "NOPERM", ReadOnlyError: "READONLY", BusyLoadingError: "LOADING"}
_FORBIDDEN_TO_SCRIPT = re.compile(r"ACL failure in script|The user executing the script can't")
_SCRIPT = re.compile(r"(?: script: (?:on |[0-9a-f]{40}).*)$")


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn redis-py's errors into ours; the message names no argument."""
    try:
        yield
    except OutOfMemoryError as error:
        raise LedgerFull("Redis is full (maxmemory): nothing was stored", "OOM") from error
    except (BusyLoadingError, ReadOnlyError, ResponseError) as error:
        raise _refusal(error) from error
    except (RedisConnectionError, RedisTimeoutError, OSError) as error:
        raise LedgerUnavailable(f"Redis cannot be reached ({type(error).__name__})") from error
    except RedisError as error:
        raise LedgerFault(f"Redis refused: {str(error)[:200]}") from error


def _refusal(error: RedisError) -> LedgerError:
    # What follows quotes the command's arguments, which may be a report.
    text = str(error).partition(", with args")[0][:160]
    if "OOM" in text[:40] or "maxmemory" in text:
        return LedgerFull("Redis is full (maxmemory): nothing was stored", "OOM")
    if _SCRIPT_FAILED.match(text):
        return LedgerFault(f"Redis refused: {text}")
    said = _CODE.match(text)
    code = next((code for kind, code in _CODES.items() if isinstance(error, kind)), said[0] if said else "ERR")
    if _FORBIDDEN_TO_SCRIPT.match(text):
        code = "NOPERM"
    told = text if said else f"{code} {text}"
    return LedgerRefuses(f"Redis does not take commands: {_SCRIPT.sub('', told)}", code)
