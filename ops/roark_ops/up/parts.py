"""The parts of the pipeline as commands, and how each is seen to be ready. Their environments: `environments.py`."""

import signal
import sys
from dataclasses import replace
from pathlib import Path

from roark_ops.up.environments import Environments
from roark_ops.up.plan import LOOPBACK, UpPlan, log_of
from roark_ops.up.processes import Part
from roark_ops.up.server.embedded import EmbeddedServer
from roark_worker.process.supervisor import GRACE_SECONDS

ORDER_OF_THE_END = ("webhook", "worker", "sandbox", "flower", "console", "valkey")
SANDBOX_LATENCY_MS = 50
SANDBOX_JITTER_MS = 50
_SPARE_SECONDS = 10.0


def server_part(server: EmbeddedServer, data_dir: Path, env: Environments) -> Part:
    """Return the embedded server. A large file takes long to read at the start."""
    return Part(
        name="valkey",
        command=server.command,
        log=log_of(data_dir, "valkey"),
        is_ready=lambda _: server.is_ready(),
        environment=server.environment(env.of("valkey")),
        end_seconds=60,
        start_seconds=600,
        # A last sync and a goodbye; SIGKILL would do no harm either.
        dies_by=signal.SIGTERM,
    )


def sandbox_part(plan: UpPlan, port: int, data_dir: Path, env: Environments) -> Part:
    """Return the stand-in for Roark."""
    arguments = ["--port", str(port), "--path", plan.upload_path]
    arguments += ["--latency-ms", str(SANDBOX_LATENCY_MS), "--jitter-ms", str(SANDBOX_JITTER_MS)]
    return _python_part(
        "sandbox", ["roark_sandbox", *arguments], data_dir, env, says="sandbox listening on ", end_seconds=5
    )


def worker_part(plan: UpPlan, data_dir: Path, env: Environments, *, log_level: str) -> Part:
    """Return the worker: the supervisor, with a process for each core."""
    # What a quieter log leaves out cannot be waited for.
    says = "worker_started" if log_level in {"debug", "info"} else ""
    return _python_part(
        "worker",
        ["roark_ops.cli", "worker"],
        data_dir,
        env,
        says=says,
        end_seconds=plan.drain_seconds + GRACE_SECONDS + _SPARE_SECONDS,
        ending="finishing uploads",
    )


def webhook_part(plan: UpPlan, data_dir: Path, env: Environments) -> Part:
    """Return the webhook."""
    arguments = ["--host", plan.webhook_host, "--port", str(plan.webhook.number)]
    return _python_part(
        "webhook",
        ["roark_ops.cli", "webhook", *arguments],
        data_dir,
        env,
        says="webhook listening on ",
        end_seconds=20,
        ending="accepting no new requests, finishing open ones",
    )


def flower_part(port: int, data_dir: Path, env: Environments) -> Part:
    """Return Flower, which is slow to start and needed by nobody to start."""
    # It saves what it has seen at once; whatever holds it up after that is not worth waiting for.
    part = _python_part(
        "flower", ["roark_ops.cli", "flower", "--port", str(port)], data_dir, env, says="", end_seconds=3
    )
    return replace(part, is_expendable=True)


def console_part(port: int, data_dir: Path, env: Environments) -> Part:
    """Return the console, which nothing waits for."""
    arguments = ["--host", LOOPBACK, "--port", str(port)]
    part = _python_part(
        "console", ["roark_ops.cli", "console", *arguments], data_dir, env, says="console listening on ", end_seconds=5
    )
    return replace(part, is_expendable=True)


def _python_part(
    name: str,
    module: list[str],
    data_dir: Path,
    env: Environments,
    *,
    says: str,
    end_seconds: float,
    ending: str = "",
) -> Part:
    async def command() -> list[str]:
        return [sys.executable, "-m", *module]

    return Part(
        name=name,
        command=command,
        log=log_of(data_dir, name),
        is_ready=lambda said: says in said,
        environment=env.of(name),
        end_seconds=end_seconds,
        ending=ending,
    )
