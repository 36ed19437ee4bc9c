"""The Celery app as Flower uses it: `celery -A roark_ops.flower_app flower`.

Flower asks the workers from many threads at once, and each question takes two connections, one while it holds the
other. Out of the worker's small pool they wait for each other for ever (4 connections, 6 threads: every time), and
Flower shows neither workers nor tasks, nor does it end. Without a pool each question opens its own.
"""

from roark_worker.app import app

app.conf.broker_pool_limit = None

__all__ = ["app"]
