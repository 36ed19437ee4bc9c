"""Report events as Celery's own, so that Flower and `celery events` show them.

A group goes as one `task-multi` message, as Celery sends its own buffered events. The connection is apart from
the worker's: a broker that hangs holds up nothing but events.
"""

import contextlib
from collections.abc import Sequence
from typing import Any

from celery import Celery
from celery.events import Event

from roark_worker.flower.report_events import ReportEvent


class CeleryEvents:
    """Publishes groups of report events under a worker's name. Used by one thread."""

    def __init__(self, app: Celery, hostname: str) -> None:
        self._connection = app.connection_for_write()
        self._dispatcher = app.events.Dispatcher(self._connection, hostname=hostname, buffer_while_offline=False)

    def publish(self, events: Sequence[ReportEvent]) -> None:
        """Send the group in one message; raises what kombu raises when the broker does not take it."""

        def group(_type: str, **common: Any) -> list[dict[str, Any]]:
            return [Event(one.type, **common, **one.fields) for one in events]

        self._dispatcher.publish("task-multi", {}, self._dispatcher.publisher, Event=group)

    def close(self) -> None:
        """Close the connection."""
        with contextlib.suppress(Exception):
            self._dispatcher.close()
            self._connection.release()
