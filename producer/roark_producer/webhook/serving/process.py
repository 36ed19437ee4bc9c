"""One of the webhook's processes: builds its parts, serves, and ends without losing what it said yes to.

1. build what outlives a request; the durability promise is checked before the first yes (`promise.py`);
2. serve on uvicorn, httptools and uvloop, on the socket that was bound before this process was forked;
3. on SIGTERM: listen no more, finish the requests under way (what takes longer is answered 503), flush the counts,
   and return.
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

from roark_ledger.logs import event
from roark_producer.memory import usable_memory
from roark_producer.servers import Servers
from roark_producer.settings import IngestSettings, WebhookSettings
from roark_producer.taking import Intake
from roark_producer.tracing import Traces
from roark_producer.webhook.accepting import GroupCommit
from roark_producer.webhook.app import create_app
from roark_producer.webhook.contract import document
from roark_producer.webhook.door.authentication import Gate
from roark_producer.webhook.door.connection import BoundedProtocol, CrowdConfig
from roark_producer.webhook.door.crowd import Crowd, room_for_connections
from roark_producer.webhook.metrics import WebhookMetrics
from roark_producer.webhook.promise import PromisedLedger
from roark_producer.webhook.promise_note import PromiseNote
from roark_producer.webhook.serving.board import Board, Cell
from roark_producer.webhook.serving.promises import promised
from roark_producer.webhook.spool_note import SpoolNote
from roark_producer.webhook.spools import Spools
from roark_producer.webhook.tally import Tally
from roark_producer.webhook.waking import Waker

logger = logging.getLogger(__name__)

_KEEP_ALIVE_SECONDS = 75  # longer than load balancers keep idle connections (60 s), so that none meets a close
SHUTDOWN_SECONDS = 6  # more than an accept may take (5 s); with the last flush, less than Docker waits (10 s)
_SLOW_SENDER_MARGIN_SECONDS = 2.0
_CANCEL_AGAIN_SECONDS = 0.5
_TELL_OF_CROWD_TICKS = 50


@dataclass(frozen=True, slots=True)
class WebhookPlan:
    """What all processes of a webhook have in common, from before they are forked."""

    ingest: IngestSettings
    webhook: WebhookSettings
    gate: Gate
    servers: Servers
    board: Board


def serve(plan: WebhookPlan, number: int, listener: socket.socket) -> None:
    """Serve as the process of this number until SIGTERM, and then return. To be called from the main thread."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(plan, number, listener))


async def _serve(plan: WebhookPlan, number: int, listener: socket.socket) -> None:
    ingest, webhook, board = plan.ingest, plan.webhook, plan.board
    traces = Traces.wanted(ingest)
    async with _parts(plan, number) as parts:
        app = create_app(
            path=webhook.webhook_path,
            settings=ingest,
            body_seconds=webhook.webhook_body_seconds,
            gate=plan.gate,
            ledger=parts.ledger,
            commit=parts.commit,
            tally=parts.tally,
            metrics=WebhookMetrics(board.counts(number)),
            spooling=parts.spools,
            traces=traces,
            note=parts.note,
            contract=document(webhook),
            usable_bytes=usable_memory() // board.processes,
        )

        def is_ready() -> None:
            board.row(number)[Cell.READY] = 1

        crowd = Crowd(room_for_connections(usable_memory() // board.processes))
        server = HttpServer(app, is_ready, webhook.webhook_body_seconds + _SLOW_SENDER_MARGIN_SECONDS, crowd)
        with ending_as_told():
            await server.serve(sockets=[listener])


@dataclass(frozen=True, slots=True)
class _Parts:
    ledger: PromisedLedger
    commit: GroupCommit
    tally: Tally
    spools: Spools | None
    note: PromiseNote


@contextlib.asynccontextmanager
async def _parts(plan: WebhookPlan, number: int) -> AsyncIterator[_Parts]:
    """Build what outlives a request; at the end, flush and close it."""
    ingest, servers = plan.ingest, plan.servers
    # One of the processes tells what all of them see.
    async with promised(servers, is_quiet=number > 1) as ledger:
        waker = Waker(servers.wake_ups().publish)
        tally = Tally(ledger)
        commit = GroupCommit(
            ledger, tally, revisions=ingest.revisions, reports_per_wakeup=ingest.reports_per_wakeup, wake=waker.wake
        )
        spools = _spools(plan, commit, number)
        await ledger.check()
        note = PromiseNote(ledger, servers.keeper(make_folder=True), ingest.spool_folder)
        background = [asyncio.create_task(each) for each in (ledger.watch(), tally.run(), note.run())]
        if spools:
            await spools.prove()
            background.append(asyncio.create_task(spools.run()))
            background.append(asyncio.create_task(spools.keep_proving()))
            if number == 1:
                background.append(asyncio.create_task(SpoolNote(ledger, ingest.spool_folder, lambda: spools.why).run()))
            await spools.until_looked()
        try:
            yield _Parts(ledger, commit, tally, spools, note)
        finally:
            await ended(background)
            if spools:
                spools.close()
            await tally.flush()
            await waker.aclose()


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


def _spools(plan: WebhookPlan, commit: GroupCommit, number: int) -> Spools | None:
    if not plan.webhook.spool:
        return None
    return Spools(
        plan.ingest.spool_folder,
        most_bytes=plan.webhook.spool_max_bytes,
        commit=commit,
        intake=Intake(plan.ingest),
        board=plan.board,
        number=number,
    )


class HttpServer(uvicorn.Server):
    """uvicorn with a call when it listens, a look at slow senders once a second, and a bound on connections."""

    def __init__(self, app: ASGIApp, on_listening: Callable[[], None], patience_seconds: float, crowd: Crowd) -> None:
        super().__init__(
            CrowdConfig(
                app,
                crowd,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="error",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=SHUTDOWN_SECONDS,
            )
        )
        self._on_listening = on_listening
        self._patience_seconds = patience_seconds
        self._crowd = crowd
        self._told_of = 0

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
        if counter % _TELL_OF_CROWD_TICKS == 0 and (left := self._crowd.left - self._told_of):
            self._told_of += left
            event(logger, "connections_crowded", level=logging.WARNING, closed=left, most=self._crowd.most)
        return await super().on_tick(counter)


@contextlib.contextmanager
def ending_as_told() -> Iterator[None]:
    """Take SIGTERM and SIGINT for what they are in the block: uvicorn ends by them, and this process goes on."""
    # uvicorn raises the signal again when it is done; a webhook that was told to end has not failed, and has yet
    # to flush its counts.
    before = {each: signal.signal(each, _nothing_more) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _nothing_more(_signal: int, _frame: FrameType | None) -> None:
    pass
