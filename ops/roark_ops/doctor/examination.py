"""Makes the checks, in their order: settings, server, pipeline, this machine. Nothing here changes anything."""

import time
from collections.abc import Callable, Iterator

from roark_ops.access import Access
from roark_ops.doctor import here, pipeline, server
from roark_ops.doctor.check import Check, fail, ok
from roark_producer import operations
from roark_producer.celery_wiring import answering_workers
from roark_producer.connection import translated_errors
from roark_producer.durability import inspect
from roark_producer.errors import ConfigurationError, LedgerError, LedgerRefuses
from roark_producer.settings import WebhookSettings
from roark_worker.settings import WorkerSettings

_PING_SECONDS = 1.0


def examine() -> Iterator[Check]:
    """Yield every check as it is made. What cannot be checked is left out, behind the check that says why."""
    yield from _examine_redis()
    yield from _guarded("settings", lambda: _examine_worker(WorkerSettings()))
    yield from _guarded("webhook", lambda: iter([here.check_webhook(WebhookSettings())]))


def _examine_redis() -> Iterator[Check]:
    try:
        access = Access.from_env()
    except ConfigurationError as error:
        yield fail("redis", str(error), "Start `roark-ingest up`, or set ROARK_INGEST_REDIS_URL.")
        return
    with access:
        yield from _guarded("redis", lambda: _examine_server(access))
        yield from _guarded("ledger", lambda: _examine_pipeline(access))
        yield here.check_data_dir(access.settings.data_dir)


def _examine_server(access: Access) -> Iterator[Check]:
    client = access.ledger.client
    found = inspect(client)
    yield server.judge_version(found)
    yield server.judge_durability(access.settings.durability, found)
    yield server.judge_eviction(found)
    with translated_errors():
        memory = client.info("memory")
        before = time.time()
        seconds, microseconds = client.time()
        middle = (before + time.time()) / 2
    yield server.judge_memory(
        int(memory.get("used_memory", 0)), int(memory.get("maxmemory", 0)), int(memory.get("total_system_memory", 0))
    )
    yield server.judge_clock(seconds + microseconds / 1e6 - middle)
    yield _examine_accepting(access)


def _examine_accepting(access: Access) -> Check:
    # None at all is accepted: Redis refuses it for whatever it would refuse a report for.
    try:
        access.ledger.run(operations.accept((), revisions="record", per_wakeup=1))
    except LedgerRefuses as error:
        return server.judge_refusal(error)
    return ok("accepting", "Redis takes reports")


def _examine_pipeline(access: Access) -> Iterator[Check]:
    access.remember()
    snapshot = access.ledger.run(operations.snapshot())
    yield pipeline.judge_workers(answering_workers(access.broker_url, _PING_SECONDS), snapshot)
    yield pipeline.judge_lane(snapshot)
    yield pipeline.judge_accounts(snapshot)


def _examine_worker(settings: WorkerSettings) -> Iterator[Check]:
    yield here.check_token(settings)
    yield here.check_reach(settings)


def _guarded(name: str, checks: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    try:
        yield from checks()
    except ConfigurationError as error:
        yield fail(name, str(error), "Correct the setting.")
    except LedgerError as error:
        yield fail(name, str(error), "See that Redis runs at ROARK_INGEST_REDIS_URL and takes our commands.")
