"""Servers as people have them: each a context manager that yields the settings which lead there.

Without redis-server 7, or openssl for those with TLS, a test skips with words.
"""

import contextlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import redis
from certificates import Authority
from clusters import cluster
from pipeline import wait_until
from servers import Server, redis7_binary, running

from roark_ledger.server.connection import connect

PAGE = Path(__file__).parents[2] / "ops" / "docs" / "servers.md"
ODD = "p@ss:w#rd/%2?+"
REDIS, BROKER, DURABILITY = "ROARK_INGEST_REDIS_URL", "ROARK_INGEST_BROKER_URL", "ROARK_INGEST_DURABILITY"
Settings = dict[str, str]


def acl_of_page(name: str) -> list[str]:
    """Return the least rules that the page on servers has for `ledger` or `broker`."""
    found = re.search(rf"^```acl_{name}\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert found
    return found[1].split()


@contextlib.contextmanager
def plain(kind: str, **config: str) -> Iterator[Server]:
    with running(binary=redis7_binary() if kind == "redis7" else None, tcp=True, **config) as server:
        yield server


@contextlib.contextmanager
def with_password(kind: str) -> Iterator[Settings]:
    with plain(kind) as server:
        with connect(server.url) as admin:
            admin.config_set("requirepass", ODD)
        try:
            yield {REDIS: f"redis://:{quote(ODD, safe='')}@127.0.0.1:{server.port}/2"}
        finally:
            _stop(f"unix://:{quote(ODD, safe='')}@{server.socket}")


@contextlib.contextmanager
def on_ipv6(kind: str) -> Iterator[Settings]:
    with plain(kind, bind="::1") as server:
        yield {REDIS: f"redis://[::1]:{server.port}"}


@contextlib.contextmanager
def on_a_socket(kind: str) -> Iterator[Settings]:
    with plain(kind) as server:
        yield {REDIS: f"{server.url}?db=3"}


@contextlib.contextmanager
def with_users(kind: str, ledger: list[str], broker: list[str], **settings: str) -> Iterator[Settings]:
    """Two users with these rules. At the end nothing of what they tried was refused, but for what `settings` allows."""
    with plain(kind) as server, connect(server.url) as admin:
        for name, rules in (("ledger", ledger), ("broker", broker)):
            known = [rule for rule in rules if kind != "redis7" or rule != "+waitaof"]
            admin.execute_command("ACL", "SETUSER", name, "reset", "on", f">{ODD}", *known)  # type: ignore[no-untyped-call] # redis-py's own
        at = f"{quote(ODD, safe='')}@127.0.0.1:{server.port}/0"
        allowed = settings.pop("refused", "")
        yield {REDIS: f"redis://ledger:{at}", BROKER: f"redis://broker:{at}", **settings}
        entries = admin.execute_command("ACL", "LOG")  # type: ignore[no-untyped-call] # redis-py's own
        facts = [dict(zip(map(_text, entry[::2]), entry[1::2], strict=True)) for entry in map(_flat, entries)]
        refused = {(_text(fact["username"]), _text(fact["object"])) for fact in facts}
        wrong = sorted(pair for pair in refused if not re.fullmatch(allowed, pair[1]))
        assert not wrong, f"the ACL lacks what was tried: {wrong}"


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _flat(entry: Any) -> list[Any]:
    return [part for pair in entry.items() for part in pair] if isinstance(entry, dict) else list(entry)


@contextlib.contextmanager
def with_the_least_acl(kind: str) -> Iterator[Settings]:
    with with_users(kind, acl_of_page("ledger"), acl_of_page("broker")) as settings:
        yield settings


@contextlib.contextmanager
def without_dangerous(kind: str) -> Iterator[Settings]:
    rules = ["~*", "&*", "+@all", "-@dangerous"]
    promise = "memory" if kind == "redis7" else "fsync"
    with with_users(kind, rules, rules, refused="info|config.*", **{DURABILITY: promise}) as settings:
        yield settings


@contextlib.contextmanager
def without_channels(kind: str) -> Iterator[Settings]:
    rules = ["~*", "resetchannels", "+@all"]
    with with_users(kind, rules, rules, refused="/0.*") as settings:
        yield settings


@contextlib.contextmanager
def in_a_cluster(kind: str, folder: Path | None = None) -> Iterator[Settings]:
    """The ledger on a cluster, as a user with the least ACL of the page; the broker beside it."""
    authority = Authority(folder) if folder else None
    # Redis 7.0 has no WAITAOF, without which a cluster cannot promise a disk.
    promise = "memory" if kind == "redis7" else "fsync"
    with contextlib.ExitStack() as stack:
        binary = redis7_binary() if kind == "redis7" else None
        nodes = stack.enter_context(cluster(replicas=1, binary=binary, tls=authority))
        for node in nodes.all:
            known = [rule for rule in acl_of_page("ledger") if kind != "redis7" or rule != "+waitaof"]
            node.ask("ACL", "SETUSER", "ledger", "reset", "on", f">{ODD}", *known)
        broker = stack.enter_context(plain(kind))
        url = nodes.url_for("ledger", ODD)
        yield {REDIS: url, BROKER: f"redis://127.0.0.1:{broker.port}", DURABILITY: promise}
        for node in nodes.all:
            refused = [str(entry) for entry in node.ask("ACL", "LOG")]
            assert not refused, f"the ACL lacks what was tried: {refused}"


@contextlib.contextmanager
def in_a_cluster_with_tls(folder: Path, _: list[int]) -> Iterator[Settings]:
    with in_a_cluster("redis7", folder=folder) as settings:
        yield settings


@contextlib.contextmanager
def process(folder: Path, port: int, *arguments: str, ready: str) -> Iterator[None]:
    """A redis-server by its bare command line, until the block ends."""
    log = folder / f"{port}.log"
    with log.open("wb") as out:
        running = subprocess.Popen([str(redis7_binary()), *arguments], cwd=folder, stdout=out, stderr=out)
    try:
        wait_until(lambda: _answers(ready), f"a server at {port}: {log}")
        yield
    finally:
        running.terminate()
        running.wait()


def _answers(url: str) -> bool:
    try:
        with connect(url) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def _stop(url: str) -> None:
    with contextlib.suppress(redis.RedisError), connect(url) as admin:
        admin.config_set("requirepass", "")


DURABLE = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")


@contextlib.contextmanager
def with_tls(folder: Path, ports: list[int], *, our_certificate: bool) -> Iterator[Settings]:
    authority = Authority(folder)
    url = f"rediss://:{quote(ODD, safe='')}@localhost:{ports[0]}/1?ssl_ca_certs={authority.ca}"
    if our_certificate:
        url += f"&ssl_certfile={authority.certificate}&ssl_keyfile={authority.key}"
    command = ["--port", "0", "--tls-port", str(ports[0]), *authority.server, "--requirepass", ODD, *DURABLE]
    command += ["--tls-auth-clients", "yes" if our_certificate else "no"]
    with process(folder, ports[0], *command, ready=url):
        yield {REDIS: url}


@contextlib.contextmanager
def by_sentinel(folder: Path, ports: list[int], *, tls: bool) -> Iterator[Settings]:
    """A server with a password, watched by two Sentinels with another one, which the client asks."""
    server, *sentinels = ports
    authority = Authority(folder) if tls else None
    more = ["--tls-replication", "yes", "--tls-auth-clients", "no", *authority.server] if authority else []

    def at(port: int) -> list[str]:
        return ["--port", "0", "--tls-port", str(port), *more] if tls else ["--port", str(port)]

    query = f"?master=reports&sentinel_password={quote('s' + ODD, safe='')}"
    query += f"&ssl_ca_certs={authority.ca}" if authority else ""
    scheme = "rediss" if tls else "redis"
    own = f"?ssl_ca_certs={authority.ca}" if authority else ""
    word = quote(ODD, safe="")
    with contextlib.ExitStack() as stack:
        ready = f"{scheme}://:{word}@127.0.0.1:{server}{own}"
        stack.enter_context(process(folder, server, *at(server), "--requirepass", ODD, *DURABLE, ready=ready))
        for port in sentinels:
            settings = folder / f"{port}.conf"
            settings.write_text(
                f'requirepass "s{ODD}"\nsentinel monitor reports 127.0.0.1 {server} 2\n'
                f'sentinel auth-pass reports "{ODD}"\nsentinel sentinel-pass "s{ODD}"\n'
            )
            ready = f"{scheme}://:{quote('s' + ODD, safe='')}@127.0.0.1:{port}{own}"
            stack.enter_context(process(folder, port, str(settings), "--sentinel", *at(port), ready=ready))
        hosts = ",".join(f"127.0.0.1:{port}" for port in sentinels)
        yield {REDIS: f"{'rediss+' if tls else ''}sentinel://:{word}@{hosts}/2{query}"}
