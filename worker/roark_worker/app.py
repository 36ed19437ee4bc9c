"""The Celery app: `celery -A roark_worker.app worker`.

    a message roark.deliver arrives        → `deliver` runs one drain on the process's engine
    the drain ends with work left          → it publishes the next wake-up
    the worker starts                      → the ledger's promise is checked, the tick begins
    SIGTERM, SIGHUP                        → nothing more is claimed, uploads end, the rest is given back

The pool is `threads` with one slot: a drain keeps hundreds of uploads in flight by itself, so cores are used
by processes (`roark-ingest worker`), and further wake-ups stay in the queue for the others.
"""

import contextlib
import logging
import os
import shutil
import signal
import sys
import threading
import time
import warnings
from functools import cache
from typing import Any, ClassVar, NoReturn

from celery import Celery, bootsteps, signals
from celery.app.amqp import AMQP
from celery.exceptions import CPendingDeprecationWarning, SecurityWarning

from roark_ledger.errors import ConfigurationError, IngestError, LedgerError, LedgerFault, LedgerUnavailable
from roark_ledger.ledger import Ledger
from roark_ledger.logs import event, set_up_logging
from roark_ledger.server.durability import inspect, keep
from roark_producer.celery_wiring import celery_app, celery_settings
from roark_producer.gone_settings import tell_gone_settings
from roark_producer.proving import prove_broker, prove_ledger
from roark_producer.wake_ups import DELIVER_TASK
from roark_worker.alerts.alerting import Alerter
from roark_worker.broker import BrokerConnection, answer_little
from roark_worker.calls.fresh_audio import FreshAudio
from roark_worker.calls.receipts import ReceiptLooker
from roark_worker.calls.reconciling import Reconciler
from roark_worker.delivery import Delivery
from roark_worker.flower.celery_events import CeleryEvents
from roark_worker.flower.event_sender import EventSender
from roark_worker.flower.lane_row import LaneRow
from roark_worker.metrics.page import MetricsPage, WorkerCollector
from roark_worker.process.engine import Engine
from roark_worker.process.rounds import Rounds
from roark_worker.process.shared import (
    counts,
    ingest_settings,
    metrics_folder,
    servers,
    traces,
    vapi_settings,
    wake_ups,
    worker_settings,
)
from roark_worker.upkeep.auditing import Auditor
from roark_worker.upkeep.remembering import Remembering
from roark_worker.upkeep.setup_notes import SetupNotes
from roark_worker.upkeep.tick import Tick
from roark_worker.upload.roark import Roark, Token

logger = logging.getLogger(__name__)

EX_SOFTWARE = 70
EX_CONFIG = 78
_FORCE_AFTER_SECONDS = 15.0
_worker_name = ""


def event_sender() -> EventSender | None:
    """Return what tells Flower of reports; None where nobody wants that, or the broker has no channels for us."""
    wanted = worker_settings().flower_events and app.conf.worker_send_task_events
    return _event_sender_of(os.getpid()) if wanted else None


@cache
def _event_sender_of(_pid: int) -> EventSender:
    # One for each process: prefork's children cannot use the thread of their parent.
    sender = EventSender(
        lambda: CeleryEvents(app, _worker_name),
        successes_per_second=worker_settings().flower_successes_per_second,
        counts=counts().told_flower,
        console_url=ingest_settings().console_url,
    )
    sender.start()
    return sender


def _make_delivery() -> Delivery:
    settings, ledger = worker_settings(), servers().async_ledger()
    roark = Roark(settings, Token.of(settings))
    return Delivery(
        ledger,
        roark,
        settings,
        events=event_sender(),
        counts=counts(),
        traces=traces(),
        fresh_audio=FreshAudio.wanted(vapi_settings(), ledger, lambda: time.time() * 1000),
    )


engine = Engine(_make_delivery)


class TickStep(bootsteps.StartStopStep):  # type: ignore[misc] # Celery has no types
    """Checks the promise and the token, then ticks, audits, alerts and serves metrics as long as the worker lives."""

    requires: ClassVar[set[str]] = {"celery.worker.components:Pool"}

    def __init__(self, worker: Any, **options: Any) -> None:
        self.rounds: list[Rounds] = []
        self.page: MetricsPage | None = None
        # Before the pool starts: prefork's children count in the same folder.
        with contextlib.suppress(ConfigurationError, OSError):
            metrics_folder()

    def start(self, worker: Any) -> None:
        """Refuse to start on a setting that cannot work; else begin to tick."""
        try:
            ledger = servers().ledger()
            _check(ledger)
        except (ConfigurationError, LedgerFault) as error:
            _refuse(error)
        self.rounds = [
            _tick(ledger),
            Remembering(ledger, servers().keeper(make_folder=True), ingest_settings()),
            Auditor(ledger, every_seconds=60 * worker_settings().audit_minutes),
            Alerter(ledger, worker_settings(), ingest_settings().data_dir, console_url=ingest_settings().console_url),
            Reconciler(ledger, vapi_settings(), ingest_settings(), worker_settings()),
            ReceiptLooker(ledger, worker_settings(), Token.of(worker_settings())),
        ]
        for one in self.rounds:
            one.start()
        self.page = _start_metrics_page(ledger)

    def stop(self, worker: Any) -> None:
        """Stop ticking and let the uploads end."""
        for one in reversed(self.rounds):
            one.stop()
        if self.rounds:
            _stop_engine()
        if self.page:
            self.page.stop()
            if not worker_settings().metrics_folder:
                shutil.rmtree(metrics_folder(), ignore_errors=True)

    terminate = stop


def _tick(ledger: Ledger) -> Tick:
    settings, events = worker_settings(), event_sender()
    return Tick(
        ledger,
        settings,
        wake=wake_ups().publish,
        is_draining=lambda: engine.is_draining,
        give_up=_start_anew,
        drain_unasked=engine.drain,
        wake_ups_heard=lambda: engine.asked,
        tell_poisoned=events.tell_poisoned if events else None,
        note_setup=SetupNotes(ledger, Token.of(settings), settings, ingest_settings(), worker=_worker_name).look,
        show_lane=LaneRow(ledger, events.tell_lane).look if events else lambda: None,
    )


def _stop_engine() -> None:
    engine.stop(worker_settings().shutdown_seconds)
    if events := event_sender():
        events.stop()


def _start_metrics_page(ledger: Ledger) -> MetricsPage | None:
    settings = worker_settings()
    if not counts().is_shared:
        return None
    page = MetricsPage(
        WorkerCollector(metrics_folder(), ledger, settings, wanted=1), settings.metrics_host, settings.metrics_port
    )
    page.start()
    return page


def _refuse(error: IngestError) -> NoReturn:
    event(logger, "worker_refused", level=logging.CRITICAL, error=str(error))
    sys.exit(EX_CONFIG)


def _check(ledger: Ledger) -> None:
    worker_settings().require_token()
    if vapi_settings().vapi_api_key:
        vapi_settings().require_key()
    traces()
    try:
        kept = keep(ingest_settings().durability, inspect(ledger.client))
        prove_ledger(ledger)
        event(logger, "worker_started", durability=kept.sentence, roark=worker_settings().upload_url)
    except LedgerUnavailable as error:
        # Redis may come later; what it cannot promise, the producers refuse.
        event(logger, "redis_away", level=logging.ERROR, error=str(error))


class _Amqp(AMQP):  # type: ignore[misc] # Celery has no types
    Connection = BrokerConnection


def _make_app() -> Celery:
    made = celery_app("roark", amqp=_Amqp)
    try:
        made.conf.update(celery_settings(servers().broker_url, servers().broker_setting))
    except ConfigurationError:
        # Importing this module must not fail; the worker's first step meets the same error, says it and ends.
        made.conf.update(task_ignore_result=True)
    made.conf.update(
        worker_pool="threads",
        worker_concurrency=1,
        worker_send_task_events=True,
        worker_redirect_stdouts=False,
        task_track_started=True,
        broker_pool_limit=4,
    )
    made.steps["worker"].add(TickStep)
    return made


app = _make_app()


# Flower shows reports, and counts them: a drain is no event, what it did is in the log.
@app.task(name=DELIVER_TASK, send_events=False)  # type: ignore[untyped-decorator] # Celery has no types
def deliver() -> str:
    """Deliver ready reports until none is left or the time budget is used up; return what was done."""
    engine.asked += 1
    summary = engine.drain()
    if summary is None:
        return "a drain is already running in this process"
    event(logger, "drained", level=logging.INFO if summary.claimed else logging.DEBUG, summary=summary.in_words())
    if summary.more:
        wake_ups().publish()
    return summary.in_words()


@signals.setup_logging.connect  # type: ignore[untyped-decorator] # Celery has no types
def _log_our_way(**_: Any) -> None:
    try:
        set_up_logging(ingest_settings().log_format, ingest_settings().log_level)
    except ConfigurationError:
        set_up_logging("console", "info")
    tell_gone_settings()
    # Celery's two lines for each message say less than the drain's own one.
    for name in ("celery.worker.strategy", "celery.app.trace"):
        logging.getLogger(name).setLevel(logging.WARNING)


@signals.celeryd_init.connect  # type: ignore[untyped-decorator] # Celery has no types
def _begin(sender: str, **_: Any) -> None:
    global _worker_name  # noqa: PLW0603 Celery says it here and, to prefork's children, nowhere else
    _worker_name = sender
    answer_little()
    # What root endangers is a worker that takes pickles from its broker. This one takes JSON without arguments.
    warnings.filterwarnings("ignore", category=SecurityWarning)


@signals.worker_init.connect  # type: ignore[untyped-decorator] # Celery has no types
def _prove_broker(sender: Any, **_: Any) -> None:
    """Refuse a broker that cannot do Celery's work. Here, because without channels the worker is built differently."""
    _log_our_way()
    try:
        proven = prove_broker(servers().broker_url, servers().broker_setting)
    except ConfigurationError as error:
        _refuse(error)
    except LedgerError as error:
        event(logger, "broker_away", level=logging.ERROR, error=str(error))
        return
    if proven.silent:
        # Celery would lose its connection over them once a second. The tick notices a consumer that stalls.
        event(logger, "no_channels", level=logging.WARNING, why=proven.silent, without="remote control, events, Flower")
        app.conf.update(worker_enable_remote_control=False, worker_send_task_events=False)
        sender.task_events = False
        sender.options.update(without_gossip=True, without_mingle=True, without_heartbeat=True)


@signals.celeryd_after_setup.connect  # type: ignore[untyped-decorator] # Celery has no types
def _be_quiet_about_lost_connections(**_: Any) -> None:
    # Five lines at each of them, about a default that celery_wiring.py sets on purpose.
    warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)


@signals.worker_ready.connect  # type: ignore[untyped-decorator] # Celery has no types
def _drain_on_hangup(**_: Any) -> None:
    # Celery would start itself anew, and give up what is in flight.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))


@signals.worker_shutting_down.connect  # type: ignore[untyped-decorator] # Celery has no types
def _begin_stop(**_: Any) -> None:
    _end_by_force_if_late()
    # Sent from a signal handler: the engine's lock may be held by the very thread that was interrupted.
    threading.Thread(target=engine.begin_stop, daemon=True).start()


def _start_anew() -> None:
    _end_by_force_if_late()
    os.kill(os.getpid(), signal.SIGTERM)


def _end_by_force_if_late() -> None:
    # Celery's own way down can hang after Redis was away. What is in hand then comes back by its lease.
    seconds = worker_settings().shutdown_seconds + _FORCE_AFTER_SECONDS
    late = threading.Timer(seconds, os._exit, (EX_SOFTWARE,))
    late.daemon = True
    late.start()


@signals.worker_process_shutdown.connect  # type: ignore[untyped-decorator] # Celery has no types
def _stop_child(**_: Any) -> None:
    # Only prefork's children get here; with threads the tick's step stops the engine.
    _stop_engine()
