"""Runs the console: builds its parts, listens, says where, and ends when it is told to."""

import asyncio
import socket
from collections.abc import Callable

import uvicorn
import uvloop
from starlette.types import ASGIApp

from roark_ledger.logs import set_up_logging
from roark_ops.access import Access
from roark_ops.console.app import create_app
from roark_ops.console.backstage import backstage
from roark_ops.console.settings import ConsoleSettings

_KEEP_ALIVE_SECONDS = 75
# Event streams never end by themselves.
_SHUTDOWN_SECONDS = 2


def run(access: Access, settings: ConsoleSettings, *, me: str) -> None:
    """Serve until SIGTERM or SIGINT. To be called from the main thread.

    Prints `console listening on http://HOST:PORT/` when it listens. Raises ConfigurationError where anybody could come
    in, OSError where the address cannot be bound.
    """
    set_up_logging(access.settings.log_format, access.settings.log_level)
    stage = backstage(access, settings, me=me)
    with _bound(settings) as listener, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        address = f"{_address(listener)}{settings.console_path}/"

        def say_so() -> None:
            print(f"console listening on {address}", flush=True)  # noqa: T201 other programs wait for this line

        stage.live.start()
        try:
            runner.run(ConsoleServer(create_app(stage), say_so).serve(sockets=[listener]))
        finally:
            stage.live.stop()


class ConsoleServer(uvicorn.Server):
    """uvicorn with a call when it listens."""

    def __init__(self, app: ASGIApp, on_listening: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                # Not httptools, which is faster and takes headers without end from strangers: h11 takes 64 kB.
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="error",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
                limit_concurrency=1_000,
            )
        )
        self._on_listening = on_listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        self._on_listening()


def _bound(settings: ConsoleSettings) -> socket.socket:
    host = settings.console_host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    both = host == "::" and socket.has_dualstack_ipv6()
    return socket.create_server((host, settings.console_port), family=family, backlog=512, dualstack_ipv6=both)


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
