"""The pipeline of docker-compose.yml in a real engine, under a project name, ports and secrets of its own.

    with Stack(folder) as stack:
        stack.up("--build")
        stack.post(Load(...))

It works on a copy of what git knows of this repository, so that neither a developer's secrets nor what lies around
gets into an image.
"""

import json
import os
import shutil
import socket
import subprocess
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pipeline import wait_until

ROOT = Path(__file__).parents[2]
PORTS = ("WEBHOOK_PORT", "FLOWER_PORT", "SANDBOX_PORT", "PROMETHEUS_PORT", "GRAFANA_PORT")
PATIENCE_SECONDS = 180.0
BUILD_SECONDS = 900.0
ASK = """
import sys, urllib.request
method, path, body = sys.argv[1:]
request = urllib.request.Request("http://127.0.0.1:4010" + path, method=method, data=body.encode() or None)
sys.stdout.write(urllib.request.urlopen(request, timeout=30).read().decode())
"""


class Stack:
    """One `docker compose` project."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "repository"
        copy_repository(self.folder)
        self.ports = {name: str(free_port()) for name in PORTS}
        self.environment = {
            **os.environ,
            **self.ports,
            "COMPOSE_PROJECT_NAME": f"roark-ingest-test-{uuid.uuid4().hex[:8]}",
            "COMPOSE_PROFILES": "sandbox",
            "ROARK_BASE_URL": "http://sandbox:4010",
        }
        self.run("sh", "ops/docker/secrets.sh", ROARK_API_BEARER_TOKEN="docker-test-token-0123456789")
        self.secrets = {each.name: each.read_text("utf-8") for each in (self.folder / "secrets").iterdir()}

    def run(self, *command: str, check: bool = True, seconds: float = PATIENCE_SECONDS, **environment: str) -> str:
        """Run a command in the copy; return what it printed. Fails with all of it unless `check` is false."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert done.returncode == 0 or not check, (
            f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        return done.stdout

    def compose(self, *arguments: str, **options: Any) -> str:
        return self.run("docker", "compose", *arguments, **options)

    def up(self, *arguments: str) -> None:
        """Start what does not run, and return when all that has a health check is healthy."""
        self.compose(
            "up", "-d", "--wait", "--wait-timeout", str(round(PATIENCE_SECONDS)), *arguments, seconds=BUILD_SECONDS
        )

    def ingest(self, *arguments: str) -> Any:
        """Run `roark-ingest … --json` in the webhook's container; return its one document."""
        return json.loads(self.compose("exec", "-T", "webhook", "roark-ingest", *arguments, "--json"))

    def sandbox(self, path: str, *, method: str = "GET", body: str = "") -> Any:
        """Ask the sandbox, from its own container: it answers to nobody else."""
        answer = self.compose("exec", "-T", "sandbox", "python", "-c", ASK, method, path, body)
        return json.loads(answer) if answer else None

    def containers(self, service: str) -> list[dict[str, Any]]:
        """What the engine knows about a service's containers, ended ones included."""
        ids = self.compose("ps", "-a", "-q", service).split()
        found: list[dict[str, Any]] = json.loads(self.run("docker", "inspect", *ids)) if ids else []
        return found

    def wait_until(self, condition: Any, what: str) -> float:
        try:
            return wait_until(condition, what, PATIENCE_SECONDS)
        except AssertionError as error:
            logs = self.compose("logs", "--tail", "40", "--no-color", check=False)
            raise AssertionError(f"{error}\n{self.compose('ps', '-a', check=False)}\n{logs}") from None

    def url(self, port: str, path: str = "") -> str:
        return f"http://127.0.0.1:{self.ports[port]}{path}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "5", check=False)


def engine_answers() -> bool:
    """Whether there is a Docker engine, and the compose plugin."""
    try:
        return subprocess.run(["docker", "compose", "ls"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def copy_repository(to: Path) -> None:
    """Copy every file that git knows, or would take."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
