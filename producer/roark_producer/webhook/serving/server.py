"""Runs the webhook: one process per core, all on one port, kept alive, and a page with their metrics.

1. refuse settings that would leave the door open;
2. bind the sockets, so that a port in use is told at once and port 0 is known;
3. check the durability promise, the ledger and the broker. A server that cannot keep the promise ends the start; one
   that cannot be reached does not: the answer is 503, or the spool's, until it is there and was checked;
4. fork the processes (`process.py`) and the one that shows what they count (`page.py`). Forked, they share what is
   loaded, and a process that was killed is there again within a tenth of a second;
5. when all listen, say where, in one line that other programs wait for;
6. on SIGTERM, SIGINT or SIGHUP: listen no more, tell the processes, and return when they have finished the requests
   under way. When this process is killed, the kernel tells them.
"""

import contextlib
import gc
import logging
import os
import signal
import socket
import threading
from collections.abc import Sequence

from roark_ledger.errors import ConfigurationError, LedgerUnavailable
from roark_ledger.logs import event, set_up_logging
from roark_ledger.server.durability import inspect, keep
from roark_producer.gone_settings import tell_gone_settings
from roark_producer.process.children import Children, Running
from roark_producer.process.forked import Forked
from roark_producer.proving import prove_broker, prove_ledger
from roark_producer.servers import Servers
from roark_producer.settings import IngestSettings, WebhookSettings
from roark_producer.webhook.door.body import processes_with_room
from roark_producer.webhook.door.gate import gate_for, told_of_secrets
from roark_producer.webhook.door.open_gate import OpenGate
from roark_producer.webhook.metrics import COUNTED
from roark_producer.webhook.serving.board import Board, Cell
from roark_producer.webhook.serving.listening import address_of, listening
from roark_producer.webhook.serving.page import MetricsDoor, serve_page
from roark_producer.webhook.serving.process import SHUTDOWN_SECONDS, WebhookPlan, serve

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 0.05
_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 2.0
_PAGE_END_SECONDS = 1.0
_END_SECONDS = SHUTDOWN_SECONDS + 6  # with the last flush (3 s); a process that hangs is killed then


def run(ingest: IngestSettings, webhook: WebhookSettings) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP, and then return. To be called from the main thread.

    Prints `webhook listening on http://HOST:PORT/vapi` when it listens. Raises ConfigurationError when a setting
    is unsafe or the server cannot keep the durability promised, LedgerFault when Redis refuses us, OSError when
    the address cannot be bound.
    """
    set_up_logging(ingest.log_format, ingest.log_level)
    tell_gone_settings()
    gate = gate_for(webhook)
    servers = Servers(ingest)
    processes = webhook.webhook_processes or processes_with_room(len(os.sched_getaffinity(0)), ingest.max_report_bytes)
    with listening(webhook.webhook_host, webhook.webhook_port, processes) as listeners:
        _prove(servers)
        with MetricsDoor(webhook.webhook_metrics_host, webhook.webhook_metrics_port) as metrics:
            plan = WebhookPlan(ingest, webhook, gate, servers, Board(processes, COUNTED))
            _Webhook(plan, listeners, metrics).run()


class _Webhook:
    def __init__(self, plan: WebhookPlan, listeners: Sequence[socket.socket], metrics: MetricsDoor) -> None:
        self._plan = plan
        self._listeners = listeners
        self._metrics = metrics
        self._address = f"{address_of(listeners[0])}{plan.webhook.webhook_path}"
        self._processes = Children(
            "webhook",
            len(listeners),
            self._fork,
            first_pause_seconds=_PAUSE_SECONDS,
            longest_pause_seconds=_LONGEST_PAUSE_SECONDS,
        )
        self._page = Children("webhook_page", 1 if metrics.is_wanted else 0, self._fork_page)
        self._stop = threading.Event()

    def run(self) -> None:
        for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            # A terminal that is closed, or a service manager's reload, must not cut off what is under way; nohup
            # ignores it.
            if name is not signal.SIGHUP or signal.getsignal(name) is not signal.SIG_IGN:
                signal.signal(name, lambda *_: self._stop.set())
        gc.collect()
        gc.freeze()
        told = False
        refused = False
        while not self._stop.wait(_LOOK_SECONDS if told else _LOOK_SECONDS / 10):
            if not (self._processes.keep() and self._page.keep()):
                refused = True
                break
            if not told and all(self._plan.board.column(Cell.READY)):
                self._say_so()
                told = True
        for listener in self._listeners:
            listener.close()
        self._processes.end(_END_SECONDS)
        self._page.end(_PAGE_END_SECONDS)
        if refused:
            raise ConfigurationError("a process of the webhook refused its settings; the log says why")

    def _fork(self, number: int) -> Running:
        listener = self._listeners[number - 1]

        def main() -> None:
            # What the others listen on must not stay open here when they and the supervisor have closed it.
            self._metrics.close()
            for each in self._listeners:
                if each is not listener:
                    each.close()
            serve(self._plan, number, listener)

        self._plan.board.row(number)[Cell.READY] = 0
        return Forked(main)

    def _fork_page(self, _number: int) -> Running:
        def main() -> None:
            for each in self._listeners:
                each.close()
            serve_page(self._plan, self._metrics)

        return Forked(main)

    def _say_so(self) -> None:
        if isinstance(self._plan.gate, OpenGate):
            event(logger, "no_secret", level=logging.WARNING, hint="anyone on this machine can post reports")
        if told := told_of_secrets(self._plan.webhook):
            event(logger, "short_secrets", level=logging.WARNING, hint=told)
        print(f"webhook listening on {self._address}", flush=True)  # noqa: T201 other programs wait for this line


def _prove(servers: Servers) -> None:
    try:
        with contextlib.closing(servers.ledger()) as checking:
            keep(servers.settings.durability, inspect(checking.client))
            prove_ledger(checking)
        prove_broker(servers.broker_url, servers.broker_setting)
    except LedgerUnavailable as error:
        # It may come later. Reports are taken meanwhile, and the workers' tick wakes.
        event(logger, "unproven", level=logging.ERROR, error=str(error))
