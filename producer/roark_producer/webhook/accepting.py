"""The group commit: reports that arrive together are stored by one accept, and share one disk sync.

1. `accept` and `reject` put what is to be stored in a queue and wait.
2. A flight takes all that gathered in this turn of the event loop (at most 64 reports or 2 MB) and sends it in
   one round trip. Nothing is delayed on purpose: what arrives while a flight is under way takes the next one.
   A second flight starts beside the first only when a full batch waits; that matters where a promise takes
   long to keep (WAITAOF on a server that syncs once a second).
3. Each waiter gets its own result once all of the flight is durable.

Vapi sends a report once and never again by default, so a short outage (a dropped connection, a server that is
restarted) is bridged: the flight is repeated for up to two seconds. A repeat does no harm, at worst a report that
was stored by the first try is called a duplicate. After that, or after five seconds without any answer, every
waiter of the flight gets the error; whether its reports are stored is then not known.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from roark_ledger.errors import LedgerFault, LedgerFull, LedgerUnavailable
from roark_ledger.moves import intake
from roark_ledger.moves.intake import Acceptable, Result
from roark_ledger.moves.operation import Operation
from roark_producer.webhook.promise import PromisedLedger
from roark_producer.webhook.tally import Tally

_MOST_REPORTS = 64
_MOST_BYTES = 2_000_000
_MOST_FLIGHTS = 16
_ANSWER_SECONDS = 5.0
_SHORT_OUTAGE_SECONDS = 2.0
_PAUSE_SECONDS = 0.2


@dataclass(slots=True, eq=False)
class _Waiting:
    wanted: Acceptable | Operation[bool]
    size: int
    until: float
    answer: asyncio.Future[Any]


class GroupCommit:
    """Stores reports durably. Belongs to one event loop. `wake` must return at once.

    Partitions of the ledger that may be away by themselves have a queue and flights each, so that one that is away
    holds up its own reports only.
    """

    def __init__(
        self,
        ledger: PromisedLedger,
        tally: Tally,
        *,
        revisions: str,
        reports_per_wakeup: int,
        wake: Callable[[], None],
    ) -> None:
        self.ledger = ledger
        self._queues: dict[PromisedLedger, _Queue] = {}
        self._make = partial(_Queue, tally=tally, revisions=revisions, reports_per_wakeup=reports_per_wakeup, wake=wake)

    async def accept(self, report: Acceptable) -> Result:
        """Return what the ledger did with the report, once it is durable.

        Raises LedgerUnavailable or LedgerFull, within about five seconds, when it is not known to be stored, and
        LedgerFault when Redis refuses it for another reason.
        """
        result: Result = await self._queue(self.ledger.of(report.call_id)).stored(report, len(report.packed))
        return result

    async def reject(self, rejection: Operation[bool]) -> None:
        """Keep what cannot be used; raises as `accept` does."""
        size = sum(len(part) for part in rejection.args if isinstance(part, bytes))
        await self._queue(self.ledger).stored(rejection, size)

    def _queue(self, ledger: PromisedLedger) -> "_Queue":
        queue = self._queues.get(ledger)
        if queue is None:
            queue = self._queues[ledger] = self._make(ledger)
        return queue


class _Queue:
    """What waits for one server, and the flights that take it there."""

    def __init__(
        self,
        ledger: PromisedLedger,
        *,
        tally: Tally,
        revisions: str,
        reports_per_wakeup: int,
        wake: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._tally = tally
        self._revisions = revisions
        self._per_wakeup = reports_per_wakeup
        self._wake = wake
        self._queue: deque[_Waiting] = deque()
        self._queued_bytes = 0
        self._flying = 0
        self._flights: set[asyncio.Task[None]] = set()

    def stored(self, wanted: Acceptable | Operation[bool], size: int) -> asyncio.Future[Any]:
        """Return what will tell how it went."""
        loop = asyncio.get_running_loop()
        waiting = _Waiting(wanted, size, loop.time() + _ANSWER_SECONDS, loop.create_future())
        self._queue.append(waiting)
        self._queued_bytes += size
        if self._is_flight_due(besides=self._flying):
            self._flying += 1
            flight = loop.create_task(self._fly())
            self._flights.add(flight)
            flight.add_done_callback(self._flights.discard)
        return waiting.answer

    def _is_flight_due(self, *, besides: int) -> bool:
        if besides == 0:
            return bool(self._queue)
        full = len(self._queue) >= _MOST_REPORTS or self._queued_bytes >= _MOST_BYTES
        return full and besides < _MOST_FLIGHTS

    async def _fly(self) -> None:
        # A flight counts until the moment it finds nothing to do, not until its task is seen to be done: whoever
        # arrives in between would wait for a flight that never takes off.
        try:
            while self._is_flight_due(besides=self._flying - 1):
                await self._commit(self._take())
        finally:
            self._flying -= 1

    def _take(self) -> list[_Waiting]:
        batch = [self._queue.popleft()]
        size = batch[0].size
        while self._queue and len(batch) < _MOST_REPORTS and size + self._queue[0].size <= _MOST_BYTES:
            batch.append(self._queue.popleft())
            size += batch[-1].size
        self._queued_bytes -= size
        return batch

    async def _commit(self, batch: list[_Waiting]) -> None:
        try:
            async with asyncio.timeout_at(batch[0].until):
                answers = await self._store_patiently(batch)
        except TimeoutError:
            self._ledger.doubt()
            self._fail(batch, LedgerUnavailable(f"Redis did not answer within {_ANSWER_SECONDS:.0f} s"))
        except LedgerFault as error:
            await self._commit_one_by_one(batch, error)
        except Exception as error:  # noqa: BLE001 no waiter may wait for ever, whatever it was
            self._fail(batch, error)
        else:
            for waiting, answer in zip(batch, answers, strict=True):
                if not waiting.answer.done():
                    waiting.answer.set_result(answer)

    async def _commit_one_by_one(self, batch: list[_Waiting], error: LedgerFault) -> None:
        # One record that is damaged must not keep out the reports that happened to come with it.
        if len(batch) == 1:
            self._fail(batch, error)
            return
        for waiting in batch:
            await self._commit([waiting])

    async def _store_patiently(self, batch: list[_Waiting]) -> list[Any]:
        loop = asyncio.get_running_loop()
        give_up = loop.time() + _SHORT_OUTAGE_SECONDS
        while True:
            try:
                return await self._store(batch)
            except LedgerFull:
                raise
            except LedgerUnavailable:
                self._ledger.doubt()
                if self._ledger.is_broken or loop.time() + _PAUSE_SECONDS > give_up:
                    raise
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _store(self, batch: list[_Waiting]) -> list[Any]:
        reports = [each.wanted for each in batch if isinstance(each.wanted, Acceptable)]
        wanted: list[Operation[Any]] = [each.wanted for each in batch if isinstance(each.wanted, Operation)]
        if reports:
            wanted.append(intake.accept(reports, revisions=self._revisions, per_wakeup=self._per_wakeup))
        ledger = await self._ledger.get()
        replies = await ledger.run_all(wanted, durably=True)
        results: Iterator[Result] = iter(())
        if reports:
            accepted: intake.Accepted = replies.pop()
            results = iter(accepted.results)
            if accepted.wake:
                self._wake()
        kept = iter(replies)
        return [next(results if isinstance(each.wanted, Acceptable) else kept) for each in batch]

    def _fail(self, batch: list[_Waiting], error: Exception) -> None:
        self._tally.fail(error, len(batch))
        for waiting in batch:
            if not waiting.answer.done():
                waiting.answer.set_exception(error)
