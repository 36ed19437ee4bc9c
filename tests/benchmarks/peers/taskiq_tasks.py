"""taskiq on Redis streams, by id: `taskiq worker benchmarks.peers.taskiq_tasks:broker`."""

import asyncio
from collections.abc import Sequence
from functools import cache

import redis.asyncio
from taskiq import SmartRetryMiddleware
from taskiq_redis import RedisStreamBroker

from benchmarks.peers.async_client import post
from benchmarks.peers.common import REDIS_URL, keep

broker = RedisStreamBroker(url=REDIS_URL).with_middlewares(
    SmartRetryMiddleware(default_retry_count=20, default_delay=5, use_jitter=True, use_delay_exponent=True)
)


@cache
def server() -> redis.asyncio.Redis:
    return redis.asyncio.Redis.from_url(REDIS_URL)


@broker.task(retry_on_error=True)
async def upload(call_id: str) -> None:
    report = await server().get(f"report:{call_id}")
    await post(report)
    await server().delete(f"report:{call_id}")


def enqueue(reports: Sequence[tuple[str, bytes]]) -> None:
    asyncio.run(_enqueue(reports))


async def _enqueue(reports: Sequence[tuple[str, bytes]]) -> None:
    await broker.startup()
    for call_id, report in reports:
        keep([(call_id, report)])
        await upload.kiq(call_id)
    await broker.shutdown()
