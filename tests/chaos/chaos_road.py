"""A road to Redis that can be cut, and that can lead to another server from some moment on.

with Road(("127.0.0.1", 7001)) as road:
    road.cut()                        # what is under way gets no answer any more, and no hang-up
    road.lead_to(("127.0.0.1", 7002))     # new connections; those that are open stay where they are
"""

import asyncio
import threading
from types import TracebackType
from typing import Self


class Road:
    """Forwards connections to one port on this machine."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._passable = asyncio.Event()
        self._passable.set()
        # Of our own: tasks that wait for something that nobody else knows are taken away as garbage.
        self._never = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._forward, "127.0.0.1", 0)

    def cut(self) -> None:
        """Let nothing through in either direction; whoever is connected is not told."""
        self._loop.call_soon_threadsafe(self._passable.clear)

    def mend(self) -> None:
        """Let new connections through. Those from before the cut stay silent, as behind a router that forgot them."""
        self._loop.call_soon_threadsafe(self._forget)
        self._loop.call_soon_threadsafe(self._passable.set)

    def _forget(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()

    def lead_to(self, target: tuple[str, int]) -> None:
        """Lead new connections to another server."""
        self._target = target

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._passable.wait()
        there, back = await asyncio.open_connection(*self._target)
        both = [asyncio.create_task(self._pump(reader, back)), asyncio.create_task(self._pump(there, writer))]
        self._tasks.update(both)
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if any(task.cancelled() for task in both):
                # Forgotten: the sockets stay open, and nothing moves on them.
                await self._never.wait()
        except asyncio.CancelledError:
            return
        finally:
            for task in both:
                task.cancel()
            back.transport.abort()
            writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                await self._passable.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def _close(self) -> None:
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # Sockets that were given up are closed in the loop's next turn, and it has to have one.
        await asyncio.sleep(0)
