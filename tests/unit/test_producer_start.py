"""A program that imports the producer waits for nothing that it may not need: redis-py and pydantic come later."""

import json
import subprocess
import sys

LATER = {
    "asyncio",
    "celery",
    "kombu",
    "redis",
    "pydantic",
    "pydantic_settings",
    "httpx",
    "opentelemetry",
    "uvicorn",
    "typer",
}


def loaded_by(program: str) -> set[str]:
    told = "import json, sys; print(json.dumps(sorted(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", f"{program}\n{told}"], capture_output=True, check=True, timeout=60)
    return set(json.loads(ended.stdout))


def test_importing_the_producer_loads_no_client_and_no_settings() -> None:
    assert loaded_by("from roark_producer import Producer, Receipt, Result") & LATER == set()


def test_importing_the_asynchronous_one_adds_asyncio_only() -> None:
    assert loaded_by("from roark_producer import AsyncProducer") & LATER == {"asyncio"}


def test_a_producer_that_wakes_workers_needs_no_celery() -> None:
    program = """
from roark_producer.servers import Servers
from roark_producer.settings import IngestSettings
wake_ups = Servers(IngestSettings(_env_file=None, redis_url="redis://127.0.0.1:9")).wake_ups()
assert wake_ups.publish() is False
"""
    assert loaded_by(program) & {"celery", "kombu", "httpx", "typer"} == set()
