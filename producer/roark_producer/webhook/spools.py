"""The spool behind the webhook, shelf by shelf: a partition of the ledger that is away holds up its own reports only.

1. A report goes to the ledger, unless an earlier one of its partition waits: on that partition's shelf, or on that for
   all (`disk/shelves.py`), which has what came before it was known how many partitions there are.
2. What the ledger does not take goes there, too: behind what waits on the shelf for all, else to its partition's.
3. Each shelf is handed in by itself (`spooling.py`), a few of them at once.

With one partition there is one shelf.
"""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from roark_ledger.errors import LedgerError
from roark_ledger.partitions.placing import partition_of
from roark_producer.disk.segments import segments
from roark_producer.disk.shelves import ANY, OF_THE_HOME, shelf_of, shelf_of_partition
from roark_producer.disk.spool import Spool
from roark_producer.taking import Intake
from roark_producer.webhook.accepting import GroupCommit
from roark_producer.webhook.handing_in import HandingIn
from roark_producer.webhook.serving.board import Board
from roark_producer.webhook.serving.spool_news import SpoolNews
from roark_producer.webhook.spooling import Spooling

_LOOK_SECONDS = 0.5
_PROVE_AGAIN_SECONDS = 5.0
_HAND_IN_AT_ONCE = 2


class Spools:
    """Belongs to one event loop, of one of the webhook's processes; the first one hands in."""

    def __init__(
        self,
        folder: Path,
        *,
        most_bytes: int,
        commit: GroupCommit,
        intake: Intake,
        board: Board | None = None,
        number: int = 1,
    ) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._commit = commit
        self._intake = intake
        self._board = board or Board(1, 0)
        self._number = number
        self._disk = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spool")
        self._few = asyncio.Semaphore(_HAND_IN_AT_ONCE)
        self._handing_in: dict[int, asyncio.Task[None]] = {}
        self._shelves: dict[int, Spooling] = {}
        self._any = self._shelf(ANY)

    @property
    def why(self) -> str:
        """Why reports came here rather than into the ledger; "" when nothing waits here any more."""
        return "; ".join(dict.fromkeys(each.why for each in self._shelves.values() if each.why))

    @property
    def trouble(self) -> str:
        """Why this machine's disk takes no report now; "" while it does."""
        return next((each.trouble for each in self._shelves.values() if each.trouble), "")

    async def until_looked(self) -> None:
        """Wait, not for long, until it is known whether an earlier webhook left something."""
        self._open(self._known())
        await asyncio.gather(*(each.until_looked() for each in self._shelves.values()))

    async def takes_over(self, call_id: str | None) -> bool:
        """Say whether a report goes here rather than to the ledger; first wait for the last few, if it is those.

        None is what cannot be used as a report.
        """
        for shelf in self._those_of(call_id):
            if await shelf.takes_over():
                return True
        return False

    async def keep(
        self, body: bytes, query: dict[str, str] | None, trace: bytes = b"", *, call_id: str | None, why: str = ""
    ) -> None:
        """Return when the request is on this machine's disk.

        Raises SpoolFull when it is not.
        """
        those = self._those_of(call_id)
        shelf = next((each for each in those if each.is_active), those[-1])
        await shelf.keep(body, query, trace)
        if why:
            shelf.why = why

    async def prove(self) -> None:
        """Learn whether the disk takes a report; `trouble` tells."""
        await self._any.prove()

    async def keep_proving(self) -> None:
        """Prove the disk every minute, and sooner while it fails, until cancelled."""
        while True:
            await asyncio.sleep(_PROVE_AGAIN_SECONDS)
            for shelf in tuple(self._shelves.values()):
                if shelf.trouble or (shelf is self._any and shelf.is_proof_due):
                    await shelf.prove()

    async def run(self) -> None:
        """Hand in what waits, whenever the ledger takes it, or seal it for the process that does; until cancelled."""
        try:
            while True:
                self._open(self._known())
                for number, shelf in self._shelves.items():
                    if number not in self._handing_in:
                        self._handing_in[number] = asyncio.create_task(shelf.run())
                await asyncio.sleep(_LOOK_SECONDS)
                if self._number == 1:
                    self._open(await self._left())
        finally:
            for task in self._handing_in.values():
                task.cancel()
            await asyncio.gather(*self._handing_in.values(), return_exceptions=True)

    def close(self) -> None:
        """End the thread; what is gathered has been answered by then."""
        self._disk.shutdown()

    def _known(self) -> list[int]:
        """Return the shelves of all partitions, once those are known."""
        partitions = len(self._commit.ledger.parts)
        return [ANY, *([OF_THE_HOME] if partitions else []), *map(shelf_of_partition, range(partitions))]

    async def _left(self) -> list[int]:
        """Return the shelves on which something lies."""
        found = await asyncio.get_running_loop().run_in_executor(self._disk, segments, self._folder)
        return sorted({shelf_of(path) for path in found})

    def _open(self, numbers: list[int]) -> None:
        for number in numbers:
            self._shelf(number)

    def _those_of(self, call_id: str | None) -> tuple[Spooling, ...]:
        """Return the shelves on which earlier reports of a call may lie, its own one last."""
        own = self._own(call_id)
        return (self._any, own) if own else (self._any,)

    def _own(self, call_id: str | None) -> Spooling | None:
        partitions = len(self._commit.ledger.parts)
        if not partitions:
            return None
        return self._shelf(OF_THE_HOME if call_id is None else shelf_of_partition(partition_of(call_id, partitions)))

    def _shelf(self, number: int) -> Spooling:
        shelf = self._shelves.get(number)
        if shelf is None:
            shelf = self._shelves[number] = Spooling(
                Spool(self._folder, most_bytes=self._most_bytes, shelf=number),
                HandingIn(self._commit, self._intake, self._own if number == ANY else _nowhere),
                SpoolNews(self._board, self._number, number),
                disk=self._disk,
                is_there=self._looker(number),
                few=self._few,
            )
        return shelf

    def _looker(self, number: int) -> Callable[[], Awaitable[bool]] | None:
        return None if number == ANY else partial(self._is_there, number)

    async def _is_there(self, number: int) -> bool:
        parts = self._commit.ledger.parts
        place = number - shelf_of_partition(0)
        promise = parts[place] if 0 <= place < len(parts) else self._commit.ledger
        try:
            await promise.get()
        except LedgerError:
            return False
        return True


def _nowhere(_call_id: str | None) -> Spooling | None:
    return None
