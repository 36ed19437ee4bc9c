"""Makes the checks, in their order: settings, server, pipeline, this machine. Nothing here changes anything."""

import time
from collections.abc import Callable, Iterator
from itertools import starmap

from roark_ledger.errors import ConfigurationError, LedgerError, LedgerRefuses, LedgerUnavailable, UnfitServer
from roark_ledger.moves import intake, watch
from roark_ledger.records.setup import Setup
from roark_ledger.records.snapshot import Snapshot
from roark_ledger.server.connection import translated_errors
from roark_ledger.server.durability import inspect
from roark_ledger.server.redis_causes import SERVERS_PAGE
from roark_ledger.server.redis_url import REDIS_SETTING
from roark_ops.access import Access
from roark_ops.doctor import here, pipeline, server
from roark_ops.doctor.check import Check, Level, fail, ok, warn
from roark_ops.doctor.connected import check_account, check_vapi
from roark_ops.doctor.outside import check_public
from roark_ops.doctor.setup import base_urls, judge_shell
from roark_ops.nodes import fullest_node
from roark_producer.celery_wiring import answering_workers
from roark_producer.gone_settings import gone_settings, in_words
from roark_producer.proving import prove_broker, prove_ledger
from roark_producer.servers import secret_text
from roark_producer.settings import IngestSettings, WebhookSettings
from roark_producer.wake_ups import ignored_variables
from roark_worker.calls.vapi_settings import VapiSettings
from roark_worker.settings import WorkerSettings, is_usable_token

_PING_SECONDS = 1.0
_MEND = "Make sure that Redis runs at {} and accepts commands."


def examine(public_url: str | None = None) -> Iterator[Check]:
    """Yield every check as it is made. What cannot be checked is left out, behind the check that says why."""
    crew: dict[str, Setup] = {}
    yield from _guarded("redis", lambda: _examine_redis(crew))
    yield from _guarded("settings", lambda: _examine_set_up(crew, WorkerSettings()))
    yield from _guarded("webhook", lambda: iter([here.check_webhook(WebhookSettings())]))
    yield from _guarded("vapi", lambda: _examine_vapi(public_url))
    if public_url is not None:
        yield from _guarded("public url", lambda: check_public(WebhookSettings(), public_url))


def _examine_redis(crew: dict[str, Setup]) -> Iterator[Check]:
    try:
        access = Access.from_env()
    except ConfigurationError as error:
        yield fail("redis", str(error), "Run `roark-ingest up`, or set ROARK_INGEST_REDIS_URL.")
        return
    with access:
        checks = list(_guarded("redis", lambda: _examine_server(access)))
        yield from checks
        usable = not any(check.name in {"redis", "server"} and check.level is Level.FAIL for check in checks)
        if usable or access.settings.broker_url:
            yield from _guarded("broker", lambda: _examine_broker(access), access.settings.broker_setting)
        if usable:
            yield from _guarded("ledger", lambda: _examine_pipeline(access, crew))
        yield here.check_data_dir(access.settings.data_dir)


def _examine_vapi(public_url: str | None) -> Iterator[Check]:
    try:
        with Access.from_env() as access:
            yield from check_vapi(VapiSettings(), public_url, access.ledger)
    except (ConfigurationError, LedgerError):
        # What is wrong with Redis was said. One request more is none too many for Vapi.
        yield from check_vapi(VapiSettings(), public_url)


def _examine_server(access: Access) -> Iterator[Check]:
    client = access.ledger.client
    found = inspect(client)
    fit = server.judge_version(found)
    yield fit
    if fit.level is Level.FAIL:
        return
    yield server.judge_durability(access.settings.durability, found)
    yield server.judge_eviction(found)
    if "+info" in found.hidden:
        return
    with translated_errors(client):
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
        access.ledger.run(intake.accept((), revisions="record", per_wakeup=1))
    except LedgerRefuses as error:
        return server.judge_refusal(error)
    return ok("accepting", "Redis accepts reports")


def _examine_broker(access: Access) -> Iterator[Check]:
    if names := ignored_variables():
        yield ok("celery", f"{', '.join(names)}: ignored, they belong to another application")
    if gone := gone_settings():
        told = "; ".join(starmap(in_words, gone.items()))
        yield warn("settings", told, "Remove them from the environment and from .env.")
    yield server.judge_broker(prove_broker(access.broker_url, access.settings.broker_setting))


def _examine_pipeline(access: Access, crew: dict[str, Setup]) -> Iterator[Check]:
    prove_ledger(access.ledger)
    known = access.ledger.run(watch.crew())
    crew.update(known)
    access.remember()
    snapshot = access.ledger.run(watch.snapshot())
    yield _examine_workers(access, snapshot)
    yield pipeline.judge_lane(snapshot)
    yield pipeline.judge_accounts(snapshot)
    if snapshot.partitions > 1:
        yield pipeline.judge_partitions(snapshot)
    if snapshot.moving:
        yield pipeline.judge_split(snapshot.moving, snapshot.now_ms)
    yield from map(pipeline.judge_doubt, access.doubts())
    yield pipeline.judge_bin(snapshot)
    yield pipeline.judge_outage(fullest_node(access.ledger, snapshot))


def _examine_workers(access: Access, snapshot: Snapshot) -> Check:
    try:
        names = answering_workers(access.broker_url, _PING_SECONDS, access.settings.broker_setting)
    except LedgerUnavailable as error:
        return warn("workers", str(error), "See the broker check above.")
    return pipeline.judge_workers(names, snapshot)


def _examine_set_up(crew: dict[str, Setup], shell: WorkerSettings) -> Iterator[Check]:
    # The workers upload, so their set-up is what matters; this shell's is all there is where none lives.
    if not crew:
        yield here.check_token(shell)
        yield here.check_reach(shell)
        yield from _examine_account(shell)
        return
    yield judge_shell(crew, shell, IngestSettings())
    yield ok("token", "the workers have one; this shell does not, so Roark is checked without it")
    for url in base_urls(crew):
        yield here.check_reach(shell.model_copy(update={"roark_base_url": url}), of_workers=True)
    yield from _examine_account(shell)


def _examine_account(shell: WorkerSettings) -> Iterator[Check]:
    if is_usable_token(secret_text(shell.roark_api_bearer_token) or ""):
        yield check_account(shell)


def _guarded(name: str, checks: Callable[[], Iterator[Check]], setting: str = REDIS_SETTING) -> Iterator[Check]:
    try:
        yield from checks()
    except UnfitServer as error:
        hint = f"; what to grant: {SERVERS_PAGE}"
        yield fail(name, str(error).replace(hint, ""), f"See {SERVERS_PAGE}")
    except ConfigurationError as error:
        yield fail(name, str(error), "Fix the setting.")
    except LedgerError as error:
        yield fail(name, str(error), _MEND.format(setting))
    except Exception as error:  # noqa: BLE001 a doctor that falls ill himself helps nobody; the message may quote
        yield fail(name, f"the check itself failed ({type(error).__name__})", _MEND.format(setting))
