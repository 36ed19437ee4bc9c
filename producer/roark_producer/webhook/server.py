"""Runs the webhook: builds its parts, listens, and ends without losing what it said yes to.

1. refuse settings that would leave the door open;
2. bind the socket, so that a port in use is told at once and port 0 is known;
3. check the durability promise and say in one line how it is kept. A server that cannot keep it ends the start;
   one that cannot be reached does not: the answer is 503 until it is there and was checked. So it is with the
   broker: what is impossible there ends the start in words, what is away may come later;
4. serve on uvicorn, httptools and uvloop; say where, in one line that other programs wait for;
5. on SIGTERM, SIGINT or SIGHUP: listen no more, finish the requests under way (what takes longer is answered 503),
   flush the counts, and return.
"""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from dataclasses import dataclass
from types import FrameType

import uvicorn
import uvloop
from starlette.types import ASGIApp

from roark_ledger.errors import LedgerUnavailable
from roark_ledger.ledger import AfterWrite, AsyncLedger, Ledger
from roark_ledger.logs import event, set_up_logging
from roark_ledger.server.connection import connect_async
from roark_ledger.server.durability import Kept, inspect, keep
from roark_producer.disk.segments import pending
from roark_producer.disk.spool import Spool
from roark_producer.gone_settings import tell_gone_settings
from roark_producer.proving import prove_broker, prove_ledger
from roark_producer.servers import Servers
from roark_producer.settings import IngestSettings, WebhookSettings
from roark_producer.taking import Intake
from roark_producer.tracing import Traces
from roark_producer.webhook.accepting import GroupCommit
from roark_producer.webhook.app import create_app
from roark_producer.webhook.contract import document
from roark_producer.webhook.door.authentication import Gate
from roark_producer.webhook.door.connection import BoundedProtocol
from roark_producer.webhook.door.gate import gate_for, told_of_secrets
from roark_producer.webhook.door.open_gate import OpenGate
from roark_producer.webhook.metrics import WebhookMetrics
from roark_producer.webhook.promise import PromisedLedger
from roark_producer.webhook.promise_note import PromiseNote
from roark_producer.webhook.spool_note import SpoolNote
from roark_producer.webhook.spooling import Spooling
from roark_producer.webhook.tally import Tally
from roark_producer.webhook.waking import Waker

logger = logging.getLogger(__name__)

_KEEP_ALIVE_SECONDS = 75  # longer than load balancers keep idle connections (60 s), so that none meets a close
_SHUTDOWN_SECONDS = 6  # more than an accept may take (5 s); with the last flush, less than Docker waits (10 s)
_SLOW_SENDER_MARGIN_SECONDS = 2.0
_CANCEL_AGAIN_SECONDS = 0.5


def run(ingest: IngestSettings, webhook: WebhookSettings) -> None:
    """Serve until SIGTERM or SIGINT, and then return. To be called from the main thread.

    Prints `webhook listening on http://HOST:PORT/vapi` when it listens. Raises ConfigurationError when a setting
    is unsafe or the server cannot keep the durability promised, LedgerFault when Redis refuses us, OSError when
    the address cannot be bound.
    """
    set_up_logging(ingest.log_format, ingest.log_level)
    tell_gone_settings()
    gate = gate_for(webhook)
    servers = Servers(ingest)
    with _bound(webhook) as listener, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(ingest, webhook, gate, servers, listener))


async def _serve(
    ingest: IngestSettings, webhook: WebhookSettings, gate: Gate, servers: Servers, listener: socket.socket
) -> None:
    traces = Traces.wanted(ingest)
    async with _parts(ingest, webhook, servers) as parts:
        app = create_app(
            path=webhook.webhook_path,
            settings=ingest,
            body_seconds=webhook.webhook_body_seconds,
            gate=gate,
            ledger=parts.ledger,
            commit=parts.commit,
            tally=parts.tally,
            metrics=WebhookMetrics(
                lambda: pending(ingest.spool_folder),
                spool_max_bytes=webhook.spool_max_bytes if webhook.spool else 0,
            ),
            spooling=parts.spooling,
            traces=traces,
            note=parts.note,
            contract=document(webhook),
        )
        address = f"{_address(listener)}{webhook.webhook_path}"

        def say_so() -> None:
            if isinstance(gate, OpenGate):
                event(logger, "no_secret", level=logging.WARNING, hint="anyone on this machine can post reports")
            if told := told_of_secrets(webhook):
                event(logger, "short_secrets", level=logging.WARNING, hint=told)
            print(f"webhook listening on {address}", flush=True)  # noqa: T201 other programs wait for this line

        server = _Server(app, say_so, webhook.webhook_body_seconds + _SLOW_SENDER_MARGIN_SECONDS)
        with _ending_as_told():
            await server.serve(sockets=[listener])


@dataclass(frozen=True, slots=True)
class _Parts:
    ledger: PromisedLedger
    commit: GroupCommit
    tally: Tally
    spooling: Spooling | None
    note: PromiseNote


@contextlib.asynccontextmanager
async def _parts(ingest: IngestSettings, webhook: WebhookSettings, servers: Servers) -> AsyncIterator[_Parts]:
    """Build what outlives a request; at the end, flush and close it."""
    checking, client = servers.ledger(), connect_async(servers.url)

    def check() -> Kept:
        return keep(ingest.durability, inspect(checking.client))

    def make(after_write: AfterWrite) -> AsyncLedger:
        return servers.async_ledger(client, after_write)

    ledger = PromisedLedger(check, make)
    waker = Waker(servers.wake_ups().publish)
    tally = Tally(ledger)
    commit = GroupCommit(
        ledger, tally, revisions=ingest.revisions, reports_per_wakeup=ingest.reports_per_wakeup, wake=waker.wake
    )
    spooling = _spooling(ingest, webhook, commit)
    await ledger.check()
    if ledger.error is not None and not isinstance(ledger.error, LedgerUnavailable):
        raise ledger.error
    await _prove(servers, checking, ledger)
    note = PromiseNote(ledger, servers.keeper(make_folder=True), ingest.spool_folder)
    background = [asyncio.create_task(each) for each in (ledger.watch(), tally.run(), note.run())]
    if spooling:
        await spooling.prove()
        background.append(asyncio.create_task(spooling.run()))
        background.append(asyncio.create_task(spooling.keep_proving()))
        background.append(asyncio.create_task(SpoolNote(ledger, ingest.spool_folder, lambda: spooling.why).run()))
    try:
        yield _Parts(ledger, commit, tally, spooling, note)
    finally:
        await ended(background)
        if spooling:
            spooling.close()
        await tally.flush()
        await waker.aclose()
        await client.aclose()
        checking.close()


async def ended(tasks: Collection[asyncio.Task[None]]) -> None:
    """Cancel tasks until all have ended.

    Once is not enough: what is cancelled while redis-py hangs up, or while a check ends, may take that for a server
    that is away, and go on.
    """
    going_on = set(tasks)
    while going_on:
        for task in going_on:
            task.cancel()
        _, going_on = await asyncio.wait(going_on, timeout=_CANCEL_AGAIN_SECONDS)
    await asyncio.gather(*tasks, return_exceptions=True)


async def _prove(servers: Servers, checking: Ledger, ledger: PromisedLedger) -> None:
    try:
        if ledger.error is None:
            await asyncio.to_thread(prove_ledger, checking)
        await asyncio.to_thread(prove_broker, servers.broker_url, servers.broker_setting)
    except LedgerUnavailable as error:
        # It may come later. Reports are taken meanwhile, and the workers' tick wakes.
        event(logger, "unproven", level=logging.ERROR, error=str(error))


def _spooling(ingest: IngestSettings, webhook: WebhookSettings, commit: GroupCommit) -> Spooling | None:
    if not webhook.spool:
        return None
    spool = Spool(ingest.spool_folder, most_bytes=webhook.spool_max_bytes)
    return Spooling(spool, commit, Intake(ingest))


class _Server(uvicorn.Server):
    """uvicorn with a call when it listens, and a look at slow senders once a second."""

    def __init__(self, app: ASGIApp, on_listening: Callable[[], None], patience_seconds: float) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=BoundedProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="error",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
            )
        )
        self._on_listening = on_listening
        self._patience_seconds = patience_seconds

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        self._on_listening()

    async def on_tick(self, counter: int) -> bool:
        """Hang up on slow senders; uvicorn calls this ten times a second."""
        if counter % 10 == 0:
            for connection in tuple(self.server_state.connections):
                if isinstance(connection, BoundedProtocol):
                    connection.hang_up_if_slow(self._patience_seconds)
        return await super().on_tick(counter)


def _bound(webhook: WebhookSettings) -> socket.socket:
    host = webhook.webhook_host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Whoever says :: means every address of this machine, IPv4's as well.
    both = host == "::" and socket.has_dualstack_ipv6()
    return socket.create_server((host, webhook.webhook_port), family=family, backlog=2048, dualstack_ipv6=both)


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextlib.contextmanager
def _ending_as_told() -> Iterator[None]:
    # uvicorn raises the signal again when it is done; a webhook that was told to end has not failed, and has yet
    # to flush its counts.
    before = {each: signal.signal(each, _nothing_more) for each in (signal.SIGTERM, signal.SIGINT)}
    # A terminal that is closed, or a service manager's reload, must not cut off what is under way; nohup ignores it.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _nothing_more(_signal: int, _frame: FrameType | None) -> None:
    pass
