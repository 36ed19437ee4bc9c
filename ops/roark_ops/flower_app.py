"""The Celery app as Flower uses it: `celery -A roark_ops.flower_app flower`.

Flower asks the workers from many threads at once, and each question takes two connections, one while it holds the
other. Out of the worker's small pool they wait for each other for ever (4 connections, 6 threads: every time), and
Flower shows neither workers nor tasks, nor does it end. Without a pool each question opens its own.

Its page on the broker has an opening of Redis of its own, which knows one Sentinel of several, no socket's database
and no CA in a URL. It gets ours.
"""

import os
from typing import Any

import flower.app
import flower.views
from flower.utils.broker import RedisBase

from roark_ledger.server.connection import connect_async
from roark_ops.erasing.flower_store import ForgettingEvents
from roark_producer.celery_wiring import ONLY_TALKS
from roark_worker.app import app
from roark_worker.process.shared import servers

app.conf.broker_pool_limit = None
app.conf.broker_transport_options.update(ONLY_TALKS)
# Flower writes down whose calls it has seen.
os.umask(0o077)


class _Broker(RedisBase):  # type: ignore[misc] # Flower has no types
    """Counts what waits in the queues; made for each look at the page."""

    def __init__(self, _their_url: str, *_: Any, **options: Any) -> None:
        super().__init__("redis://", **options)
        self.redis = connect_async(servers().broker_url)


flower.views.Broker = _Broker
ForgettingEvents.ledger = servers().ledger()
flower.app.Events = ForgettingEvents

__all__ = ["app"]
