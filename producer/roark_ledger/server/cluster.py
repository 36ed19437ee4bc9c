"""Finds the node of a Redis or Valkey Cluster that has the ledger, as redis-py's Sentinel pool finds a primary.

All keys of a ledger lie in one hash slot (`keys.py`), so a plain client will do if its connections lead to that slot's
primary: scripts, pipelines and the promise behind them (WAIT, WAITAOF) then reach the node that wrote.

1. Before a connection opens its socket it asks a node, by CLUSTER SLOTS, which one that is; if it is silent, the next.
2. What a connection hears of a change (MOVED, a replica's refusal, no answer) has all connections of the client look
   anew before their next command.
3. Who told of a node that did not do may be cut off from the others: the next time it is asked last.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import redis
import redis.asyncio
from redis.crc import key_slot
from redis.exceptions import (
    BusyLoadingError,
    ClusterDownError,
    MovedError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

from roark_ledger.server.redis_causes import cause_of
from roark_ledger.server.redis_url import RedisPlace

Address = tuple[str, int]
Client = TypeVar("Client", redis.Redis, redis.asyncio.Redis)
# A node that hangs is asked first, and the others wait for it.
_ASKING: dict[str, Any] = {"socket_timeout": 1.0, "socket_connect_timeout": 1.0}
_ANOTHER_NODE = (ReadOnlyError, BusyLoadingError, ClusterDownError)
# The redis-py that an application of two years ago pins has no classes for what a cluster says.
_SAYS_SO = re.compile(r"CLUSTERDOWN |MASTERDOWN ")
_MOVED = re.compile(r"(?:MOVED )?\d+ (.*):(\d+)")


class ClusterUnusable(RedisConnectionError):
    """The cluster was asked for the ledger's node, and that led nowhere. `in_words` says why, and holds no secret."""

    def __init__(self, in_words: str) -> None:
        super().__init__(in_words)
        self.in_words = in_words


class Finder:
    """What one client knows of its cluster. Pure; `generation` counts how often it had to look anew."""

    def __init__(self, place: RedisPlace, prefix: str) -> None:
        self._place = place
        self._nodes: tuple[Address, ...] = place.hosts
        self.members: tuple[Address, ...] = ()
        self._told_by: Address | None = None
        self.slot = slot_of(prefix)
        self.generation = 0
        self.node: Address | None = None
        """The slot's primary, None where nobody was asked since the last change."""

    def lead_to(self, prefix: str) -> None:
        """Look for the ledger with this prefix from now on."""
        if slot_of(prefix) != self.slot:
            self.slot = slot_of(prefix)
            self.doubt(self.generation)

    def whom_to_ask(self) -> tuple[Address, ...]:
        """Return the known nodes in the order in which to ask them."""
        return tuple(dict.fromkeys((*self._nodes, *self._place.hosts)))

    def learn(self, asked: Address, slots: Sequence[Any], generation: int) -> Address:
        """Return the slot's primary by a node's answer to CLUSTER SLOTS. Raises ClusterUnusable where there is none."""
        served = [[_address(each, asked) for each in nodes] for _, _, *nodes in slots]
        owner = next(
            (nodes[0] for nodes, (first, last, *_) in zip(served, slots, strict=True) if first <= self.slot <= last),
            None,
        )
        if owner is None:
            raise ClusterUnusable(f"no node of the cluster serves the ledger's hash slot, {self.slot}")
        if generation == self.generation:
            self.node, self._told_by = owner, asked
            self.members = tuple(dict.fromkeys(node for nodes in served for node in nodes))
            self._nodes = tuple(dict.fromkeys((asked, *self.members)))
        return owner

    def doubt(self, generation: int, first: Address | None = None) -> None:
        """Have all connections look anew, at `first` if given; what one of an earlier generation heard is known."""
        if generation != self.generation:
            return
        last = [each for each in (self._told_by, self.node) if each and each != first]
        rest = [each for each in self.whom_to_ask() if each not in last]
        self._nodes = tuple(dict.fromkeys((*([first] if first else []), *rest, *last)))
        self.generation, self.node = self.generation + 1, None

    def hear(self, connection: Any, error: BaseException) -> None:
        """Draw the conclusion from what a connection was answered, or was not."""
        if to := moved_to(error):
            self.doubt(connection.generation, (to[0] or connection.host, to[1]))
        elif not isinstance(error, ResponseError) or isinstance(error, _ANOTHER_NODE) or _SAYS_SO.match(str(error)):
            self.doubt(connection.generation)

    def unreachable(self, connection: Any, error: BaseException) -> ClusterUnusable:
        """Return the error for the ledger's node, which others named, and which cannot be reached."""
        self.doubt(connection.generation)
        node = in_text((connection.host, connection.port))
        told = f"the cluster names {node} as the ledger's primary, which is unreachable"
        foreign = connection.host not in {host for host, _ in self._place.hosts}
        hint = "; where nodes have other addresses for clients, set cluster-announce-ip or -hostname" if foreign else ""
        return ClusterUnusable(f"{told} ({cause_of(error)}){hint}")

    def nobody_tells(self, failed: Mapping[Address, BaseException]) -> BaseException:
        """Return the error for a cluster of which no node tells where the ledger is."""
        # A permission that is missing is for whoever reads the whole chain.
        refused = next((error for error in failed.values() if isinstance(error, ResponseError)), None)
        if refused and "cluster support disabled" in str(refused):
            return ClusterUnusable("it is not in cluster mode: write its URL with redis:// or rediss://")
        if refused:
            return refused
        own = next((error for error in failed.values() if isinstance(error, ClusterUnusable)), None)
        causes = {cause_of(error) for error in failed.values()}
        if own or len(causes) < 2:
            return own or next(iter(failed.values()))
        # In one order whoever was asked first, so that what stays the same is told once.
        told = "; ".join(f"{in_text(node)}: {cause_of(error)}" for node, error in sorted(failed.items()))
        return ClusterUnusable(f"no node of the cluster tells where the ledger is ({told})")


class _Led:
    """Mixed into a sync connection of redis-py, which then finds its node by itself."""

    finder: Finder
    plain: type[Any]
    arguments: dict[str, Any]
    generation = -1
    host: str
    port: int

    def connect(self) -> None:
        if self.generation != self.finder.generation:
            self.disconnect()  # type: ignore[attr-defined] # redis-py's own
        super().connect()  # type: ignore[misc] # redis-py's own

    def _connect(self) -> Any:
        self.generation = self.finder.generation
        self.host, self.port = self.finder.node or self._found()
        try:
            return super()._connect()  # type: ignore[misc] # redis-py's own
        except (OSError, RedisError) as error:
            raise self.finder.unreachable(self, error) from error

    def _found(self) -> Address:
        failed: dict[Address, BaseException] = {}
        for address in self.finder.whom_to_ask():
            try:
                return self.finder.learn(address, self._asked(address), self.generation)
            except (OSError, RedisError) as error:
                failed[address] = error
        raise self.finder.nobody_tells(failed)

    def _asked(self, address: Address) -> Any:
        asking = self.plain(**self.arguments | _ASKING | {"host": address[0], "port": address[1]})
        try:
            asking.connect()
            asking.send_command("CLUSTER", "SLOTS")
            return asking.read_response()
        finally:
            asking.disconnect()

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().read_response(*args, **kwargs)  # type: ignore[misc] # redis-py's own
        except BaseException as error:
            self.finder.hear(self, error)
            raise


class _LedAsync:
    """The same for an asyncio connection."""

    finder: Finder
    plain: type[Any]
    arguments: dict[str, Any]
    generation = -1
    host: str
    port: int

    async def connect(self) -> None:
        if self.generation != self.finder.generation:
            await self.disconnect()  # type: ignore[attr-defined] # redis-py's own
        await super().connect()  # type: ignore[misc] # redis-py's own

    async def _connect(self) -> None:
        self.generation = self.finder.generation
        self.host, self.port = self.finder.node or await self._found()
        try:
            await super()._connect()  # type: ignore[misc] # redis-py's own
        except (OSError, RedisError) as error:
            raise self.finder.unreachable(self, error) from error

    async def _found(self) -> Address:
        failed: dict[Address, BaseException] = {}
        for address in self.finder.whom_to_ask():
            try:
                return self.finder.learn(address, await self._asked(address), self.generation)
            except (OSError, RedisError) as error:
                failed[address] = error
        raise self.finder.nobody_tells(failed)

    async def _asked(self, address: Address) -> Any:
        asking = self.plain(**self.arguments | _ASKING | {"host": address[0], "port": address[1]})
        try:
            await asking.connect()
            await asking.send_command("CLUSTER", "SLOTS")
            return await asking.read_response()
        finally:
            await asking.disconnect()

    async def read_response(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return await super().read_response(*args, **kwargs)  # type: ignore[misc] # redis-py's own
        except BaseException as error:
            self.finder.hear(self, error)
            raise


_finders: WeakKeyDictionary[Any, Finder] = WeakKeyDictionary()


def led(client: Client, place: RedisPlace, prefix: str) -> Client:
    """Have all connections of a client lead to the node that has the ledger with this prefix."""
    pool = client.connection_pool
    theirs, finder = pool.connection_class, Finder(place, prefix)
    mixed = _LedAsync if isinstance(client, redis.asyncio.Redis) else _Led
    body = {"finder": finder, "plain": theirs, "arguments": pool.connection_kwargs}
    pool.connection_class = type(theirs.__name__, (mixed, theirs), body)
    _finders[client] = finder
    return client


def moved_to(reply: Any) -> Address | None:
    """Return the node that a reply of MOVED names, its host "" where that is the one that said so; None for others."""
    if not isinstance(reply, MovedError) and not (isinstance(reply, ResponseError) and str(reply).startswith("MOVED ")):
        return None
    found = _MOVED.fullmatch(str(reply))
    return (found[1].strip("[]?"), int(found[2])) if found else None


def finder_of(client: Any) -> Finder | None:
    """Return what a client knows of its cluster, None where it leads to one server."""
    return _finders.get(client) if isinstance(client, redis.Redis | redis.asyncio.Redis) else None


def node_of(client: Any) -> str:
    """Return which node of its cluster a client leads to, "" where that is not known, or none."""
    finder = finder_of(client)
    return in_text(finder.node) if finder and finder.node else ""


def slot_of(prefix: str) -> int:
    """Return the hash slot of a ledger's keys."""
    return int(key_slot(f"{{{prefix}}}".encode()))


def in_text(address: Address) -> str:
    """Return a node as a person writes it."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _address(node: Sequence[Any], asked: Address) -> Address:
    # A node that does not know how it is called says nothing, or `?`: it is called as the one that was asked.
    host, port, *_ = node
    text = host.decode() if isinstance(host, bytes) else host
    return (text if text and text != "?" else asked[0]), int(port)
