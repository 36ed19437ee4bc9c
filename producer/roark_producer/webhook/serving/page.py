"""The webhook's `/metrics`: a port of its own, and a process of its own, so that who reads it slows no report.

The text is made at most once a second, however many ask; who asks meanwhile gets the one that is there. Where the port
is taken, it is tried again every few seconds, so that a new webhook takes over from the one that it replaces.
"""

import asyncio
import contextlib
import errno
import logging
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from roark_ledger.logs import event
from roark_producer.disk.segments import pending
from roark_producer.webhook.door.crowd import Crowd
from roark_producer.webhook.metrics import WebhookPage
from roark_producer.webhook.serving.board import Cell
from roark_producer.webhook.serving.listening import address_of, listening
from roark_producer.webhook.serving.process import HttpServer, WebhookPlan, ending_as_told
from roark_producer.webhook.serving.promises import promised

logger = logging.getLogger(__name__)

_TRY_AGAIN_SECONDS = 3.0
_PATIENCE_SECONDS = 10.0
_MOST_READERS = 256


class MetricsDoor:
    """The page's socket: bound at the start where that is possible, else as soon as it is."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._opened = contextlib.ExitStack()
        self.listener: socket.socket | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether there is to be a page."""
        return self._port != 0

    def open(self) -> bool:
        """Bind the socket; return whether it is bound."""
        if self.listener is None and self.is_wanted:
            try:
                self.listener = self._opened.enter_context(listening(self._host, self._port, 1))[0]
            except OSError as error:
                why = f"{error.strerror or errno.errorcode.get(error.errno or 0)}; it is tried again every few seconds"
                event(logger, "metrics_wait", level=logging.WARNING, host=self._host, port=self._port, why=why)
        return self.listener is not None

    def close(self) -> None:
        """Close it here."""
        self._opened.close()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def serve_page(plan: WebhookPlan, door: MetricsDoor) -> None:
    """Serve the page in this process until SIGTERM."""
    pause = threading.Event()
    while not door.open():
        pause.wait(_TRY_AGAIN_SECONDS)
    assert door.listener is not None  # noqa: S101 the loop has seen to it
    event(logger, "metrics_served", url=f"{address_of(door.listener)}/metrics")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(plan, door.listener))


async def _serve(plan: WebhookPlan, listener: socket.socket) -> None:
    ingest, webhook, board = plan.ingest, plan.webhook, plan.board
    page = WebhookPage(
        board.total,
        lambda: pending(ingest.spool_folder),
        spool_max_bytes=webhook.spool_max_bytes if webhook.spool else 0,
        processes=lambda: (int(sum(board.column(Cell.READY))), board.processes),
    )

    async with promised(plan.servers, is_quiet=True) as ledger:

        async def text() -> bytes:
            problem = await ledger.problem()
            return page.text(await ledger.snapshot(), refusal=problem.refusal if problem else "")

        cached = Cached(text, webhook.metrics_fresh_seconds)

        async def metrics(_request: Request) -> Response:
            return Response(await cached.get(), media_type=page.content_type)

        watching = asyncio.create_task(ledger.watch())
        try:
            with ending_as_told():
                app = Starlette(routes=[Route("/metrics", metrics)])
                await HttpServer(app, lambda: None, _PATIENCE_SECONDS, Crowd(_MOST_READERS)).serve(sockets=[listener])
        finally:
            watching.cancel()


class Cached:
    """Makes something once in so many seconds; whoever asks while it is made waits for that."""

    def __init__(self, make: Callable[[], Awaitable[bytes]], seconds: float) -> None:
        self._make = make
        self._seconds = seconds
        self._made = b""
        self._made_at = float("-inf")
        self._making = asyncio.Lock()

    async def get(self) -> bytes:
        """Return what is there, no older than that."""
        async with self._making:
            if time.monotonic() - self._made_at >= self._seconds:
                self._made = await self._make()
                self._made_at = time.monotonic()
        return self._made
