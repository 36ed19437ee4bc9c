"""Taking reports in over HTTP: accepts per second of CPU, with durable answers, and how long an answer takes.

The load comes from wrk, in its own process. Closed loop: each of its connections posts again when it is answered.
"""

import json
import os
import shutil
import subprocess
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.contenders import OUR_PYTHON, Contender
from benchmarks.processes import Group, wait_until
from benchmarks.servers import free_port, is_listening, valkey

HERE = Path(__file__).parent
CONNECTIONS = 32
COMMAND = "from roark_ops.cli import main; main()"


@dataclass(frozen=True)
class Endpoint:
    """A web server under load."""

    name: str
    command: tuple[str, ...]
    python: str = OUR_PYTHON


def endpoints(peers: Path) -> list[Endpoint]:
    """All that are compared."""
    fastapi = "-m uvicorn benchmarks.peers.fastapi_endpoint:app --loop uvloop --http httptools --no-access-log"
    return [
        Endpoint("roark-ingest webhook", ("-c", COMMAND, "webhook", "--port", "$PORT")),
        Endpoint("the same, answering without Redis", ("-m", "benchmarks.webhook_without_redis")),
        Endpoint(
            "FastAPI, pydantic, apply_async with the report",
            (*fastapi.split(), "--log-level", "warning", "--port", "$PORT"),
            str(peers / "main/bin/python"),
        ),
    ]


def load(endpoint: Endpoint, pool: Path, *, seconds: float, connections: int = CONNECTIONS) -> dict[str, Any]:
    """Load one endpoint; CPU in ms per accepted report."""
    if not shutil.which("wrk"):
        raise RuntimeError("wrk is not installed (Debian: apt install wrk)")
    with tempfile.TemporaryDirectory(prefix="bench-") as name, ExitStack() as stack:
        folder = Path(name)
        server = stack.enter_context(valkey(folder))
        port = str(free_port())
        env = Contender("", "ours", "", (), 0).environment(server.url, "http://127.0.0.1:1")
        env |= {"ROARK_INGEST_WEBHOOK_PORT": port, "ROARK_INGEST_VAPI_SECRET": "bench"}
        env |= {"ROARK_INGEST_WEBHOOK_METRICS_PORT": "0"}
        command = [endpoint.python, *(part.replace("$PORT", port) for part in endpoint.command)]
        web = stack.enter_context(Group(command, env=env, log=folder / "web.log", cwd=folder))
        url = f"http://127.0.0.1:{port}/vapi"
        wait_until(lambda: is_listening(int(port)), "the endpoint listens", 30)
        if _wrk(url, pool, 1, connections)["failed"]:
            raise RuntimeError(f"{endpoint.name} fails: {web.log.read_text()[-2000:]}")
        before = web.cpu_seconds(), server.group.cpu_seconds(), _ended_children()
        found = _wrk(url, pool, seconds, connections)
        after = web.cpu_seconds(), server.group.cpu_seconds(), _ended_children()
        memory = web.pss_bytes()
    taken = found["requests"] - found["failed"]
    web_ms, redis_ms, load_ms = ((late - early) / taken * 1000 for early, late in zip(before, after, strict=True))
    return {
        "name": endpoint.name,
        "accepted": taken,
        "failed": found["failed"],
        "per_second": taken / found["seconds"],
        "web_ms": web_ms,
        "redis_ms": redis_ms,
        "load_ms": load_ms,
        "memory_mb": memory / 1e6,
        "per_cpu_second": 1000 / (web_ms + redis_ms),
        "p50_ms": found["p50_ms"],
        "p99_ms": found["p99_ms"],
    }


def _ended_children() -> float:
    # wrk's own CPU time: who makes the load takes it from who answers, on a machine with few cores.
    times = os.times()
    return times.children_user + times.children_system


def _wrk(url: str, pool: Path, seconds: float, connections: int) -> dict[str, Any]:
    options = ["wrk", "-t", "1", "-c", str(connections), "-d", f"{max(1, round(seconds))}s"]
    done = subprocess.run(
        [*options, "--latency", "--timeout", "20s", "--script", str(HERE / "wrk.lua"), url, "--", str(pool)],
        capture_output=True,
        text=True,
        check=False,
    )
    told = next((line[5:] for line in done.stdout.splitlines() if line.startswith("JSON ")), None)
    if told is None:
        raise RuntimeError(f"wrk: {done.stderr[-500:]} {done.stdout[-500:]}")
    found: dict[str, Any] = json.loads(told)
    return found
