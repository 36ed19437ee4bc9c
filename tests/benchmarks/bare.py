"""The bare limit: one asyncio loop, the product's HTTP client, the simplest scripts for claim and settle.

    python -m benchmarks.bare

No Celery, no ledger rules, no history, no events, no logs, no renewal of leases, no breaker: what is left when
everything that is a promise is left out, but for a lease and a payload that outlives its upload.
"""

import asyncio
import gc
import os
from collections.abc import Sequence
from typing import Any

import redis.asyncio
import uvloop

from roark_ledger.packing import pack, unpack
from roark_worker.settings import WorkerSettings
from roark_worker.upload.carrier import OverReqwest
from roark_worker.upload.roark import upload_body

IN_FLIGHT = 512
BATCH = 64
CLAIM = """
local ids = redis.call('LPOP', KEYS[1], ARGV[1])
if not ids then return {} end
local time = redis.call('TIME')[1]
local leases = {}
for i, id in ipairs(ids) do leases[2 * i - 1] = time + 15; leases[2 * i] = id end
redis.call('ZADD', KEYS[3], unpack(leases))
return { ids, redis.call('HMGET', KEYS[2], unpack(ids)) }
"""
SETTLE = """
redis.call('HDEL', KEYS[1], unpack(ARGV))
redis.call('ZREM', KEYS[2], unpack(ARGV))
return redis.call('SADD', KEYS[3], unpack(ARGV))
"""


class Bare:
    """Claims, uploads, settles."""

    def __init__(self) -> None:
        server = redis.asyncio.Redis.from_url(os.environ["BENCH_REDIS_URL"])
        self._claim = server.register_script(CLAIM)
        self._settle = server.register_script(SETTLE)
        # With few collections, as in the product: else it would be no limit.
        gc.freeze()
        gc.set_threshold(20_000)
        self._carrier = OverReqwest(WorkerSettings(_env_file=None, max_in_flight=IN_FLIGHT))
        self._headers = {"authorization": "Bearer bench-token", "content-type": "application/json"}
        self._in_flight = 0
        self._done: list[bytes] = []

    async def run(self) -> None:
        while True:
            if self._in_flight > IN_FLIGHT - BATCH or not await self._start_some():
                await asyncio.sleep(0.005)
            if self._done:
                done, self._done = self._done, []
                await self._settle(keys=["bare:payloads", "bare:leases", "bare:done"], args=done)

    async def _start_some(self) -> int:
        found = await self._claim(keys=["bare:ready", "bare:payloads", "bare:leases"], args=[BATCH])
        ids, payloads = found or ((), ())
        self._in_flight += len(ids)
        for call_id, packed in zip(ids, payloads, strict=True):
            asyncio.create_task(self._upload(call_id, packed))  # noqa: RUF006 the client holds what is in flight
        return len(ids)

    async def _upload(self, call_id: bytes, packed: bytes) -> None:
        body = upload_body(unpack(packed), revision=False)
        answer = await self._carrier.post(self._headers, body, "vapi")
        assert answer.status == 200, answer.status
        self._in_flight -= 1
        self._done.append(call_id)


def enqueue(reports: Sequence[tuple[str, bytes]]) -> None:
    server: Any = redis.Redis.from_url(os.environ["BENCH_REDIS_URL"])
    server.hset("bare:payloads", mapping={call_id: pack(report) for call_id, report in reports})
    server.rpush("bare:ready", *(call_id for call_id, _ in reports))


if __name__ == "__main__":
    uvloop.run(Bare().run())
