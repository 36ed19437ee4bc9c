"""From the settings to the ledger and the broker: the one place where both are found and opened.

servers = Servers(settings)
servers.ledger().run(…)
servers.wake_ups().publish()
"""

from typing import TYPE_CHECKING, Any

from roark_ledger.keeping import Keeper
from roark_ledger.ledger import AfterWrite, AsyncLedger
from roark_ledger.partitions.ledger import PartedLedger
from roark_ledger.partitions.opening import open_async_ledger, open_ledger
from roark_ledger.server.connection import redis_url
from roark_ledger.server.redis_url import parse_broker_url
from roark_producer.settings import IngestSettings

if TYPE_CHECKING:
    from roark_producer.wake_ups import WakeUps


class Servers:
    """Where the ledger and the broker are. Nothing is sent by opening them.

    Raises ConfigurationError where the settings name no server.
    """

    def __init__(self, settings: IngestSettings) -> None:
        self.settings = settings
        self.url = redis_url(secret_text(settings.redis_url), settings.data_dir)
        self.broker_setting = settings.broker_setting

    @property
    def broker_url(self) -> str:
        """The URL of Celery's broker. Raises ConfigurationError where it is a cluster's."""
        url = secret_text(self.settings.broker_url) or self.url
        parse_broker_url(url, self.broker_setting)
        return url

    def ledger(self, client: Any = None, after_write: AfterWrite = ()) -> PartedLedger:
        """Return the ledger, through a client that is open or one of its own."""
        return open_ledger(
            self.url, self.settings.prefix, client=client, after_write=after_write, remembered=self._remembered
        )

    def async_ledger(self, client: Any = None, after_write: AfterWrite = ()) -> AsyncLedger:
        """Return the same for an event loop."""
        return open_async_ledger(
            self.url, self.settings.prefix, client=client, after_write=after_write, remembered=self._remembered
        )

    def _remembered(self) -> int:
        return self.keeper().partitions

    def keeper(self, *, make_folder: bool = False) -> Keeper:
        """Return what this machine remembers of the ledger."""
        return Keeper.of(self.settings.data_dir, self.url, self.settings.prefix, make_folder=make_folder)

    def wake_ups(self) -> "WakeUps":
        """Return a publisher of wake-ups."""
        from roark_producer.wake_ups import WakeUps

        return WakeUps(self.broker_url, self.broker_setting)


def secret_text(secret: Any) -> str | None:
    """Return a secret's text, or None where there is none."""
    return secret.get_secret_value() if secret is not None else None
