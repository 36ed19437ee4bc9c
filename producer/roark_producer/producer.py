"""Submit reports from Python: parse, gather properties, accept durably, wake a worker.

    with Producer.from_env() as producer:
        receipt = producer.submit(report)              # bytes, str or dict
        receipts = producer.submit_many(reports)       # all of them, in few round trips
        for receipt in producer.submit_iter(reports):  # as you read receipts: any number in little memory
            ...

When these return, the report is as durable as ROARK_INGEST_DURABILITY says. When one raises LedgerUnavailable, reports
may or may not be stored: submit them again, repeats do no harm.

Importing this loads neither redis-py nor pydantic: `from_env` does.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import msgspec

from roark_ledger.errors import IngestError, InvalidReport, ProducerClosed
from roark_ledger.moves import intake
from roark_ledger.moves.intake import Acceptable, Result
from roark_ledger.moves.operation import Operation
from roark_producer.taking import AnyReport, Batch, Intake, Receipt, batches, check_several
from roark_producer.tracing import Traces
from roark_producer.vapi.properties import Scalar
from roark_producer.vapi.report import OtherMessage

if TYPE_CHECKING:
    from roark_ledger.ledger import AfterWrite, Ledger
    from roark_producer.servers import Servers
    from roark_producer.settings import IngestSettings

BACKFILLED: Mapping[str, Scalar] = {"ingest_source": "backfill"}
"""Sent to Roark beside a report that was made from a Call object of Vapi's API."""

CLOSED = "this producer is closed; create another one"


class Producer:
    """Submits reports. Close it, or use it as a context manager.

    Threads may share one, and so may processes that are forked after it was made: each child opens connections of its
    own. For asyncio there is `AsyncProducer`.
    """

    def __init__(
        self,
        ledger: "Ledger",
        settings: "IngestSettings",
        wake: Callable[[], object],
        *,
        source: str = "python",
        keeps_rejected: bool = True,
        close_too: Callable[[], object] = lambda: None,
        traces: Traces | None = None,
    ) -> None:
        self.ledger = ledger
        self._settings = settings
        self._wake = wake
        self._close_too = close_too
        self._intake = Intake(settings, source=source, traces=traces)
        self._keeps_rejected = keeps_rejected
        self._closed = False

    @classmethod
    def from_env(cls, *, source: str = "python") -> Self:
        """Return a producer configured by environment variables and `.env`.

        `source` is noted with what goes to the rejected bin.

        Raises:
            ConfigurationError: A setting is wrong, or the server cannot keep the durability you asked for.
            LedgerUnavailable: Redis is unreachable.
        """
        from roark_producer.settings import IngestSettings

        return cls.from_settings(IngestSettings(), source=source)

    @classmethod
    def from_settings(cls, settings: "IngestSettings", *, source: str = "python", keeps_rejected: bool = True) -> Self:
        """Return a producer with these settings; raises what `from_env` raises.

        With `keeps_rejected` unusable reports go to the rejected bin; otherwise they are only counted.
        """
        from roark_producer.servers import Servers

        traces = Traces.wanted(settings)
        servers = Servers(settings)
        client = servers.ledger().client
        ledger = servers.ledger(client, proven(servers, client))
        wake_ups = servers.wake_ups()
        return cls(
            ledger,
            settings,
            wake_ups.publish,
            source=source,
            keeps_rejected=keeps_rejected,
            close_too=wake_ups.close,
            traces=traces,
        )

    def submit(self, report: AnyReport, properties: Mapping[str, Scalar] | None = None) -> Receipt:
        """Submit one report and return once it is durable.

        An unusable report raises nothing: it is kept in the rejected bin, and the receipt says so.

        Args:
            report: The message as Vapi sends it (`{"message": …}`) or unwrapped: JSON as bytes or text, or parsed.
            properties: Go to Roark beside the report: snake_case names, and texts, numbers or true/false.

        Raises:
            LedgerUnavailable: The report may or may not be stored (LedgerFull: Redis is full, it is not). Submit it
                again, as you do after a crash; repeats do no harm.
            InvalidProperties: Roark would not take these properties. Nothing was submitted.
            ProducerClosed: This producer is closed. Nothing was submitted.
            TypeError: The report is neither JSON nor can be written as JSON. Nothing was submitted.
        """
        return self.submit_many([report], properties)[0]

    def submit_many(
        self, reports: Iterable[AnyReport], properties: Mapping[str, Scalar] | None = None
    ) -> list[Receipt]:
        """Submit all reports, and return a receipt for each, in order, once all are durable.

        Raises what `submit` raises. Then some may be stored; submit all again, and those are duplicates.
        """
        return list(self.submit_iter(reports, properties))

    def submit_iter(
        self, reports: Iterable[AnyReport], properties: Mapping[str, Scalar] | None = None
    ) -> Iterator[Receipt]:
        """Submit reports lazily: yield a receipt for each, in order, once it is durable.

        Reports are taken from the iterable as you take receipts, so a source of any length needs constant memory, and
        **nothing is submitted that you do not iterate over**. Raises what `submit` raises, misuse at once. When it
        raises later, the batch in flight may or may not be stored: submit again from the first report without a
        receipt.
        """
        self._check_open()
        check_several(reports)
        self._intake.check(properties)
        return self._submitted(reports, properties)

    def _submitted(self, reports: Iterable[AnyReport], properties: Mapping[str, Scalar] | None) -> Iterator[Receipt]:
        for bodies in batches(reports):
            self._check_open()
            yield from self._submit(self._intake.batch(bodies, properties))

    def _submit(self, batch: Batch) -> list[Receipt]:
        try:
            self._keep(batch)
            return batch.receipts(self.accept(list(batch.reports.values())))
        except IngestError as error:
            batch.fail(error)
            raise

    def _keep(self, batch: Batch) -> None:
        if batch.rejections and self._keeps_rejected:
            self.ledger.run_all(batch.rejections, durably=True)
        if counted := counts(batch, keeps_rejected=self._keeps_rejected):
            self.ledger.run(intake.tally(counted))

    def backfill(self, report: bytes, source: str, properties: Mapping[str, Scalar] | None = None) -> Receipt:
        """Submit a report made from a Call object; it is a duplicate if the ledger knows the call.

        Raises InvalidReport when it cannot be used.
        """
        self._check_open()
        self._intake.check(properties)
        prepared = self._intake.prepare(report, properties={**(properties or {}), **BACKFILLED})
        if isinstance(prepared, OtherMessage):
            raise InvalidReport("type", "is not that of a report")
        from roark_ledger.moves import reconcile as reconciled

        detail = msgspec.json.encode({"source": source})
        (answer,) = self.ledger.run_durably(reconciled.backfill([prepared], detail=detail))
        return Receipt(prepared.call_id, Result(answer) if answer in {"accepted", "erased"} else Result.DUPLICATE)

    def accept(self, reports: Sequence[Acceptable]) -> tuple[Result, ...]:
        """Accept packed reports in one batch and wake a worker; return once they are durable."""
        self._check_open()
        if not reports:
            return ()
        accepted = self.ledger.run_durably(accepting(reports, self._settings))
        if accepted.wake:
            self._wake()
        return accepted.results

    def _check_open(self) -> None:
        if self._closed:
            raise ProducerClosed(CLOSED)

    def close(self) -> None:
        """Close the connections. Closing again does nothing; submitting raises ProducerClosed."""
        self._closed = True
        self._close_too()
        self.ledger.close()

    def __enter__(self) -> Self:
        self._check_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def accepting(reports: Sequence[Acceptable], settings: "IngestSettings") -> Operation[intake.Accepted]:
    """Return the operation that accepts reports as the settings say."""
    return intake.accept(reports, revisions=settings.revisions, per_wakeup=settings.reports_per_wakeup)


def counts(batch: Batch, *, keeps_rejected: bool) -> dict[str, int]:
    """Return what is to be counted of what the ledger does not see otherwise."""
    found = {"ignored": batch.ignored, "rejected": 0 if keeps_rejected else len(batch.rejections)}
    return {name: count for name, count in found.items() if count}


def proven(servers: "Servers", client: Any) -> "AfterWrite":
    """Return the command that keeps the promise on this server, and lay what this machine remembers beside the ledger.

    Raises ConfigurationError when the server cannot keep it.
    """
    from roark_ledger.server.durability import inspect, keep

    settings = servers.settings
    after_write = keep(settings.durability, inspect(client)).after_write
    if settings.data_dir.is_dir():
        # What is missing is noted in the ledger, and logged; nobody is kept from submitting for that.
        keeper = servers.keeper()
        keeper.note(servers.ledger(client, after_write).run_durably(keeper.operation()))
    return after_write
