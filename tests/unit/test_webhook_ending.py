"""How the webhook ends what runs beside its requests."""

import asyncio
import contextlib

from roark_producer.webhook.serving.process import ended


def test_a_task_that_takes_its_end_for_an_outage_is_told_again() -> None:
    told = 0

    async def looks_every_second() -> None:
        nonlocal told
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                told += 1
                if told == 2:
                    raise

    async def goes_wrong() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
        raise OSError

    async def run() -> list[bool]:
        tasks = [asyncio.create_task(each) for each in (looks_every_second(), goes_wrong())]
        await asyncio.sleep(0)
        async with asyncio.timeout(30):
            await ended(tasks)
            await ended([])
        return [task.done() for task in tasks]

    assert asyncio.run(run()) == [True, True]
