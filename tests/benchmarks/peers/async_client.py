"""The best HTTP client found for asyncio: httpx over reqwest, the product's own choice, given to the peers too."""

from functools import cache

import httpx
from pyreqwest.client import ClientBuilder
from pyreqwest.compatibility.httpx import HttpxTransport

from benchmarks.peers.common import HEADERS, UPLOAD_URL, upload_body


@cache
def client() -> httpx.AsyncClient:
    transport = HttpxTransport(ClientBuilder().pool_max_idle_per_host(1024).build())
    return httpx.AsyncClient(transport=transport, headers=HEADERS, timeout=None)


async def post(report: bytes) -> None:
    (await client().post(UPLOAD_URL, content=upload_body(report))).raise_for_status()
