"""dramatiq, by id, once with threads and once with asyncio: `dramatiq benchmarks.peers.dramatiq_tasks`."""

from collections.abc import Sequence
from functools import cache

import dramatiq
import httpx
import redis.asyncio
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware.asyncio import AsyncIO

from benchmarks.peers.async_client import post
from benchmarks.peers.common import HEADERS, REDIS_URL, UPLOAD_URL, done, keep, kept, upload_body

broker = RedisBroker(url=REDIS_URL)
broker.add_middleware(AsyncIO())
dramatiq.set_broker(broker)


@cache
def client() -> httpx.Client:
    return httpx.Client(headers=HEADERS, timeout=60, limits=httpx.Limits(max_connections=None))


@cache
def server() -> redis.asyncio.Redis:
    return redis.asyncio.Redis.from_url(REDIS_URL)


@dramatiq.actor(max_retries=20, min_backoff=5000)
def upload(call_id: str) -> None:
    client().post(UPLOAD_URL, content=upload_body(kept(call_id))).raise_for_status()
    done(call_id)


@dramatiq.actor(max_retries=20, min_backoff=5000)
async def upload_async(call_id: str) -> None:
    report = await server().get(f"report:{call_id}")
    await post(report)
    await server().delete(f"report:{call_id}")


def enqueue(reports: Sequence[tuple[str, bytes]]) -> None:
    for call_id, report in reports:
        keep([(call_id, report)])
        upload.send(call_id)


def enqueue_async(reports: Sequence[tuple[str, bytes]]) -> None:
    for call_id, report in reports:
        keep([(call_id, report)])
        upload_async.send(call_id)
