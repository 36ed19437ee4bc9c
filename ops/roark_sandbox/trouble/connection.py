"""What can be done to a request besides answering it: silence, a reset, an answer that breaks off.

ASGI has no way to hang up, so `SandboxProtocol` hands the connection's transport to the application in the
scope. Each way of failing ends by waiting until the connection is gone: an ASGI application that returns
without an answer gets a 500 sent in its name, which would undo the fault.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import cast

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_EXTENSION = "roark.sandbox.connection"
# Linger on, for zero seconds: closing the socket then sends RST instead of FIN.
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class SandboxProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol with the transport within the application's reach."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {_EXTENSION: {"transport": self.transport}}


async def read_body(receive: Receive, max_bytes: int) -> bytes | None:
    """The whole body, or None when the client hung up before its end.

    Of a body above `max_bytes` only one byte too many is kept and the rest read and dropped: a client that is
    still writing when the answer comes may see a broken pipe in place of the answer.
    """
    chunks: list[bytes] = []
    room = max_bytes + 1
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunk: bytes = message.get("body", b"")[:room]
        room -= len(chunk)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def never_answer(receive: Receive) -> None:
    """Keeps the connection open and silent until the client hangs up."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def reset(scope: Scope, receive: Receive) -> None:
    """Resets the connection: the client's next read or write fails."""
    transport = _transport(scope)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()
    await never_answer(receive)


async def cut_short(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Sends the head with its full Content-Length, half of the body, and closes."""
    await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
    half = bytes(response.body)[: len(response.body) // 2]
    await send({"type": "http.response.body", "body": half, "more_body": True})
    _transport(scope).close()
    await never_answer(receive)


def _transport(scope: Scope) -> asyncio.Transport:
    return cast("asyncio.Transport", scope["extensions"][_EXTENSION]["transport"])
