"""Submit reports from asyncio, with the same verbs as `Producer`; see there for what is promised.

async with AsyncProducer.from_env() as producer:
    receipt = await producer.submit(report)
    receipts = await producer.submit_many(reports)
    async for receipt in producer.submit_iter(reports):
        ...
"""

import asyncio
import os
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self

from roark_ledger.errors import IngestError, ProducerClosed
from roark_ledger.moves import intake
from roark_producer.producer import CLOSED, accepting, counts, proven
from roark_producer.taking import BATCH_BYTES, BATCH_REPORTS, AnyReport, Batch, Intake, Receipt, as_bytes, check_several
from roark_producer.tracing import Traces
from roark_producer.vapi.properties import Scalar

if TYPE_CHECKING:
    from roark_ledger.ledger import AfterWrite, AsyncLedger
    from roark_producer.settings import IngestSettings

_MOST_AT_ONCE = 32
# Packing takes some 3 ms for each MB, and the loop's other tasks wait meanwhile.
_PACKED_IN_A_THREAD = 500_000


class _Home:
    """The connections of one event loop."""

    def __init__(self, ledger: "AsyncLedger") -> None:
        self.ledger = ledger
        self.room = asyncio.Semaphore(_MOST_AT_ONCE)


class AsyncProducer:
    """Submits reports from asyncio. Close it, or use it as an asynchronous context manager.

    Any number of tasks may share one; up to 32 batches are under way at once, the others wait. An event loop that
    is not the one it was used in before, and a forked process, get connections of their own.
    """

    def __init__(self, settings: "IngestSettings", *, source: str = "python", keeps_rejected: bool = True) -> None:
        from roark_producer.servers import Servers

        self._settings = settings
        self._servers = Servers(settings)
        self._wake_ups = self._servers.wake_ups()
        self._intake = Intake(settings, source=source, traces=Traces.wanted(settings))
        self._keeps_rejected = keeps_rejected
        self._closed = False
        self._lives_in: tuple[int, asyncio.AbstractEventLoop] | None = None
        self._home: _Home | None = None

    @classmethod
    def from_env(cls, *, source: str = "python") -> Self:
        """Return a producer configured by environment variables and `.env`. Sends nothing yet.

        Raises:
            ConfigurationError: A setting is wrong.
        """
        from roark_producer.settings import IngestSettings

        return cls.from_settings(IngestSettings(), source=source)

    @classmethod
    def from_settings(cls, settings: "IngestSettings", *, source: str = "python", keeps_rejected: bool = True) -> Self:
        """Return a producer with these settings; see `from_env`.

        With `keeps_rejected` unusable reports go to the rejected bin; otherwise they are only counted.
        """
        return cls(settings, source=source, keeps_rejected=keeps_rejected)

    async def open(self) -> Self:
        """Connect, and have the server proven; `async with` does it, and so does the first report.

        Raises:
            ConfigurationError: The server cannot keep the durability you asked for.
            LedgerUnavailable: Redis is unreachable.
        """
        await self._opened()
        return self

    async def submit(self, report: AnyReport, properties: Mapping[str, Scalar] | None = None) -> Receipt:
        """Submit one report and return once it is durable; see `Producer.submit`, also for what it raises."""
        return (await self.submit_many([report], properties))[0]

    async def submit_many(
        self,
        reports: Iterable[AnyReport] | AsyncIterable[AnyReport],
        properties: Mapping[str, Scalar] | None = None,
    ) -> list[Receipt]:
        """Submit all reports, and return a receipt for each, in order, once all are durable.

        Raises what `Producer.submit` raises. Then some may be stored; submit all again, and those are duplicates.
        """
        return [receipt async for receipt in self.submit_iter(reports, properties)]

    def submit_iter(
        self,
        reports: Iterable[AnyReport] | AsyncIterable[AnyReport],
        properties: Mapping[str, Scalar] | None = None,
    ) -> AsyncIterator[Receipt]:
        """Submit reports lazily: yield a receipt for each, in order, once it is durable.

        **Nothing is submitted that you do not iterate over**; see `Producer.submit_iter`.
        """
        self._check_open()
        check_several(reports)
        self._intake.check(properties)
        return self._submitted(reports, properties)

    async def _submitted(
        self, reports: Iterable[AnyReport] | AsyncIterable[AnyReport], properties: Mapping[str, Scalar] | None
    ) -> AsyncIterator[Receipt]:
        async for bodies in _batches(reports):
            for receipt in await self._submit(bodies, properties):
                yield receipt

    async def _submit(self, bodies: list[bytes], properties: Mapping[str, Scalar] | None) -> list[Receipt]:
        home = await self._opened()
        async with home.room:
            if sum(map(len, bodies)) > _PACKED_IN_A_THREAD:
                batch = await asyncio.to_thread(self._intake.batch, bodies, properties)
            else:
                batch = self._intake.batch(bodies, properties)
            try:
                return await self._accept(home.ledger, batch)
            except IngestError as error:
                batch.fail(error)
                raise

    async def _accept(self, ledger: "AsyncLedger", batch: Batch) -> list[Receipt]:
        if batch.rejections and self._keeps_rejected:
            await ledger.run_all(batch.rejections, durably=True)
        if counted := counts(batch, keeps_rejected=self._keeps_rejected):
            await ledger.run(intake.tally(counted))
        if not batch.reports:
            return batch.receipts(())
        accepted = await ledger.run_durably(accepting(list(batch.reports.values()), self._settings))
        if accepted.wake:
            await asyncio.to_thread(self._wake_ups.publish)
        return batch.receipts(accepted.results)

    async def _opened(self) -> _Home:
        self._check_open()
        here = os.getpid(), asyncio.get_running_loop()
        if self._home is None or self._lives_in != here:
            after_write = await asyncio.to_thread(self._proven)
            # Another task may have been faster.
            if self._home is None or self._lives_in != here:
                self._home, self._lives_in = _Home(self._servers.async_ledger(after_write=after_write)), here
        return self._home

    def _proven(self) -> "AfterWrite":
        ledger = self._servers.ledger()
        try:
            return proven(self._servers, ledger.client)
        finally:
            ledger.close()

    def _check_open(self) -> None:
        if self._closed:
            raise ProducerClosed(CLOSED)

    async def close(self) -> None:
        """Close the connections. Closing again does nothing; submitting raises ProducerClosed."""
        self._closed = True
        self._wake_ups.close()
        home, self._home = self._home, None
        if home is not None and self._lives_in == (os.getpid(), asyncio.get_running_loop()):
            await home.ledger.aclose()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


async def _batches(reports: Iterable[AnyReport] | AsyncIterable[AnyReport]) -> AsyncIterator[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    async for report in _one_by_one(reports):
        batch.append(as_bytes(report))
        size += len(batch[-1])
        if len(batch) >= BATCH_REPORTS or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


async def _one_by_one(reports: Iterable[AnyReport] | AsyncIterable[AnyReport]) -> AsyncIterator[AnyReport]:
    if isinstance(reports, AsyncIterable):
        async for report in reports:
            yield report
    else:
        for report in reports:
            yield report
