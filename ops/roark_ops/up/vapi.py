"""A pretended Vapi: posts made-up messages to the webhook as Vapi would, wrapped in `{"message": …}`, once each."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import httpx
import msgspec

from roark_samples import Sample

_AT_ONCE = 16
_PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Posted:
    """What the webhook said to one message.

    `result` is its own word, "ignored" where it took no notice of a message that is no report, and "failed" where
    it did not take a report in. `reason` is for a person.
    """

    call_id: str | None
    result: str
    reason: str = ""


async def post_all(
    url: str,
    samples: Iterable[Sample],
    *,
    headers: Mapping[str, str],
    per_second: float,
    told: Callable[[Posted], object],
) -> None:
    """Post the messages in order, up to 16 at once and `per_second` (0: as they are taken), telling each answer."""
    room = asyncio.Semaphore(_AT_ONCE)
    loop = asyncio.get_running_loop()
    started = loop.time()
    # This machine's webhook is never reached by way of a proxy.
    async with (
        httpx.AsyncClient(headers=dict(headers), timeout=_PATIENCE_SECONDS, trust_env=False) as client,
        asyncio.TaskGroup() as posts,
    ):

        async def post(sample: Sample) -> None:
            try:
                told(await _post(client, url, sample))
            finally:
                room.release()

        for number, sample in enumerate(samples):
            if per_second:
                await asyncio.sleep(started + number / per_second - loop.time())
            await room.acquire()
            posts.create_task(post(sample))


async def _post(client: httpx.AsyncClient, url: str, sample: Sample) -> Posted:
    try:
        answer = await client.post(url, content=sample.body(wrap=True), headers={"content-type": "application/json"})
    except httpx.HTTPError as error:
        return Posted(sample.call_id, "failed", type(error).__name__)
    return _read(sample.call_id, answer)


def _read(call_id: str | None, answer: httpx.Response) -> Posted:
    try:
        said = msgspec.json.decode(answer.content, type=dict[str, object])
    except msgspec.DecodeError:
        return Posted(call_id, "failed", f"HTTP {answer.status_code}")
    if answer.status_code == 200:
        return Posted(call_id, str(said.get("result", "ignored")))
    if answer.status_code == 422:
        return Posted(call_id, "rejected", f"{said.get('field')} {said.get('reason')}")
    return Posted(call_id, "failed", f"HTTP {answer.status_code} {said.get('reason', '')}".strip())
