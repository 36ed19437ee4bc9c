"""One shelf of the spool behind the webhook: takes what the ledger cannot, and hands it in when it can again.

1. A request that the ledger did not take is kept: those that arrive together share one disk sync.
2. As long as anything waits on the shelf of any process of this webhook, what comes goes behind it, so that a call's
   newer report stays the newer one (`spool_news.py`).
3. One process hands in, a few times a second: first the segments that are finished, in the order in which their
   requests came, by batches, through the same group commit as live reports; when the ledger takes those, all
   processes are asked to finish theirs. Only when all of a segment is durable is it removed; a crash before that
   makes repeats, which do no harm. What comes while the last few are handed in waits for them: under load there would
   always be some more.
4. Segments that a killed process left are found in the folder, and handed in as well.
5. A report that a script of ours fails on (its call's record is damaged) goes to a file of its own, which is tried
   again every minute: nothing good ever goes to the rejected bin from here, and nothing waits for it.
6. At the start, and every minute, the disk proves that it takes a report (`trouble` says why not).
7. Where the ledger has several partitions, each has a shelf of its own (`spools.py`). What lies on that for all, from
   before this was known, goes to theirs when it cannot be handed in, so that nothing behind it waits.

Files are written and read on one thread of its own: a slow disk does not stop the event loop.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from functools import partial
from itertools import islice
from typing import TypeVar

from roark_ledger.errors import LedgerError
from roark_ledger.logs import event
from roark_producer.disk.frames import Spooled
from roark_producer.disk.merging import Merged
from roark_producer.disk.segments import Segment, segments
from roark_producer.disk.spool import Spool, SpoolFull
from roark_producer.webhook.handing_in import HandingIn
from roark_producer.webhook.serving.spool_news import SpoolNews

logger = logging.getLogger(__name__)

_BATCH = 64
_LAST_FEW = 256
_LOOK_SECONDS, _LOOK_WHILE_WAITING_SECONDS = 0.5, 0.05
_FIRST_LOOK_SECONDS = 0.5
_LAST_FEW_SECONDS = 1.0
_LAST_FEW_LOOK_SECONDS = 0.01
PROVE_SECONDS = 60.0
_REFUSED_AGAIN_SECONDS = 60.0

T = TypeVar("T")


class Spooling:
    """Belongs to one event loop.

    `is_there` says whether it is of use to hand in; no more than `few` shelves do at once, for each has a segment of
    each process in memory.
    """

    def __init__(
        self,
        spool: Spool,
        handing_in: HandingIn,
        news: SpoolNews,
        *,
        disk: ThreadPoolExecutor,
        is_there: Callable[[], Awaitable[bool]] | None = None,
        few: AbstractAsyncContextManager[object] | None = None,
    ) -> None:
        self._spool = spool
        self._news = news
        self._handing_in = handing_in
        self._disk = disk
        self._is_there = is_there
        self._few = few or contextlib.nullcontext()
        self._gathered: list[tuple[Spooled, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._is_told = False
        self._held_up: asyncio.Task[None] | None = None
        self._refused_again = 0.0
        self._proved = 0.0
        self.why = ""
        """Why reports came here rather than into the ledger; "" when nothing waits here any more."""
        self.trouble = ""
        """Why this machine's disk takes no report now; "" while it does."""

    @property
    def is_active(self) -> bool:
        """Whether reports go here rather than to the ledger, because earlier ones still wait here."""
        return self._news.something_waits

    async def until_looked(self) -> None:
        """Wait, not for long, until it is known whether an earlier webhook left something.

        What came before that would go to the spool, and under load all that follows for seconds.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FIRST_LOOK_SECONDS):
                while self._news.is_unknown:  # noqa: ASYNC110 another process ends it
                    await asyncio.sleep(_LAST_FEW_LOOK_SECONDS)

    async def takes_over(self) -> bool:
        """Say whether a report goes here rather than to the ledger; first wait for the last few, if it is those."""
        if self._news.last_few:
            if self._held_up is None or self._held_up.done():
                self._held_up = asyncio.create_task(self._until_the_last_few_are_in())
            await asyncio.shield(self._held_up)
        return self.is_active

    async def _until_the_last_few_are_in(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_FEW_SECONDS):
                while self._news.last_few:  # noqa: ASYNC110 another process ends it
                    await asyncio.sleep(_LAST_FEW_LOOK_SECONDS)

    async def keep(self, body: bytes, query: dict[str, str] | None, trace: bytes = b"") -> None:
        """Return when the request is on this machine's disk.

        Raises SpoolFull when it is not.
        """
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._gathered.append((Spooled(body, query or {}, time.time_ns() // 1_000_000, trace), kept))
        self._news.keeping()
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        await kept

    async def _write(self) -> None:
        while self._gathered:
            gathered, self._gathered = self._gathered, []
            try:
                await self._on_disk(partial(self._append, [request for request, _ in gathered]))
            except Exception as error:  # noqa: BLE001 every waiter must hear of it, whatever it was
                event(logger, "spool_failed", level=logging.ERROR, requests=len(gathered), error=str(error))
                self._tell_trouble(str(error) if isinstance(error, SpoolFull) else type(error).__name__)
                _answer(gathered, error)
            else:
                self._tell_trouble("")
                if not self._is_told:
                    event(logger, "spooling", level=logging.WARNING, hint="the ledger can't store reports right now")
                self._is_told = True
                _answer(gathered, None)

    def _append(self, requests: Sequence[Spooled], *, moved: bool = False) -> None:
        try:
            self._spool.append(requests, moved=moved)
        finally:
            self._news.written(len(requests))

    async def take_over(self, requests: Sequence[Spooled]) -> None:
        """Return when requests of another shelf are on the disk here. Raises SpoolFull."""
        for _ in requests:
            self._news.keeping()
        await self._on_disk(partial(self._append, requests, moved=True))

    async def prove(self) -> None:
        """Learn whether the disk takes a report; `trouble` tells. A spool that others filled is one that does not."""
        self._proved = time.monotonic()
        try:
            await self._on_disk(self._spool.prove)
        except SpoolFull as error:
            self._tell_trouble(str(error))
        else:
            self._tell_trouble("")

    @property
    def is_proof_due(self) -> bool:
        """Whether the disk should prove again that it takes a report."""
        return bool(self.trouble) or time.monotonic() - self._proved >= PROVE_SECONDS

    def _tell_trouble(self, trouble: str) -> None:
        if trouble and trouble != self.trouble:
            hint = "while Redis is unreachable, reports are refused (503)"
            event(logger, "spool_unusable", level=logging.ERROR, error=trouble, hint=hint)
        elif self.trouble and not trouble:
            event(logger, "spool_usable", level=logging.WARNING)
        self.trouble = trouble

    async def run(self) -> None:
        """Hand in what waits, whenever the ledger takes it, or seal it for the process that does; until cancelled."""
        while True:
            try:
                if self._news.hands_in:
                    if await self._is_of_use():
                        async with self._few:
                            await self._hand_in_all()
                    await self._try_refused_again()
                elif self._news.is_asked():
                    await self._on_disk(self._seal)
                self._note_the_end()
            except LedgerError:
                # The webhook has told already that the ledger is away, or what it refuses.
                pass
            except Exception as error:  # noqa: BLE001 if this loop ended, what waits here would wait for ever
                # Only the disk's own messages are safe to log: another one might quote the report.
                why = str(error) if isinstance(error, OSError) else type(error).__name__
                event(logger, "spool_not_handed_in", level=logging.ERROR, error=why)
            soon = self.is_active and not self._news.hands_in
            await asyncio.sleep(_LOOK_WHILE_WAITING_SECONDS if soon else _LOOK_SECONDS)

    async def _is_of_use(self) -> bool:
        """Whether to hand in: on a partition's shelf not while it is away, nor where nothing is."""
        if self._is_there is None:
            return True
        if await self._on_disk(lambda: segments(self._spool.folder, self._spool.shelf)):
            return await self._is_there()
        return self.is_active

    def _note_the_end(self) -> None:
        if not self.is_active:
            self._is_told, self.why = False, ""

    def _seal(self) -> None:
        self._spool.seal()
        self._news.seal()

    async def _hand_in_all(self) -> None:
        asked_in_vain = False
        try:
            while True:
                sealed = self._news.sealed()
                requests = await self._hand_in_sealed()
                self._news.handed_in(sealed)
                if not self.is_active or (requests == 0 and asked_in_vain):
                    # Somebody who died while he wrote, or takes long, keeps it active until a later look.
                    return
                self._news.last_few = 0 < requests <= _LAST_FEW
                await self._seal_all()
                asked_in_vain = requests == 0
        finally:
            self._news.last_few = False

    async def _seal_all(self) -> None:
        """Have all processes seal what they have, and wait for it, not for ever."""
        self._news.ask()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_FEW_SECONDS):
                await self._on_disk(self._seal)
                while not self._news.all_sealed:
                    await asyncio.sleep(_LAST_FEW_LOOK_SECONDS)
                    await self._on_disk(self._seal)

    async def _hand_in_sealed(self) -> int:
        """Hand in all that nobody writes any more; return how many requests that was."""
        requests = 0
        self._handing_in.refused = []
        merged = await self._on_disk(partial(Merged, self._spool.folder, self._spool.shelf))
        try:
            while batch := await self._on_disk(partial(merged.batch, _BATCH)):
                await self._handing_in.take(batch.requests)
                requests += len(batch.requests)
                if batch.ended and self._handing_in.refused:
                    await self._on_disk(partial(self._spool.set_aside, self._handing_in.refused))
                for segment in batch.ended:
                    await self._on_disk(partial(self._spool.done, segment))
                    self._tell_handed_in(segment, len(self._handing_in.refused))
                if batch.ended:
                    self._handing_in.refused = []
        finally:
            merged.close()
        return requests

    def _tell_handed_in(self, segment: Segment, set_aside: int) -> None:
        damaged = segment.damaged_bytes + sum(segment.unreadable)
        event(
            logger,
            "spool_handed_in",
            level=logging.ERROR if damaged or set_aside else logging.WARNING,
            requests=len(segment.packed) - len(segment.unreadable) - set_aside,
            set_aside=set_aside or None,
            damaged_bytes=damaged,
        )

    async def _try_refused_again(self) -> None:
        # A repeat does no harm, so a file stays as it is until all of it is taken.
        if time.monotonic() < self._refused_again:
            return
        self._refused_again = time.monotonic() + _REFUSED_AGAIN_SECONDS
        for segment in await self._on_disk(lambda: list(self._spool.refused())):
            self._handing_in.refused = []
            with contextlib.closing(segment):
                requests = segment.requests()
                while batch := list(islice(requests, _BATCH)):
                    await self._handing_in.take(batch)
                if not self._handing_in.refused:
                    await self._on_disk(partial(self._spool.done, segment))

    async def _on_disk(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._disk, work)


def _answer(gathered: list[tuple[Spooled, "asyncio.Future[None]"]], error: Exception | None) -> None:
    for _, kept in gathered:
        if kept.done():
            continue
        if error is None:
            kept.set_result(None)
        else:
            kept.set_exception(error)
