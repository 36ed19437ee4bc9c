"""The one parser of Redis URLs: ledger, broker, Flower and doctor read a setting the same way.

    redis://[user:password@]host[:port][/db]                     rediss:// is the same with TLS
    unix://[user:password@]/path/to/socket[?db=1]
    sentinel://[user:password@]host[:port][,host[:port]…][/db]?master=NAME
                                                                 rediss+sentinel:// is the same with TLS
    redis+cluster://[user:password@]host[:port][,host[:port]…]   rediss+cluster:// is the same with TLS

A user name or password may be percent-encoded, or stand there as it is. An IPv6 address stands in brackets.
`sentinel_username` and `sentinel_password` are for the Sentinels themselves, which `sentinel_tls=on|off` takes out of
what the scheme says. The other parameters are redis-py's. Pure; no message quotes the URL, which holds a password.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

from roark_ledger.errors import ConfigurationError

REDIS_SETTING = "ROARK_INGEST_REDIS_URL"
BROKER_SETTING = "ROARK_INGEST_BROKER_URL"
_SCHEMES = "redis://, rediss://, unix://, sentinel://, rediss+sentinel://, redis+cluster:// or rediss+cluster://"
_CLUSTER_SCHEMES = {"redis+cluster": False, "rediss+cluster": True}
_SENTINEL_SCHEMES = {
    "sentinel": False,
    "redis+sentinel": False,
    "rediss+sentinel": True,
    "rediss-sentinel": True,
    "sentinels": True,
}
NO_BROKER_IN_A_CLUSTER = (
    "names a cluster, which can have the ledger but not Celery's queue: give the queue a small Redis or Valkey of its "
    f"own, outside of cluster mode, and set {BROKER_SETTING} to it"
)
_HOST = r"(?:\[[^\[\]@/]*\]|[^\s/?#@:,;\[\]]*)(?::\d*)?"
_QUERY = r"(?:\?(?P<query>(?:\w+=[^&]*(?:&|$))*))?"
_SERVERS = re.compile(
    rf"(?:(?P<user>.*?)@)?(?P<hosts>{_HOST}(?:,{_HOST})*)(?:/(?P<path>[\w.%-]*(?:/\d*)?))?{_QUERY}", re.DOTALL
)
_SOCKET = re.compile(rf"(?:(?P<user>.*?)@)?(?P<path>/[^?#]+){_QUERY}", re.DOTALL)
_SECRET = re.compile(r"(?:sentinel_)?(?:username|password)=|ssl_password=|ssl_ca_data=", re.IGNORECASE)
# Celery's own spelling of several Sentinels.
_NEXT_SENTINEL = re.compile(r";(?:\w+://)?(?:[^@;]*@)?")


@dataclass(frozen=True, slots=True)
class RedisPlace:
    """Where a Redis is and how it is opened. `master` is what its Sentinels call it, empty without Sentinel.

    Of a cluster, `hosts` are some of its nodes, which are asked for the others.
    `tls` and `sentinel_tls` are redis-py's ssl_… arguments, None without TLS; `options` its other ones.
    """

    setting: str
    hosts: tuple[tuple[str, int], ...] = ()
    socket: str = ""
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    master: str = ""
    tls: Mapping[str, Any] | None = field(default=None, repr=False)
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)
    sentinel_tls: Mapping[str, Any] | None = field(default=None, repr=False)
    options: Mapping[str, Any] = field(default_factory=dict)
    cluster: bool = False

    def __str__(self) -> str:
        """Return what a person calls it: the place, without user name and password."""
        if self.socket:
            return self.socket
        hosts = ", ".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts)
        if self.cluster:
            return f"cluster {hosts}"
        return f"{self.master} by Sentinel {hosts}" if self.master else hosts


def parse_redis_url(url: str, setting: str = REDIS_SETTING) -> RedisPlace:
    """Return what a URL says. `setting` is the variable it comes from.

    Raises ConfigurationError, which names the setting and what is wrong, and never quotes the URL.
    """
    try:
        return _parsed(url.strip(), setting)
    except ValueError as error:
        raise ConfigurationError(f"{setting} {error}") from None


def parse_broker_url(url: str, setting: str = BROKER_SETTING) -> RedisPlace:
    """Return what the URL of Celery's broker says. Raises ConfigurationError as above, and for a cluster."""
    place = parse_redis_url(url, setting)
    if place.cluster:
        raise ConfigurationError(f"{setting} {NO_BROKER_IN_A_CLUSTER}")
    return place


def without_credentials(url: str) -> str:
    """Return the rest of a URL as it stands there: where the server is, and its parameters but for the secret ones."""
    scheme, rest = _without_user(url)
    place, mark, query = rest.partition("?")
    kept = [each for each in query.split("&") if each and not _SECRET.match(each)]
    return f"{scheme}://{place}{mark}{'&'.join(kept)}"


def for_user(url: str, username: str, password: str) -> str:
    """Return a URL of the same place for another user."""
    scheme, rest = _without_user(url)
    return f"{scheme}://{quote(username, safe='')}:{quote(password, safe='')}@{rest}"


def _without_user(url: str) -> tuple[str, str]:
    scheme, _, rest = url.strip().partition("://")
    found = (_SOCKET if scheme.lower() == "unix" else _SERVERS).fullmatch(rest)
    return scheme, rest[found.end("user") + 1 :] if found and found["user"] is not None else rest


def _parsed(url: str, setting: str) -> RedisPlace:
    scheme, there, rest = url.partition("://")
    scheme = scheme.lower()
    if there and scheme in _CLUSTER_SCHEMES:
        return _servers(rest, setting, tls=_CLUSTER_SCHEMES[scheme], cluster=True)
    if there and scheme == "unix":
        return _socket(rest, setting)
    if there and scheme in {"redis", "rediss"}:
        return _servers(rest, setting, tls=scheme == "rediss")
    if there and scheme in _SENTINEL_SCHEMES:
        return _servers(_NEXT_SENTINEL.sub(",", _one_tail(rest)), setting, tls=_SENTINEL_SCHEMES[scheme], sentinel=True)
    raise ValueError(f"must start with {_SCHEMES}")


def _one_tail(rest: str) -> str:
    # sentinel://a:1/0;sentinel://b:2/0 names the database once for each.
    return re.sub(r"/\d*(?=;)", "", rest)


def _socket(rest: str, setting: str) -> RedisPlace:
    found = _SOCKET.fullmatch(rest)
    if not found:
        raise ValueError("must contain the socket's full path: unix:///path/to/socket")
    given = _Query(found["query"])
    username, password = _credentials(found["user"])
    return RedisPlace(
        setting,
        socket=unquote(found["path"]),
        db=given.take("db", _database) or 0,
        username=given.take("username") or username,
        password=given.take("password") or password,
        options=given.rest(tls=False),
    )


def _servers(rest: str, setting: str, *, tls: bool, sentinel: bool = False, cluster: bool = False) -> RedisPlace:
    found = _SERVERS.fullmatch(rest)
    if not found:
        raise ValueError(
            "is not a valid URL: it must be SCHEME://USER:PASSWORD@HOST:PORT/DB?NAME=VALUE, IPv6 addresses in brackets "
            "and special characters in the password percent-encoded"
        )
    hosts = tuple(_host(each, 26379 if sentinel else 6379) for each in _split(found["hosts"]))
    if len(hosts) > 1 and not sentinel and not cluster:
        raise ValueError("names several hosts; only sentinel:// and redis+cluster:// support that")
    given = _Query(found["query"])
    username, password = _credentials(found["user"])
    name, db = _path(found["path"] or "", sentinel=sentinel)
    certificates = given.tls()
    to_server = certificates if tls else None
    sentinels = given.take("sentinel_tls", _switch) if sentinel else None
    if certificates and not tls and not sentinels:
        raise ValueError(
            "sets ssl_… without TLS: the scheme must be rediss://, rediss+sentinel:// or rediss+cluster://"
        )
    db = given.take("db", _database) or db
    if cluster and db:
        raise ValueError(f"names database {db}; a cluster has only database 0")
    return RedisPlace(
        setting,
        hosts=hosts,
        db=db,
        username=given.take("username") or username,
        password=given.take("password") or password,
        master=(given.take("master") or given.take("service_name") or name or "mymaster") if sentinel else "",
        tls=to_server,
        sentinel_username=given.take("sentinel_username") if sentinel else None,
        sentinel_password=given.take("sentinel_password") if sentinel else None,
        sentinel_tls=certificates if sentinel and (tls if sentinels is None else sentinels) else None,
        options=given.rest(tls=True),
        cluster=cluster,
    )


def _split(hosts: str) -> list[str]:
    return re.findall(r"(?:\[[^\]]*\]|[^,])+", hosts) or [""]


def _host(text: str, default_port: int) -> tuple[str, int]:
    found = re.fullmatch(r"(?:\[([^\]]*)\]|([^:]*))(?::(\d*))?", text)
    assert found is not None  # noqa: S101 the pattern of the whole URL has the same parts
    port = int(found[3] or default_port)
    if not 0 < port < 65536:
        raise ValueError("has an invalid port (1 to 65535)")
    if found[1] and not _is_ipv6(found[1]):
        raise ValueError("has something other than an IPv6 address in brackets")
    return unquote(found[1] or found[2] or "localhost"), port


def _is_ipv6(text: str) -> bool:
    try:
        return bool(ipaddress.IPv6Address(text.partition("%")[0]))
    except ValueError:
        return False


def _credentials(text: str | None) -> tuple[str | None, str | None]:
    if not text:
        return None, None
    username, colon, password = text.partition(":")
    return unquote(username) or None, unquote(password) if colon else None


def _path(path: str, *, sentinel: bool) -> tuple[str, int]:
    # Some libraries write the primary's name there: /NAME/0.
    name, _, number = path.partition("/") if "/" in path or not path.isdigit() else ("", "", path)
    if name and not sentinel:
        raise ValueError("has a database that is not a number")
    return unquote(name), _database(number) if number else 0


def _database(text: str) -> int:
    if not re.fullmatch(r"\d{1,6}", text):
        raise ValueError("has a database that is not a number")
    return int(text)


def _switch(text: str) -> bool:
    known = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if text.lower() not in known:
        raise ValueError("has a switch that is neither on nor off")
    return known[text.lower()]


def _demand(text: str) -> str:
    # redis-py says required, Celery CERT_REQUIRED.
    wanted = text.lower().removeprefix("cert_")
    if wanted not in {"none", "optional", "required"}:
        raise ValueError("has an ssl_cert_reqs other than required, optional, none")
    return wanted


def _protocol(text: str) -> int:
    if text not in {"2", "3"}:
        raise ValueError("has a protocol other than 2 or 3")
    return int(text)


def _text(text: str) -> str:
    return text


_TLS: dict[str, Callable[[str], Any]] = {
    "ssl_cert_reqs": _demand,
    "ssl_ca_certs": _text,
    "ssl_ca_path": _text,
    "ssl_ca_data": _text,
    "ssl_certfile": _text,
    "ssl_keyfile": _text,
    "ssl_password": _text,
    "ssl_ciphers": _text,
    "ssl_min_version": int,
    "ssl_check_hostname": _switch,
}
_OPTIONS: dict[str, Callable[[str], Any]] = {
    "socket_timeout": float,
    "socket_connect_timeout": float,
    "socket_keepalive": _switch,
    "health_check_interval": int,
    "max_connections": int,
    "client_name": _text,
    "protocol": _protocol,
}


_PARAMETERS = ("db", "username", "password", *_OPTIONS, *_TLS, "master", "sentinel_username", "sentinel_password")


class _Query:
    """What stands behind the question mark. Everything must be taken by somebody."""

    def __init__(self, text: str | None) -> None:
        # A plus is a plus: who encodes a blank writes %20.
        self._left = dict(parse_qsl((text or "").replace("+", "%2B"), keep_blank_values=True))

    def take(self, name: str, read: Callable[[str], Any] = _text) -> Any:
        if name not in self._left:
            return None
        try:
            return read(self._left.pop(name))
        except ValueError as error:
            own = str(error).startswith("has ")
            raise ValueError(str(error) if own else f"has a value of {name} that is not a number") from None

    def tls(self) -> dict[str, Any]:
        return {name: self.take(name, read) for name, read in _TLS.items() if name in self._left}

    def rest(self, *, tls: bool) -> dict[str, Any]:
        found = {name: self.take(name, read) for name, read in _OPTIONS.items() if name in self._left}
        for name in self._left:
            if name.startswith("retry_"):
                raise ValueError("sets retry_…: a lost answer is asked for again on purpose, never by the library")
            if not tls and name.startswith("ssl_"):
                raise ValueError("sets ssl_…, but a socket has no TLS")
            # Its name may be a piece of a password.
            raise ValueError(f"has an unknown parameter; known are {', '.join(_PARAMETERS)}")
        return found
