"""The way from the environment to the ledger, for everything that operates it: settings, connection, wake-ups.

with Access.from_env() as access:
    access.ledger.run(…)
    access.wake()
"""

import contextlib
from types import TracebackType
from typing import Self, TypeVar

from roark_ledger.errors import BrokenPromise, LedgerError
from roark_ledger.moves.operation import Operation
from roark_ledger.partitions.ledger import PartedLedger
from roark_ledger.server.durability import inspect, keep
from roark_producer.gone_settings import tell_gone_settings
from roark_producer.servers import Servers
from roark_producer.settings import IngestSettings

T = TypeVar("T")
_MOST_WAKE_UPS = 32


class Access:
    """The ledger that the settings name. Nothing is sent before the first operation."""

    def __init__(self, settings: IngestSettings) -> None:
        self.settings = settings
        self._servers = Servers(settings)
        self.url = self._servers.url
        self.ledger = self._servers.ledger()

    @classmethod
    def from_env(cls) -> Self:
        """Return access to the ledger that the environment names.

        Raises ConfigurationError when a setting is wrong, or names no server.
        """
        access = cls(IngestSettings())
        tell_gone_settings()
        return access

    @property
    def broker_url(self) -> str:
        """The URL of Celery's broker."""
        return self._servers.broker_url

    def run_durably(self, operation: Operation[T]) -> T:
        """Run one operation and return when it is as durable as the settings promise, where the server can do that."""
        return self.durable_ledger().run_durably(operation)

    def durable_ledger(self) -> PartedLedger:
        """Return a ledger whose `run_durably` keeps what the settings promise, where the server can do that."""
        try:
            promised = keep(self.settings.durability, inspect(self.ledger.client)).after_write
        except BrokenPromise:
            promised = ()
        return self._servers.ledger(self.ledger.client, promised)

    def remember(self) -> None:
        """Lay what this machine remembers of the ledger beside it, where it does; what is missing is noted there."""
        keeper = self._servers.keeper()
        if keeper.is_known:
            with contextlib.suppress(LedgerError):
                keeper.note(self.run_durably(keeper.operation()))

    def doubts(self) -> tuple[str, ...]:
        """Say what is odd about what this machine remembers of ledgers."""
        return self._servers.keeper().doubts()

    def wake(self, reports: int = 1) -> bool:
        """Publish wake-ups for so many reports that became ready; return whether the broker took them.

        One that fails costs a second: the workers' tick looks for ready reports by itself.
        """
        wake_ups = self._servers.wake_ups()
        try:
            needed = min(-(-reports // self.settings.reports_per_wakeup), _MOST_WAKE_UPS)
            return all(wake_ups.publish() for _ in range(needed))
        finally:
            wake_ups.close()

    def close(self) -> None:
        """Close the connections."""
        self.ledger.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
