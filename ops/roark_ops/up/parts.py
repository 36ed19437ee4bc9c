"""The parts of the pipeline as commands with their environments, and how each is seen to be ready.

Every part gets the environment of `up` itself, so that `.env` and every setting hold for it, without the secrets of
others; what `up` decided is put on top. In front of the sandbox the secrets and URLs of the real Roark and the real
Vapi are taken out of reach.
"""

import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from roark_ops.up.plan import LOOPBACK, UpPlan, log_of
from roark_ops.up.processes import Part
from roark_ops.up.server.embedded import EmbeddedServer, home_of
from roark_worker.process.supervisor import GRACE_SECONDS

ORDER_OF_THE_END = ("webhook", "worker", "sandbox", "flower", "console", "valkey")
SANDBOX_LATENCY_MS = 50
SANDBOX_JITTER_MS = 50
SANDBOX_TOKEN = "sandbox"  # noqa: S105 opens nothing
_SPARE_SECONDS = 10.0


_SECRETS = {
    "webhook": ("ROARK_INGEST_REDIS_URL", "ROARK_INGEST_BROKER_URL", "ROARK_INGEST_VAPI_SECRET"),
    "worker": (
        *("ROARK_INGEST_REDIS_URL", "ROARK_INGEST_BROKER_URL", "ROARK_API_BEARER_TOKEN"),
        *("VAPI_API_KEY", "ROARK_INGEST_ALERT_URL"),
    ),
    "flower": ("ROARK_INGEST_REDIS_URL", "ROARK_INGEST_BROKER_URL", "FLOWER_BASIC_AUTH"),
    "console": ("ROARK_INGEST_REDIS_URL", "ROARK_INGEST_BROKER_URL", "ROARK_INGEST_CONSOLE_PASSWORD"),
    "sandbox": (),
    "valkey": (),
}
"""What is secret in each part's environment, or stands in a file that it names."""


def without_others_secrets(name: str, base: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without what is secret and not this part's."""
    own = set(_SECRETS[name])
    others = {secret for secrets in _SECRETS.values() for secret in secrets} - own
    return {key: value for key, value in base.items() if key.removesuffix("_FILE") not in others}


def environment(plan: UpPlan, data_dir: Path, base: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment of the parts."""
    found = dict(base)
    home = home_of(data_dir, for_sandbox=plan.sandbox is not None)
    found |= {"ROARK_INGEST_DATA_DIR": str(home), "ROARK_INGEST_PREFIX": plan.prefix}
    # A log is written as things happen, and without boxes around an error.
    found |= {"PYTHONUNBUFFERED": "1", "TYPER_STANDARD_TRACEBACK": "1"}
    if plan.console_url:
        # Users and links are those of this folder, whichever ledger is looked at.
        found.setdefault("ROARK_INGEST_CONSOLE_USERS", str(data_dir / "console-users"))
        found.setdefault("ROARK_INGEST_CONSOLE_URL", plan.console_url)
    if plan.sandbox_url:
        for secret in ("ROARK_API_BEARER_TOKEN", "VAPI_API_KEY"):
            found.pop(f"{secret}_FILE", None)
            found[secret] = SANDBOX_TOKEN
        # Real calls, compared with the sandbox's, would all be missing, and could be brought in.
        found |= {"ROARK_BASE_URL": plan.sandbox_url, "VAPI_BASE_URL": plan.sandbox_url}
        # A proxy for the way out must not be asked for the way to this machine.
        for name in ("no_proxy", "NO_PROXY"):
            found[name] = ",".join(filter(None, (found.get(name), LOOPBACK)))
    return found


def server_part(server: EmbeddedServer, data_dir: Path, env: Mapping[str, str]) -> Part:
    """Return the embedded server. A large file takes long to read at the start."""
    return Part(
        name="valkey",
        command=server.command,
        log=log_of(data_dir, "valkey"),
        is_ready=lambda _: server.is_ready(),
        environment=server.environment(without_others_secrets("valkey", env)),
        end_seconds=60,
        start_seconds=600,
        # A last sync and a goodbye; SIGKILL would do no harm either.
        dies_by=signal.SIGTERM,
    )


def sandbox_part(plan: UpPlan, port: int, data_dir: Path, env: Mapping[str, str]) -> Part:
    """Return the stand-in for Roark."""
    arguments = ["--port", str(port), "--path", plan.upload_path]
    arguments += ["--latency-ms", str(SANDBOX_LATENCY_MS), "--jitter-ms", str(SANDBOX_JITTER_MS)]
    return _python_part(
        "sandbox", ["roark_sandbox", *arguments], data_dir, env, says="sandbox listening on ", end_seconds=5
    )


def worker_part(plan: UpPlan, data_dir: Path, env: Mapping[str, str], *, log_level: str) -> Part:
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


def webhook_part(plan: UpPlan, data_dir: Path, env: Mapping[str, str]) -> Part:
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


def flower_part(port: int, data_dir: Path, env: Mapping[str, str]) -> Part:
    """Return Flower, which is slow to start and needed by nobody to start."""
    # It saves what it has seen at once; whatever holds it up after that is not worth waiting for.
    part = _python_part(
        "flower", ["roark_ops.cli", "flower", "--port", str(port)], data_dir, env, says="", end_seconds=3
    )
    return replace(part, is_expendable=True)


def console_part(port: int, data_dir: Path, env: Mapping[str, str]) -> Part:
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
    env: Mapping[str, str],
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
        environment=without_others_secrets(name, env),
        end_seconds=end_seconds,
        ending=ending,
    )
