"""Taking reports in over HTTP: accepts per second of CPU, with durable answers, and how long an answer takes.

The load comes from wrk, in its own process. Closed loop: each of its connections posts again when it is answered. How
long an answer takes below saturation is asked by an open loop (`paced.py`).
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.contenders import OUR_PYTHON, Contender
from benchmarks.processes import Group, wait_until
from benchmarks.servers import Valkey, free_port, is_listening, valkey
from benchmarks.terminator import terminator

HERE = Path(__file__).parent
CONNECTIONS = 32
BEHIND_NGINX = "one per core behind nginx, over TLS"
PER_SECOND = 300
PACED = f"one per core, {PER_SECOND} reports a second"
PACED_BEHIND_NGINX = f"{BEHIND_NGINX}, {PER_SECOND} reports a second"
LOAD_ALONE = "the load alone: nginx answers"
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


@contextmanager
def running(endpoint: Endpoint, server: Valkey, folder: Path) -> Iterator[tuple[Group, str]]:
    """Run an endpoint for as long as the block lasts; give its processes and where it takes reports."""
    port = str(free_port())
    env = Contender("", "ours", "", (), 0).environment(server.url, "http://127.0.0.1:1")
    env |= {"ROARK_INGEST_WEBHOOK_PORT": port, "ROARK_INGEST_VAPI_SECRET": "bench"}
    env |= {"ROARK_INGEST_WEBHOOK_METRICS_PORT": "0"}
    command = [endpoint.python, *(part.replace("$PORT", port) for part in endpoint.command)]
    with Group(command, env=env, log=folder / "web.log", cwd=folder) as web:
        wait_until(lambda: is_listening(int(port)), "the endpoint listens", 30)
        yield web, f"http://127.0.0.1:{port}/vapi"


def load(endpoint: Endpoint, pool: Path, *, seconds: float) -> dict[str, Any]:
    """Load one endpoint; CPU in ms per accepted report."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name, ExitStack() as stack:
        folder = Path(name)
        server = stack.enter_context(valkey(folder))
        web, url = stack.enter_context(running(endpoint, server, folder))
        found = _counted(url, pool, seconds, CONNECTIONS, web=web, redis=server.group)
        return {"name": endpoint.name, **found, "per_cpu_second": 1000 / (found["web_ms"] + found["redis_ms"])}


def webhook(way: str, pool: Path, *, seconds: float, connections: int) -> dict[str, Any]:
    """Load the webhook in that way."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name, ExitStack() as stack:
        folder = Path(name)
        if way == LOAD_ALONE:
            nginx = stack.enter_context(terminator(folder))
            return _counted(nginx.url, pool, seconds, connections, proxy=nginx.group)
        server = stack.enter_context(valkey(folder))
        processes = "1" if way == "one process" else "0"
        endpoint = Endpoint(way, ("-c", COMMAND, "webhook", "--port", "$PORT", "--processes", processes))
        web, url = stack.enter_context(running(endpoint, server, folder))
        groups = {"web": web, "redis": server.group}
        if way in {BEHIND_NGINX, PACED_BEHIND_NGINX}:
            nginx = stack.enter_context(terminator(folder, url))
            groups["proxy"], url = nginx.group, nginx.url
        paced = way in {PACED, PACED_BEHIND_NGINX}
        return _counted(url, pool, seconds, connections, paced=paced, **groups)


def _counted(
    url: str, pool: Path, seconds: float, connections: int, *, paced: bool = False, **groups: Group
) -> dict[str, Any]:
    def spent() -> dict[str, float]:
        none = dict.fromkeys(("web", "redis", "proxy"), 0.0)
        return none | {name: each.cpu_seconds() for name, each in groups.items()} | {"load": _ended_children()}

    if post(url, pool, 1, connections)["failed"]:
        logs = {name: each.log.read_text(errors="replace")[-2000:] for name, each in groups.items()}
        raise RuntimeError(f"{url} fails: {logs}")
    before = spent()
    # With a thousand connections the first round alone takes a second or two on a busy machine.
    longer = max(seconds, connections / 200)
    found = post_paced(url, pool, longer, connections) if paced else post(url, pool, longer, connections)
    after = spent()
    taken = found["requests"] - found["failed"]
    if not taken:
        raise RuntimeError(f"{url} answered nothing: {found}")
    return {
        "accepted": taken,
        "failed": found["failed"],
        "per_second": taken / found["seconds"],
        **{f"{name}_ms": (after[name] - before[name]) / taken * 1000 for name in after},
        "memory_mb": sum(each.pss_bytes() for name, each in groups.items() if name == "web") / 1e6,
        "p50_ms": found["p50_ms"],
        "p99_ms": found["p99_ms"],
    }


def _ended_children() -> float:
    # wrk's own CPU time: who makes the load takes it from who answers, on a machine with few cores.
    times = os.times()
    return times.children_user + times.children_system


def post(url: str, pool: Path, seconds: float, connections: int) -> dict[str, Any]:
    """Let wrk post the pool's reports; return what it says."""
    if not shutil.which("wrk"):
        raise RuntimeError("wrk is not installed (Debian: apt install wrk)")
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


def post_paced(url: str, pool: Path, seconds: float, connections: int) -> dict[str, Any]:
    """Post the pool's reports at a steady pace; return what came of it."""
    options = [f"--connections={connections}", f"--rate={PER_SECOND}", f"--seconds={seconds}", f"--pool={pool}"]
    command = [OUR_PYTHON, "-m", "benchmarks.paced", url, *options]
    env = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    found: dict[str, Any] = json.loads(subprocess.run(command, env=env, capture_output=True, check=True).stdout)
    return found
