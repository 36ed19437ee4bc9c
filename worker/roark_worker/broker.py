"""The worker's side of the broker, where whoever can write to Redis may have written anything.

What is no message (not JSON, another shape, a body that cannot be decoded) costs a line in the log. kombu would raise
out of the worker's loop, the process would end, and the next one would meet the next such message.

Celery's remote control answers `ping` (is it alive; it also keeps a busy worker's connection from stalling) and `stats`
(Flower's list of workers). The others shut workers down, change what they consume, or tell their settings.
"""

import logging
from functools import cache
from queue import Empty
from typing import Any

from celery.worker.control import Panel
from kombu.connection import Connection

from roark_ledger.logs import event

logger = logging.getLogger(__name__)

ANSWERED = frozenset({"ping", "stats"})
_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError)


class BrokerConnection(Connection):
    """Looks for a lost broker every few seconds, and passes over what is no message.

    Kombu's own waits grow to 30 s, and nothing drains meanwhile.
    """

    def ensure_connection(self, *args: Any, **kwargs: Any) -> Any:
        """Return when the broker is there."""
        return super().ensure_connection(*args, **{"interval_max": 2, **kwargs})  # type: ignore[no-untyped-call] # kombu

    def get_transport_cls(self) -> Any:
        """Return kombu's transport, with a channel that passes over what is no message."""
        transport = super().get_transport_cls()  # type: ignore[no-untyped-call] # kombu
        # Without a usable URL it is none of Redis's, and the worker is about to refuse to start.
        return _tolerant(transport) if hasattr(transport, "Channel") else transport


@cache
def _tolerant(transport: Any) -> Any:
    channel = type("TolerantChannel", (_PassesOver, transport.Channel), {})
    return type("TolerantTransport", (transport,), {"Channel": channel})


class _PassesOver:
    def _brpop_read(self, **options: Any) -> Any:
        return self._passing_over(super()._brpop_read, **options)  # type: ignore[misc] # kombu's

    def _receive_one(self, client: Any) -> Any:
        return self._passing_over(super()._receive_one, client)  # type: ignore[misc] # kombu's

    @staticmethod
    def _passing_over(read: Any, *args: Any, **options: Any) -> Any:
        try:
            return read(*args, **options)
        except _UNREADABLE as error:
            # Its class only: the message may quote what came.
            event(logger, "no_message", level=logging.WARNING, error=type(error).__name__)
            raise Empty from None


def answer_little() -> None:
    """Have the worker answer ping and stats, and be silent to every other command."""
    for name in set(Panel.data) - ANSWERED:
        Panel.data[name] = _say_nothing


def _say_nothing(*_: Any, **__: Any) -> None:
    """Answer with nothing; what is not known at all would be a line of error for each question of Flower's."""
