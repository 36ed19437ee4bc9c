"""The one door to redis-py: from a URL to a client, and from redis-py's errors to ours.

What a URL says is read in `redis_url.py`. Without one the embedded server of this data directory is meant.

redis-py by itself sends a command again after a lost answer, up to ten times. Ours are never sent twice by the
library: who must not lose an answer asks again on purpose, and knows it.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote
from weakref import WeakKeyDictionary

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.backoff import NoBackoff
from redis.connection import HiredisRespSerializer
from redis.exceptions import (
    AskError,
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry
from redis.sentinel import Sentinel

from roark_ledger.errors import (
    ConfigurationError,
    LedgerError,
    LedgerFault,
    LedgerFull,
    LedgerRefuses,
    LedgerUnavailable,
)
from roark_ledger.keys import DEFAULT_PREFIX
from roark_ledger.server.cluster import finder_of, led
from roark_ledger.server.redis_causes import cause_of, missing_permission
from roark_ledger.server.redis_url import REDIS_SETTING, RedisPlace, parse_redis_url

EMBEDDED_SOCKET = Path("valkey") / "valkey.sock"
EMBEDDED_USERS = Path("users")
"""Where the URLs of the embedded server's users are, each in a file: its name, and the user's."""
EMBEDDED_URL = "redis_url_{}"
_PATIENCE: dict[str, Any] = {"socket_timeout": 5.0, "socket_connect_timeout": 3.0, "client_name": "roark-ingest"}
# One that hangs is asked first, again and again, and the others wait for it.
_SENTINEL_SECONDS = 1.0
# A claim's answer has some hundred kB. The redis-py that an application of two years ago pins cannot be told.
_READ_AT_ONCE: dict[str, Any] = (
    {"socket_read_size": 1 << 20} if "socket_read_size" in signature(redis.asyncio.Redis.__init__).parameters else {}
)

Client = TypeVar("Client", redis.Redis, redis.asyncio.Redis)
_places: WeakKeyDictionary[Any, RedisPlace] = WeakKeyDictionary()


def redis_url(configured: str | None, data_dir: Path) -> str:
    """Return the server's URL: the configured one, or the embedded server's socket, as its user `operator`.

    Raises ConfigurationError when neither is there.
    """
    if configured:
        return configured
    socket = (data_dir / EMBEDDED_SOCKET).resolve()
    if not socket.exists():
        raise ConfigurationError(
            f"no Redis: ROARK_INGEST_REDIS_URL is not set, and no embedded server is running in {data_dir}. "
            "Run `roark-ingest up` there, or set the URL."
        )
    operator = data_dir / EMBEDDED_USERS / EMBEDDED_URL.format("operator")
    try:
        # Its password, for the socket may have moved with the directory.
        place = parse_redis_url(operator.read_text("utf-8"), str(operator))
    except FileNotFoundError:
        return socket_url(socket)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigurationError(f"can't read the embedded server's password in {operator}: {why}") from None
    return socket_url(socket, f"{place.username}:{quote(place.password or '', safe='')}@")


def socket_url(socket: Path, credentials: str = "") -> str:
    """Return the URL of a server's socket."""
    return f"unix://{credentials}{quote(str(socket))}"


def connect(url: str, setting: str = REDIS_SETTING, *, seconds: float | None = None) -> "redis.Redis":
    """Return a sync client, which waits for answers as long as our commands may take, or for `seconds`.

    Nothing is sent before the first command.

    Raises ConfigurationError, which names the setting, when the URL cannot be read or names a file that cannot.
    """
    place = parse_redis_url(url, setting)
    retry = Retry(NoBackoff(), 0)
    patience = {} if seconds is None else {"socket_timeout": seconds, "socket_connect_timeout": seconds}
    if place.master:
        sentinel = Sentinel(place.hosts, sentinel_kwargs=sentinel_arguments(place), **_to_server(place, patience))  # type: ignore[no-untyped-call] # redis-py's own
        primary: redis.Redis = sentinel.master_for(place.master, retry=retry)  # type: ignore[no-untyped-call] # redis-py's own
        return _placed(primary, place)
    client = _placed(redis.Redis(retry=retry, **_to_server(place, patience)), place)
    return led(client, place, DEFAULT_PREFIX) if place.cluster else client


def connect_async(url: str, setting: str = REDIS_SETTING) -> "redis.asyncio.Redis":
    """Return an asyncio client. Nothing is sent before the first command; raises as `connect` does."""
    place = parse_redis_url(url, setting)
    retry = AsyncRetry(NoBackoff(), 0)
    if place.master:
        asked = sentinel_arguments(place) | {"retry": retry}
        sentinel = AsyncSentinel(place.hosts, sentinel_kwargs=asked, **_to_server(place, _READ_AT_ONCE))  # type: ignore[no-untyped-call] # redis-py's own
        primary: redis.asyncio.Redis = sentinel.master_for(place.master, retry=retry)
        return _packing_in_c(_placed(primary, place))
    client = _packing_in_c(_placed(redis.asyncio.Redis(retry=retry, **_to_server(place, _READ_AT_ONCE)), place))
    return led(client, place, DEFAULT_PREFIX) if place.cluster else client


def connect_to_each(url: str, setting: str = REDIS_SETTING) -> "Iterator[redis.Redis]":
    """Yield a client to each node of a cluster, replicas too, and to the one server that any other URL leads to.

    Raises LedgerUnavailable where no node of the cluster tells of the others.
    """
    place = parse_redis_url(url, setting)
    with connect(url, setting) as client:
        if not (finder := finder_of(client)):
            yield client
            return
        with translated_errors(client):
            client.ping()
    for node in finder.members:
        alone = replace(place, hosts=(node,), cluster=False)
        with _placed(redis.Redis(retry=Retry(NoBackoff(), 0), **_to_server(alone)), alone) as client:
            yield client


def place_of(client: Any) -> RedisPlace | None:
    """Return where a client of ours leads."""
    return _places.get(client) if client is not None else None


def _placed(client: Client, place: RedisPlace) -> Client:
    _places[client] = place
    return client


def _to_server(place: RedisPlace, more: dict[str, Any] | None = None) -> dict[str, Any]:
    arguments = _PATIENCE | (more or {}) | {"db": place.db, "username": place.username, "password": place.password}
    if place.socket:
        arguments["unix_socket_path"] = place.socket
    elif not place.master:
        arguments |= {"host": place.hosts[0][0], "port": place.hosts[0][1]}
    # redis-py refuses the keep-alive of a connection that is no TCP connection.
    over_tcp = {} if place.socket else {"socket_keepalive": True}
    return arguments | over_tcp | tls_arguments(place, place.tls) | dict(place.options)


def sentinel_arguments(place: RedisPlace) -> dict[str, Any]:
    """Return redis-py's arguments for the Sentinels themselves. The next Sentinel is asked rather than one again."""
    known = {"username": place.sentinel_username, "password": place.sentinel_password}
    given = {name: value for name, value in known.items() if value is not None}
    patience = {"socket_timeout": _SENTINEL_SECONDS, "socket_connect_timeout": _SENTINEL_SECONDS}
    once = {"retry": Retry(NoBackoff(), 0), "socket_keepalive": True}
    return patience | once | given | tls_arguments(place, place.sentinel_tls)


def tls_arguments(place: RedisPlace, tls: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return redis-py's arguments for TLS, none without it.

    Raises ConfigurationError when a file that is named cannot be used: redis-py would call that a lost connection.
    """
    if tls is None:
        return {}
    for name in ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile"):
        try:
            Path(tls.get(name) or "/dev/null").read_bytes()
        except OSError as error:
            raise ConfigurationError(
                f"{place.setting}: {name} names {tls[name]}, which cannot be read: {error.strerror}"
            ) from None
    import ssl

    context = ssl.create_default_context()
    try:
        if authority := tls.get("ssl_ca_certs"):
            context.load_verify_locations(cafile=authority)
        if certificate := tls.get("ssl_certfile"):
            context.load_cert_chain(certificate, tls.get("ssl_keyfile"), tls.get("ssl_password", ""))
    except ssl.SSLError:
        raise ConfigurationError(
            f"{place.setting}: ssl_ca_certs must name a PEM file of certificates, ssl_certfile and ssl_keyfile a "
            "certificate and its key, with ssl_password where that has one"
        ) from None
    return {"ssl": True, "ssl_cert_reqs": "required", **tls}


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


# Where a script of ours fails on what it reads, Lua names its line: that is about one call. All else is about Redis.
_SCRIPT_FAILED = re.compile(r"(?:ERR )?(?:Error running script.*?: @?)?user_script:\d+: |WRONGTYPE")
_CODE = re.compile(r"[A-Z]{4,}(?= |$)")
# redis-py takes the word away from what it has a class for. The first that fits counts.
_CODES = {
    NoPermissionError: "NOPERM",
    ReadOnlyError: "READONLY",
    BusyLoadingError: "LOADING",
    MovedError: "MOVED",
    AskError: "ASK",
    TryAgainError: "TRYAGAIN",
    MasterDownError: "MASTERDOWN",
    ClusterDownError: "CLUSTERDOWN",
}
# Nothing was done, and nothing is wrong: the same command again succeeds soon, at another node.
_UNDER_WAY = {
    "MOVED": "the ledger has moved to another node of the cluster",
    "ASK": "the ledger is being moved to another node of the cluster",
    "TRYAGAIN": "the ledger is being moved to another node of the cluster",
}
_SCRIPT = re.compile(r"(?: script: (?:on |[0-9a-f]{40}).*)$")


@contextmanager
def translated_errors(client: Any = None) -> Iterator[None]:
    """Turn redis-py's errors into ours; the message names the client's server and no argument."""
    try:
        yield
    except OutOfMemoryError as error:
        raise LedgerFull("Redis is out of memory (maxmemory): nothing was stored", "OOM") from error
    except (BusyLoadingError, ReadOnlyError, ResponseError) as error:
        raise _refusal(error) from error
    except (RedisConnectionError, RedisTimeoutError, OSError) as error:
        raise LedgerUnavailable(f"Redis is unreachable: {cause_of(error, place_of(client))}") from error
    except RedisError as error:
        raise LedgerFault(f"Redis refused: {str(error)[:200]}") from error


def _refusal(error: RedisError) -> LedgerError:
    # What follows quotes the command's arguments, which may be a report.
    text = str(error).partition(", with args")[0][:160]
    if "OOM" in text[:40] or "maxmemory" in text:
        return LedgerFull("Redis is out of memory (maxmemory): nothing was stored", "OOM")
    if _SCRIPT_FAILED.match(text):
        return LedgerFault(f"Redis refused: {text}")
    said = _CODE.match(text)
    code = next((code for kind, code in _CODES.items() if isinstance(error, kind)), said[0] if said else "ERR")
    if code in _UNDER_WAY:
        return LedgerUnavailable(_UNDER_WAY[code])
    if lacking := missing_permission(error):
        return LedgerRefuses(f"Redis refuses commands: NOPERM {lacking}", "NOPERM")
    told = text if said else f"{code} {text}"
    return LedgerRefuses(f"Redis refuses commands: {_SCRIPT.sub('', told)}", code)
