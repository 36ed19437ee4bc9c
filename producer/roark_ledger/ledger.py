"""The ledger: runs operations on Redis, for sync callers and for asyncio ones.

Each operation is one EVALSHA. A server that does not know a script yet (a new one, or one that was restarted)
answers NOSCRIPT without having done anything; the script is sent and the operation repeated.

A user who may only read (`EVALSHA_RO`, no `EVALSHA`) is known by the first refusal; scripts that write nothing are then
called that way.

`after_write` is the command by which a durability promise is kept, `WAITAOF 1 0 …` or `WAIT n …`; it goes out
in the same packet as the operation (see `durability.py`). Without one, the server's answer is the promise.

A node of a cluster that has handed the ledger to another says MOVED without having done anything. The connection finds
the new one (`server/cluster.py`), and all operations are repeated there, with the promise.
"""

from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from typing import Any, Generic, TypeVar

import redis
import redis.asyncio
from redis.exceptions import NoPermissionError, NoScriptError, ResponseError

from roark_ledger.errors import LedgerRefuses, LedgerUnavailable
from roark_ledger.keys import DEFAULT_PREFIX, Keys
from roark_ledger.moves.operation import Operation
from roark_ledger.partitions.placing import MOVING, PARTITIONS
from roark_ledger.records.record import Record
from roark_ledger.scripts import script
from roark_ledger.server.ahead import Ahead, ask_ahead
from roark_ledger.server.cluster import finder_of, moved_to
from roark_ledger.server.connection import translated_errors
from roark_ledger.tombstones import tombstone

T = TypeVar("T")
Client = TypeVar("Client")
_MOST_ASKED = 1000
# So often the ledger may move on while it is asked; nothing was done by then.
_NODES_IN_A_ROW = 3
AfterWrite = tuple[str | int, ...]


def redis_clock() -> int:
    """Say that Redis's own clock counts; tests pass another function, which returns Unix ms."""
    return 0


class _Calls:
    """Turns operations into commands: what the sync and the asyncio ledger have in common."""

    def __init__(
        self, prefix: str, clock: Callable[[], int], after_write: AfterWrite, keys: Keys, more_keys: tuple[str, ...]
    ) -> None:
        self.prefix = prefix
        self.clock = clock
        self.keys = keys
        self.more_keys = more_keys
        self._key_args = (*keys.in_order(), *more_keys)
        self.after_write = after_write
        self._may_only_read = False

    def evalsha(self, operation: Operation[Any]) -> tuple[Any, ...]:
        wanted = script(operation.script)
        command = "EVALSHA_RO" if self._may_only_read and wanted.only_reads else "EVALSHA"
        return (command, wanted.sha, len(self._key_args), *self._key_args, self.clock(), *operation.args)

    def commands(self, operations: Sequence[Operation[Any]], *, durably: bool) -> list[tuple[Any, ...]]:
        found = [self.evalsha(operation) for operation in operations]
        if durably and self.after_write:
            found.append(self.after_write)
        return found

    def asks_anew(self, operations: Sequence[Operation[Any]], replies: Sequence[Any]) -> bool:
        """Say whether to ask once more, by `EVALSHA_RO`: a script that only reads was refused by `EVALSHA`."""
        if self._may_only_read:
            return False
        self._may_only_read = any(
            isinstance(reply, NoPermissionError) and script(operation.script).only_reads
            for operation, reply in zip(operations, replies, strict=False)
        )
        return self._may_only_read

    def better(self, replies: list[Any], anew: list[Any]) -> list[Any]:
        """Return the second replies, or the first ones where that way is refused as well."""
        self._may_only_read = not any(isinstance(reply, NoPermissionError) for reply in anew)
        return anew if self._may_only_read else replies

    @staticmethod
    def have_moved(operations: Sequence[Operation[Any]], replies: Sequence[Any]) -> bool:
        """Say whether nothing was done, as the ledger is on another node now; where some was, who asked must repeat."""
        # What follows the operations is the promise, which any node answers.
        if not operations or not isinstance(replies[0], ResponseError):
            return False
        return all(map(moved_to, replies[: len(operations)]))

    @staticmethod
    def unknown(replies: Sequence[Any]) -> list[int]:
        return [place for place, reply in enumerate(replies) if isinstance(reply, NoScriptError)]

    @staticmethod
    def filled(replies: list[Any], unknown: list[int], repeated: list[Any]) -> list[Any]:
        # What a promise answered counts from the later round trip, which is behind all writes.
        for place, reply in zip(unknown, repeated, strict=False):
            replies[place] = reply
        return replies[: len(replies) - (len(repeated) - len(unknown))] + repeated[len(unknown) :]

    def parsed(self, operations: Sequence[Operation[T]], replies: Sequence[Any]) -> list[T]:
        results = []
        for operation, reply in zip(operations, replies, strict=False):
            if isinstance(reply, Exception):
                raise reply
            results.append(operation.parse(reply))
        self._check_promise(replies[len(operations) :])
        return results

    def _check_promise(self, answers: Sequence[Any]) -> None:
        # WAITAOF answers [local, replicas] and WAIT the replicas that have the write, in time or not.
        if not answers:
            return
        if isinstance(answers[0], Exception):
            raise answers[0]
        command, wanted = self.after_write[0], int(self.after_write[1])
        reached = answers[0][0] if command == "WAITAOF" else answers[0]
        if reached < wanted:
            raise LedgerUnavailable(f"{command}: the write is not durable yet, {reached} of {wanted} confirmed")


class _Open(Generic[Client]):
    def __init__(
        self,
        client: Client,
        *,
        prefix: str = DEFAULT_PREFIX,
        clock: Callable[[], int] = redis_clock,
        after_write: AfterWrite = (),
        keys: Keys | None = None,
        more_keys: tuple[str, ...] = (),
    ) -> None:
        self.client = client
        self.calls = _Calls(prefix, clock, after_write, keys or Keys.under(prefix), more_keys)
        if finder := finder_of(client):
            finder.lead_to(prefix)


class Ledger(_Open[redis.Redis]):
    """The ledger for sync callers. Safe to share between threads."""

    @property
    def parts(self) -> "tuple[Ledger, ...]":
        """What has keys of its own, each as a ledger by itself: of one partition it is the ledger itself."""
        return (self,)

    def promising(self, after_write: AfterWrite) -> "Ledger":
        """Return this ledger, on the same connections, with another promise for what is run durably."""
        return self._with(after_write, self.calls.keys, self.calls.more_keys)

    def under(self, keys: Keys, *more_keys: str) -> "Ledger":
        """Return what is under other keys in the same place, on the same connections."""
        return self._with(self.calls.after_write, keys, more_keys)

    def _with(self, after_write: AfterWrite, keys: Keys, more_keys: tuple[str, ...]) -> "Ledger":
        prefix, clock = self.calls.prefix, self.calls.clock
        return Ledger(self.client, prefix=prefix, clock=clock, after_write=after_write, keys=keys, more_keys=more_keys)

    def run(self, operation: Operation[T]) -> T:
        """Run one operation.

        Raises LedgerUnavailable when Redis did not answer (the operation may have been done: every one may be
        repeated), LedgerFull when it refused for want of memory.
        """
        return self.run_all([operation])[0]

    def run_durably(self, operation: Operation[T]) -> T:
        """Run one operation and return only when its effect is as durable as was promised."""
        return self.run_all([operation], durably=True)[0]

    def run_all(self, operations: Sequence[Operation[T]], *, durably: bool = False) -> list[T]:
        """Run operations in one round trip, in order; each is all or nothing by itself."""
        try:
            return self._run_all(operations, durably)
        except LedgerUnavailable:
            # Idle connections may lead to the server that hung or was cut off, or to one that is no primary any more.
            self.client.connection_pool.disconnect(inuse_connections=False)
            raise

    def run_ahead(self, asks: Generator[Operation[T], Any]) -> Iterator[T]:
        """Run operations that only read, one after another, and yield what they return; raises as `run` does.

        `asks` gets each answer before it says what to ask next, which is on its way while the caller works on that
        answer: Redis and the caller do not wait in turn.
        """
        return ask_ahead(asks, self.run, self._ahead())

    def _ahead(self) -> Ahead:
        return Ahead(self.client, self.calls.evalsha, self.run)

    def _run_all(self, operations: Sequence[Operation[T]], durably: bool) -> list[T]:
        with translated_errors(self.client):
            replies = self._send(operations, durably)
            if self.calls.asks_anew(operations, replies):
                replies = self.calls.better(replies, self._send(operations, durably))
            for _ in range(_NODES_IN_A_ROW):
                if not (unknown := self.calls.unknown(replies)):
                    break
                again = [operations[place] for place in unknown]
                for name in {operation.script for operation in again}:
                    self.client.script_load(script(name).text)
                replies = self.calls.filled(replies, unknown, self._send(again, durably))
            return self.calls.parsed(operations, replies)

    def _send(self, operations: Sequence[Operation[Any]], durably: bool) -> list[Any]:
        replies: list[Any] = []
        for _ in range(_NODES_IN_A_ROW):
            pipeline = self.client.pipeline(transaction=False)
            for command in self.calls.commands(operations, durably=durably):
                pipeline.execute_command(*command)  # type: ignore[no-untyped-call] # redis-py's own
            replies = pipeline.execute(raise_on_error=False)
            if not self.calls.have_moved(operations, replies):
                break
        return replies

    def scan_records(self, page: int) -> Iterator[dict[str, str]]:
        """Yield all calls with their states by pages of about `page`.

        A call that comes or goes meanwhile may be missed, and one may come twice.
        """
        cursor: Any = None
        found: dict[Any, Any]
        while cursor != 0:
            with translated_errors(self.client):
                cursor, found = self.client.hscan(self.calls.keys.records, cursor or 0, count=page)  # type: ignore[assignment] # a dict without NOVALUES
            if found:
                yield {call_id.decode(): Record.parse(text).state for call_id, text in found.items()}

    def scan_places(self, page: int) -> Iterator[list[str]]:
        """Yield the calls that stand in any place, or in a replay job, by pages of about `page`; see `scan_records`."""
        keys = self.calls.keys
        for place in (*keys.places(), keys.replay_selected, keys.replay_sent):
            cursor: Any = None
            found: Any
            while cursor != 0:
                with translated_errors(self.client):
                    cursor, found = self.client.zscan(place, cursor or 0, count=page)
                if found:
                    yield [bytes(call_id).decode() for call_id, _ in found]

    def scan_delivered(self, page: int) -> Iterator[list[str]]:
        """Yield the calls on the list of the delivered, the latest first, by pages; without what comes meanwhile."""
        with translated_errors():
            left = int(self.client.llen(self.calls.keys.delivered))
        while left > 0:
            with translated_errors():
                found: Any = self.client.lrange(self.calls.keys.delivered, max(0, left - page), left - 1)
            yield [bytes(call_id).decode() for call_id in found]
            left -= page

    def packed_page(self, key: str, *, cursor: int, page: int) -> tuple[int, dict[str, bytes]]:
        """Return about `page` fields of a hash of packed reports, and the cursor behind them: 0 behind the last.

        A walk begins with the cursor 0 and may go on from any other as long as the server was not started anew.
        """
        with translated_errors(self.client):
            found: Any = self.client.hscan(key, cursor, count=page)
        return int(found[0]), {call_id.decode(): text for call_id, text in found[1].items()}

    def hash_size(self, key: str) -> int:
        """Return how many fields a hash has."""
        with translated_errors(self.client):
            return int(self.client.hlen(key))

    def erased_count(self) -> int:
        """Return how many calls and rejected bodies were erased. For who may run no scripts; see `erased_of`."""
        with translated_errors(self.client):
            return int(self.client.scard(self.calls.keys.erased))

    def erased_of(self, call_ids: Collection[str]) -> set[str]:
        """Return those of the calls that were erased, by plain commands that read."""
        keys, ids, found = self.calls.keys, list(call_ids), set()
        with translated_errors(self.client):
            pads: Any = self.client.hmget(keys.counters, ["erase_inner", "erase_outer"])
            inner, outer = pads
            if inner is None or outer is None:
                return set()
            for first in range(0, len(ids), _MOST_ASKED):
                some = ids[first : first + _MOST_ASKED]
                replies = self.client.smismember(keys.erased, [tombstone(inner, outer, call_id) for call_id in some])
                found |= {call_id for call_id, is_there in zip(some, replies, strict=True) if is_there}
        return found

    def partitions(self) -> tuple[int, bool]:
        """Return of how many partitions this is the home, 0: it is all there is; and whether calls are moved there."""
        with translated_errors(self.client):
            there, moving = self.client.hmget(self.calls.keys.promises, [PARTITIONS, MOVING])
        return int(there or moving or 0), not there and bool(moving)

    def ping(self) -> None:
        """Return when the server answers; raises as `run` does."""
        with translated_errors(self.client):
            self.client.ping()

    def server_run(self) -> str:
        """Return what names this run of the server; another one after each start."""
        with translated_errors(self.client):
            return str(self.client.info("server")["run_id"])

    def user(self) -> str:
        """Return the user of Redis behind these connections, `default` where there are none."""
        try:
            with translated_errors(self.client):
                return str(self.client.acl_whoami())
        except LedgerRefuses:
            # A user that may not ask, or a server too old for users.
            return str(self.client.connection_pool.connection_kwargs.get("username") or "default")

    def close(self) -> None:
        """Close the connections."""
        self.client.close()


class AsyncLedger(_Open[redis.asyncio.Redis]):
    """The ledger for asyncio callers. Belongs to one event loop."""

    async def parts(self) -> "tuple[AsyncLedger, ...]":
        """What has keys of its own, each as a ledger by itself, the home last; see `Ledger.parts`."""
        return (self,)

    def under(self, keys: Keys) -> "AsyncLedger":
        """Return what is under other keys in the same place, on the same connections."""
        prefix, clock, after_write = self.calls.prefix, self.calls.clock, self.calls.after_write
        return AsyncLedger(self.client, prefix=prefix, clock=clock, after_write=after_write, keys=keys)

    async def run(self, operation: Operation[T]) -> T:
        """Run one operation; see `Ledger.run`."""
        return (await self.run_all([operation]))[0]

    async def run_durably(self, operation: Operation[T]) -> T:
        """Run one operation durably; see `Ledger.run_durably`."""
        return (await self.run_all([operation], durably=True))[0]

    async def run_all(self, operations: Sequence[Operation[T]], *, durably: bool = False) -> list[T]:
        """Run operations in one round trip; see `Ledger.run_all`."""
        try:
            return await self._run_all(operations, durably)
        except LedgerUnavailable:
            await self.client.connection_pool.disconnect(inuse_connections=False)
            raise

    async def _run_all(self, operations: Sequence[Operation[T]], durably: bool) -> list[T]:
        with translated_errors(self.client):
            replies = await self._send(operations, durably)
            if self.calls.asks_anew(operations, replies):
                replies = self.calls.better(replies, await self._send(operations, durably))
            for _ in range(_NODES_IN_A_ROW):
                if not (unknown := self.calls.unknown(replies)):
                    break
                again = [operations[place] for place in unknown]
                for name in {operation.script for operation in again}:
                    await self.client.script_load(script(name).text)
                replies = self.calls.filled(replies, unknown, await self._send(again, durably))
            return self.calls.parsed(operations, replies)

    async def _send(self, operations: Sequence[Operation[Any]], durably: bool) -> list[Any]:
        replies: list[Any] = []
        for _ in range(_NODES_IN_A_ROW):
            pipeline = self.client.pipeline(transaction=False)
            for command in self.calls.commands(operations, durably=durably):
                pipeline.execute_command(*command)
            replies = await pipeline.execute(raise_on_error=False)
            if not self.calls.have_moved(operations, replies):
                break
        return replies

    async def partitions(self) -> tuple[int, bool]:
        """Return of how many partitions this is the home; see `Ledger.partitions`."""
        with translated_errors(self.client):
            there, moving = await self.client.hmget(self.calls.keys.promises, [PARTITIONS, MOVING])
        return int(there or moving or 0), not there and bool(moving)

    async def ping(self) -> None:
        """Return when the server answers; raises as `run` does."""
        with translated_errors(self.client):
            await self.client.ping()

    async def aclose(self) -> None:
        """Close the connections."""
        await self.client.aclose()
