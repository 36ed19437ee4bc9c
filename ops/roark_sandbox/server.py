"""Running the sandbox: one process, one loop, or one thread beside a test.

1. bind the socket first, so that port 0 is known and nothing is refused between the line and the listening;
2. say where it listens, in one line that other programs wait for;
3. serve until a signal, or until the `with` block of `background` ends;
4. hang up on everybody: a request that is never answered must not hold up the end.
"""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn

from roark_sandbox.app import create_app
from roark_sandbox.options import SandboxOptions
from roark_sandbox.trouble.connection import SandboxProtocol

__all__ = ["SandboxOptions", "background", "run"]

_START_SECONDS = 10


def run(options: SandboxOptions, *, as_json: bool = False) -> None:
    """Serves until SIGINT or SIGTERM and then returns. Prints `sandbox listening on http://HOST:PORT` once it does.

    As JSON that line is `{"listening": "http://HOST:PORT"}`.

    Raises ValueError for a wrong fault or scenario, and OSError when the address cannot be bound. To be called
    from the main thread; elsewhere `background` is the way.
    """
    with _bound(options) as listener:
        url = _url(listener)
        line = json.dumps({"listening": url}) if as_json else f"sandbox listening on {url}"
        server = _Server(options, lambda: print(line, flush=True))  # noqa: T201 others wait for this line
        # uvicorn raises the signal again when it is done; a sandbox that was told to end has not failed.
        signal.signal(signal.SIGTERM, _ended_as_told)
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listener])


@contextlib.contextmanager
def background(options: SandboxOptions) -> Iterator[str]:
    """Serves from a thread while the block runs; yields the base URL. Raises as `run` does."""
    with _bound(options) as listener:
        url = _url(listener)
        listening = threading.Event()
        server = _Server(options, listening.set)
        thread = threading.Thread(target=server.run, args=([listener],), name="sandbox", daemon=True)
        thread.start()
        try:
            if not listening.wait(_START_SECONDS):
                raise RuntimeError(f"the sandbox at {url} did not start within {_START_SECONDS} s")
            yield url
        finally:
            server.should_exit = True
            thread.join()


class _Server(uvicorn.Server):
    """uvicorn without its log lines, with a call when it listens and no patience when it ends."""

    def __init__(self, options: SandboxOptions, on_listening: Callable[[], object]) -> None:
        super().__init__(
            uvicorn.Config(
                create_app(options, time.monotonic),
                loop="uvloop",
                http=SandboxProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                # Longer than clients keep idle connections, so that none meets a close it did not ask for.
                timeout_keep_alive=120,
                timeout_graceful_shutdown=1,
            )
        )
        self._on_listening = on_listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_listening()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for connection in tuple(self.server_state.connections):
            connection.transport.close()
        await super().shutdown(sockets)


def _bound(options: SandboxOptions) -> socket.socket:
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    both = options.host == "::" and socket.has_dualstack_ipv6()
    return socket.create_server((options.host, options.port), family=family, backlog=2048, dualstack_ipv6=both)


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _ended_as_told(_signal: int, _frame: FrameType | None) -> None:
    pass
