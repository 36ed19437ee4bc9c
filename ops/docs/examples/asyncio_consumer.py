"""A consumer on asyncio: many tasks share one AsyncProducer."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator

from roark_producer import AsyncProducer, LedgerUnavailable, Receipt


async def messages() -> AsyncIterator[bytes]:
    """Stands for your queue: one report on each line of standard input."""
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.buffer.readline):
        yield line


async def handle(producer: AsyncProducer, message: bytes) -> Receipt:
    while True:
        try:
            return await producer.submit(message, {"source": "queue"})
        except LedgerUnavailable:
            # The report may be stored or not. Acknowledge nothing and submit it again: repeats do no harm.
            await asyncio.sleep(1)


async def main() -> None:
    async with AsyncProducer.from_env() as producer, asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(handle(producer, message)) async for message in messages()]
    for task in running:
        receipt = task.result()
        print(json.dumps({"call_id": receipt.call_id, "result": receipt.result}))


if __name__ == "__main__":
    asyncio.run(main())
