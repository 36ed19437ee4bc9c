"""One run for all tests here: a webhook, two worker processes, the sandbox, 10 000 reports, and a Prometheus that
watches. Roark fails and refuses now and then, and for a while it is down; one worker process is killed.
"""

import asyncio
import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from pipeline import Pipeline, children_of, free_port, kill, wait_until

from prometheus import Prometheus, scraping
from roark_ledger.lifecycle import State

REPORTS = 10_000
PER_SECOND = 125
AT_ONCE = 32
SECRET = "a-long-secret"
DIES, DOWN, UP = REPORTS // 5, REPORTS * 2 // 5, REPORTS * 3 // 5
# No 503 and 429 among them: those mean overload, and the lane would slow down until they end.
USUAL = ["422:0.01", "500:0.02", "502:0.01"]


@dataclass(frozen=True)
class Run:
    """What was run and what watched it; `pages` are the texts of the /metrics pages by job."""

    prometheus: Prometheus
    line: Pipeline
    started: float
    ended: float
    pages: dict[str, str]


@contextmanager
def watched_run(folder: Path) -> Iterator[Run]:
    """Do the run; the block is its end, while Prometheus still answers."""
    # Audits every six seconds, because the run takes two minutes.
    with Pipeline(ROARK_INGEST_AUDIT_MINUTES="0.1", ROARK_INGEST_VAPI_SECRET=SECRET) as line:
        line.ledger.client.config_set("maxmemory", "2gb")
        roark = line.start_sandbox("--latency-ms", "30", "--jitter-ms", "20")
        roark.behave(fail=USUAL)
        webhook_port, worker_port = free_port(), free_port()
        arguments = ("-m", "roark_ops.cli", "webhook", "--port", "0")
        webhook = line.start("webhook", *arguments, ROARK_INGEST_WEBHOOK_METRICS_PORT=str(webhook_port))
        webhook.wait_for_line("webhook listening on ")
        url = httpx.URL(webhook.log.split("webhook listening on ")[1].split()[0])
        supervisor = line.start_supervisor(2, ROARK_INGEST_METRICS_PORT=str(worker_port))
        targets = {"roark-webhook": f"127.0.0.1:{webhook_port}", "roark-worker": f"127.0.0.1:{worker_port}"}

        def meanwhile(number: int) -> None:
            if number == DIES:
                kill(children_of(supervisor.pid)[0])
            elif number in {DOWN, UP}:
                roark.behave(fail=["500:1.0"] if number == DOWN else USUAL)

        with scraping(folder, free_port(), targets) as prometheus:
            started = time.time()
            asyncio.run(_post_all(str(url), meanwhile))
            line.wait_until_settled(240)
            wait_until(lambda: _has_seen_the_end(prometheus, line), "Prometheus has seen the end")
            pages = {job: httpx.get(f"http://{at}/metrics", trust_env=False).text for job, at in targets.items()}
            yield Run(prometheus, line, started, time.time(), pages)


def _has_seen_the_end(prometheus: Prometheus, line: Pipeline) -> bool:
    told = prometheus.now('min(roark_ingest_reports{state="delivered"})')
    return bool(told) and told[0].points[0][1] == line.count(State.DELIVERED)


async def _post_all(url: str, meanwhile: Callable[[int], None]) -> None:
    """Post reports at an even pace, as Vapi does, and what else comes to a webhook."""
    chance = random.Random(7)
    limits = httpx.Limits(max_connections=AT_ONCE)
    started = time.monotonic()
    async with httpx.AsyncClient(limits=limits, timeout=30, trust_env=False) as client, asyncio.TaskGroup() as posts:
        for number in range(REPORTS):
            await asyncio.sleep(max(0.0, started + number / PER_SECOND - time.monotonic()))
            await asyncio.to_thread(meanwhile, number)
            for body, secret in _sent(number, chance):
                posts.create_task(client.post(url, content=body, headers={"X-Vapi-Secret": secret}))


def _sent(number: int, chance: random.Random) -> Iterator[tuple[bytes, str]]:
    said = "".join(chance.choices("abcdefghij klmnop", k=chance.randint(200, 5000)))
    report = {"type": "end-of-call-report", "call": {"id": f"call-{number}"}, "artifact": {"transcript": said}}
    body = json.dumps({"message": report}).encode()
    yield body, SECRET
    if number % 50 == 0:
        yield body, SECRET
    if number % 40 == 0:
        yield json.dumps({"message": {"type": "status-update"}}).encode(), SECRET
    if number % 500 == 0:
        yield body, "a-wrong-secret"
        yield b"{}", SECRET
