"""arq: `arq benchmarks.peers.arq_tasks.Worker`. The report travels as the argument: arq keeps jobs apart by itself."""

import asyncio
from collections.abc import Sequence
from typing import Any, ClassVar

from arq import create_pool, func
from arq.connections import RedisSettings

from benchmarks.peers.async_client import post
from benchmarks.peers.common import REDIS_URL


async def upload(_: dict[str, Any], report: bytes) -> None:
    await post(report)


class Worker:
    functions: ClassVar[list[Any]] = [func(upload, keep_result=0, max_tries=20)]
    redis_settings = RedisSettings.from_dsn(REDIS_URL)
    max_jobs = 512
    poll_delay = 0.05


def enqueue(reports: Sequence[tuple[str, bytes]]) -> None:
    asyncio.run(_enqueue(reports))


async def _enqueue(reports: Sequence[tuple[str, bytes]]) -> None:
    pool = await create_pool(Worker.redis_settings)
    for call_id, report in reports:
        await pool.enqueue_job("upload", report, _job_id=call_id)
    await pool.aclose()
