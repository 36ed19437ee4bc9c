"""A cluster of real servers for the tests: so many primaries, with so many replicas each.

with cluster(replicas=1) as nodes:
    nodes.url                     # redis+cluster://…, which names all nodes that listen on TCP
    nodes.owner("roark")          # the primary of a ledger's hash slot
    nodes.move("roark")           # its slot to the next primary, as Valkey 9 does that, while clients go on
"""

import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import redis
from certificates import Authority
from pipeline import wait_until
from servers import Server

from roark_ledger.server.cluster import slot_of

SLOTS = 16384
# Nodes call a silent one failed after so many ms; a replica takes its place within twice that.
NODE_TIMEOUT = "1000"


class Node(Server):
    """One server of a cluster. It keeps its port when it is started again."""

    def __init__(
        self, folder: Path, *, binary: Path | None = None, tls: Authority | None = None, **config: str
    ) -> None:
        self._port, bus, self.tls_port = _free_ports(3)
        if tls:
            config |= {"tls_port": str(self.tls_port), "tls_cluster": "yes", "tls_replication": "yes"}
            config |= {"tls_auth_clients": "no"} | _settings(tls.server)
        cluster = {"cluster_enabled": "yes", "cluster_port": str(bus), "cluster_node_timeout": NODE_TIMEOUT}
        quick = {
            "repl_diskless_sync_delay": "0",
            "repl_ping_replica_period": "1",
            "cluster_replica_validity_factor": "0",
        }
        super().__init__(folder, binary=binary, tcp=True, **cluster | quick | config)
        self._process._desired_port = self._port
        self.bus = bus

    @property
    def port(self) -> int:
        return self._port

    def client(self, **arguments: Any) -> "redis.Redis":
        return redis.Redis(unix_socket_path=str(self.socket), socket_timeout=5, **arguments)

    def ask(self, *words: object) -> Any:
        """Send a command, as an operator does."""
        with self.client() as admin:
            return admin.execute_command(*words)  # type: ignore[no-untyped-call] # redis-py's own

    def cut_off(self, *, off: bool = True) -> None:
        """Have it hear nothing from the other nodes, while clients and its replica reach it as before."""
        self.ask("DEBUG", "DROP-CLUSTER-PACKET-FILTER", -2 if off else -1)

    def send_signal(self, number: int) -> None:
        self._process._process.send_signal(number)

    @property
    def pid(self) -> int:
        return int(self._process._process.pid)

    @property
    def name(self) -> str:
        return str(self.ask("CLUSTER", "MYID").decode())

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


class Nodes:
    """The cluster's servers, primaries first."""

    def __init__(
        self,
        folder: Path,
        primaries: int,
        replicas: int,
        *,
        binary: Path | None = None,
        tls: Authority | None = None,
        **config: str,
    ) -> None:
        self._tls = tls
        number = primaries * (1 + replicas)
        folders = [folder / str(place) for place in range(number)]
        for each in folders:
            each.mkdir()
        self.all = [Node(each, binary=binary, tls=tls, **config) for each in folders]
        self._first, self._replicas = self.all[:primaries], self.all[primaries:]

    def start(self) -> None:
        """Return when every node serves every slot."""
        for node in self.all:
            node.start()
        first, *others = self.all
        for node in others:
            first.ask("CLUSTER", "MEET", "127.0.0.1", node.port, node.bus)
        share = SLOTS // len(self._first)
        for place, node in enumerate(self._first):
            last = SLOTS - 1 if node is self._first[-1] else (place + 1) * share - 1
            node.ask("CLUSTER", "ADDSLOTSRANGE", place * share, last)
        names = {node.name for node in self.all}
        wait_until(lambda: all(names <= self._known(node) for node in self.all), "all nodes know each other")
        for place, node in enumerate(self._replicas):
            node.ask("CLUSTER", "REPLICATE", self._first[place % len(self._first)].name)
        self.wait_until_whole()

    @staticmethod
    def _known(node: Node) -> set[str]:
        return {line.split()[0] for line in node.ask("CLUSTER", "NODES").decode().splitlines()}

    def wait_until_whole(self) -> None:
        """Wait until all that run say so, and all replicas are connected."""
        wait_until(lambda: all(map(self._is_well, self.all)), "the cluster is whole")

    @staticmethod
    def _is_well(node: Node) -> bool:
        try:
            with node.client() as admin:
                state = b"cluster_state:ok" in admin.execute_command("CLUSTER", "INFO", NEVER_DECODE=True)  # type: ignore[no-untyped-call] # redis-py's own
                told: Any = admin.info("replication")
        except redis.RedisError:
            return False
        return state and told.get("master_link_status", "up") == "up"

    @property
    def primaries(self) -> list[Node]:
        """The nodes that are primaries now, of those that run."""
        return [node for node in self.all if _is_primary(node)]

    @property
    def url(self) -> str:
        return f"redis+cluster://{','.join(node.address for node in self.all)}"

    @property
    def pids(self) -> list[int]:
        return [node.pid for node in self.all]

    def url_for(self, user: str, password: str) -> str:
        """Return the URL for a user, with TLS where they have it."""
        who = f"{user}:{quote(password, safe='')}"
        if self._tls is None:
            return self.url.replace("://", f"://{who}@")
        hosts = ",".join(f"localhost:{node.tls_port}" for node in self.all)
        # The nodes call each other by address, and so do they call themselves; the certificate names them by name, too.
        return f"rediss+cluster://{who}@{hosts}?ssl_ca_certs={self._tls.ca}"

    def owner(self, prefix: str = "roark") -> Node:
        """Return the primary of a ledger's slot, as the nodes that run see it."""
        slot = slot_of(prefix)
        for node in self.all:
            with suppress(redis.RedisError):
                for first, last, primary, *_ in node.ask("CLUSTER", "SLOTS"):
                    if first <= slot <= last:
                        return next(each for each in self.all if each.port == primary[1])
        raise AssertionError("nobody knows who has the slot")

    def replica_of(self, owner: Node) -> Node:
        """Return a node that follows this one."""
        return next(node for node in self.all if node.port != owner.port and self._follows(node, owner))

    @staticmethod
    def _follows(node: Node, owner: Node) -> bool:
        try:
            with node.client() as admin:
                told: Any = admin.info("replication")
        except redis.RedisError:
            return False
        return bool(told["role"] == "slave" and told["master_port"] == owner.port)

    def other_primary(self, owner: Node) -> Node:
        """Return a primary that does not have the slot."""
        return next(node for node in self.primaries if node is not owner)

    def hand_over(self, node: Node) -> None:
        """Have a primary's replica take its place, without loss, as before a restart on purpose."""
        heir = self.replica_of(node)
        heir.ask("CLUSTER", "FAILOVER")
        wait_until(lambda: _is_primary(heir) and not _is_primary(node), "the replica takes over")

    def move(self, prefix: str = "roark", to: Node | None = None) -> Node:
        """Move a ledger's slot as Valkey 9 does it, atomically; return its new node."""
        slot, source = slot_of(prefix), self.owner(prefix)
        target = to or self.other_primary(source)
        source.ask("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", target.name)
        wait_until(lambda: self.owner(prefix) is target, "the slot has moved")
        return target

    def move_by_keys(self, prefix: str = "roark", to: Node | None = None) -> Node:
        """Move it key by key, as redis-cli --cluster reshard does."""
        slot, source = slot_of(prefix), self.owner(prefix)
        target = to or self.other_primary(source)
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.name)
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target.name)
        while keys := source.ask("CLUSTER", "GETKEYSINSLOT", slot, 10):
            source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
        for node in (target, source, *self.primaries):
            with suppress(redis.RedisError):
                node.ask("CLUSTER", "SETSLOT", slot, "NODE", target.name)
        wait_until(lambda: self.owner(prefix) is target, "the slot has moved")
        return target

    def stop(self) -> None:
        for node in self.all:
            with suppress(Exception):
                node.kill()


def _is_primary(node: Node) -> bool:
    try:
        with node.client() as admin:
            told: Any = admin.info("replication")
    except redis.RedisError:
        return False
    return bool(told["role"] == "master")


def _settings(arguments: Sequence[str]) -> dict[str, str]:
    """Return the settings of a command line, without their dashes."""
    pairs = zip(arguments[::2], arguments[1::2], strict=True)
    return {name.removeprefix("--").replace("-", "_"): value for name, value in pairs}


def _free_ports(number: int) -> list[int]:
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    try:
        return [int(each.getsockname()[1]) for each in taken]
    finally:
        for each in taken:
            each.close()


@contextmanager
def cluster(
    primaries: int = 3, replicas: int = 0, *, binary: Path | None = None, tls: Authority | None = None, **config: str
) -> Iterator[Nodes]:
    """Run a cluster for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="roark-") as folder:
        nodes = Nodes(Path(folder), primaries, replicas, binary=binary, tls=tls, **config)
        try:
            nodes.start()
            yield nodes
        finally:
            nodes.stop()
