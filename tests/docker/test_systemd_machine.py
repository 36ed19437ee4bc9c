"""ops/systemd on a machine with systemd: installed line by line as the page says, and parts of it killed."""

import hashlib
import json
import random
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chaos.chaos_load import Sent, reports
from docs.console import commands
from pipeline import wait_until
from stack import ASK, BUILD_SECONDS, PATIENCE_SECONDS, ROOT, copy_repository, engine_answers

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1200)]

IMAGE = "roark-ingest-test-machine"
# What systemd needs to be a machine's first process, and no more of this machine than that.
AS_A_MACHINE = ["--cap-add=SYS_ADMIN", "--cap-add=NET_ADMIN", "--cap-add=SYS_PTRACE", "--cgroupns=host"]
AS_A_MACHINE += ["--security-opt=seccomp=unconfined", "--security-opt=apparmor=unconfined", "--env=container=docker"]
AS_A_MACHINE += ["--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw"]
INGEST = "/opt/roark-ingest/bin/roark-ingest"
POST = """
import sys, urllib.request
secret = open("/etc/roark-ingest/secrets/vapi_secret").read()
for body in sys.stdin.buffer:
    url, headers = "http://127.0.0.1:8787/vapi", {"x-vapi-secret": secret}
    assert urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30).status == 200
"""


class Machine:
    """A container that systemd runs."""

    def __init__(self, folder: Path) -> None:
        self.name = f"roark-ingest-test-{uuid.uuid4().hex[:8]}"
        docker("build", "-q", "-t", IMAGE, "-f", str(ROOT / "tests/docker/machine.Dockerfile"), str(folder))
        docker("run", "-d", "--name", self.name, *AS_A_MACHINE, IMAGE)
        docker("cp", str(folder), f"{self.name}:/src")
        wait_until(lambda: "running" in self.sh("systemctl is-system-running", check=False), "systemd has started", 60)
        self.sh(
            "mkdir -p /etc/roark-ingest && echo ROARK_BASE_URL=http://127.0.0.1:4010 > /etc/roark-ingest/environment"
        )

    def sh(self, line: str, *, stdin: bytes = b"", check: bool = True) -> str:
        """Run a line in the repository's folder, as root."""
        return docker("exec", "-i", "-w", "/src", self.name, "sh", "-c", line, stdin=stdin, check=check)

    def follow(self, page: str, block: str) -> None:
        """Run the lines of a page's block, which is found by a word that is in it."""
        lines = [one.line for one in commands(ROOT / "ops" / "docs" / page) if "a machine with systemd" in one.tried]
        chosen = [line for line in lines if block in line]
        assert chosen
        for line in chosen:
            self.sh(line, stdin=b"machine-test-token-0123456789\n")

    def post(self, sent: list[Sent]) -> None:
        """Post reports to the webhook, as Vapi does."""
        self.sh(f"python3 -c '{POST}'", stdin=b"\n".join(one.body for one in sent))

    def calls(self) -> dict[str, Any]:
        answer = self.sh(f"python3 -c '{ASK}' GET /_sandbox/calls ''")
        calls: dict[str, Any] = json.loads(answer)["calls"]
        return calls

    def show(self, unit: str, name: str) -> str:
        return self.sh(f"systemctl show -P {name} {unit}").strip()

    def end(self) -> None:
        docker("rm", "-f", self.name)


def docker(*arguments: str, stdin: bytes = b"", check: bool = True) -> str:
    done = subprocess.run(["docker", *arguments], input=stdin, capture_output=True, timeout=BUILD_SECONDS, check=False)
    said = f"{arguments} ended with {done.returncode}\n{done.stdout.decode()}\n{done.stderr.decode()}"
    assert done.returncode == 0 or not check, said
    return done.stdout.decode()


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    if not engine_answers():
        pytest.skip("no Docker engine with the compose plugin answers: see `make docker-test`")
    folder = tmp_path_factory.mktemp("machine") / "repository"
    copy_repository(folder)
    made = Machine(folder)
    for step in ("venv", "secrets.sh", "sed", "sysusers", "daemon-reload"):
        made.follow("install.md", step)
    docker("exec", "-d", made.name, INGEST, "sandbox", "--port", "4010")
    yield made
    made.end()


def prove(machine: Machine, sent: list[Sent]) -> None:
    """All of these arrive, byte for byte and once."""

    def arrived() -> bool:
        return machine.calls().keys() >= {one.call_id for one in sent}

    try:
        wait_until(arrived, "all are at the sandbox", PATIENCE_SECONDS)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{machine.sh('journalctl --no-pager -n 60')}") from None
    calls = machine.calls()
    for one in sent:
        assert calls[one.call_id]["imported"] == 1
        assert set(calls[one.call_id]["sha256"]) == {one.sha256}
        assert hashlib.sha256(one.body[len(b'{"message":') : -1]).hexdigest() == one.sha256


def until_ready(machine: Machine) -> None:
    ready = "python3 -c 'import urllib.request as r; r.urlopen(\"http://127.0.0.1:8787/readyz\")' && echo ready"
    wait_until(lambda: "ready" in machine.sh(ready, check=False), "the webhook is ready", PATIENCE_SECONDS)


def test_everything_in_one_unit_delivers(machine: Machine) -> None:
    machine.follow("install.md", "enable --now roark-ingest-up")
    until_ready(machine)

    sent = list(reports(random.Random(1), 100))
    machine.post(sent)

    prove(machine, sent)
    machine.follow("install.md", "disable --now roark-ingest-up")
    assert machine.show("roark-ingest-up", "Result") == "success"


def test_part_by_part_it_delivers_and_a_killed_worker_and_redis_lose_nothing(machine: Machine) -> None:
    machine.follow("install.md", "enable --now roark-ingest-redis")
    machine.follow("install.md", "enable --now roark-ingest.target")
    until_ready(machine)
    sent = list(reports(random.Random(2), 300))

    machine.post(sent[:100])
    machine.sh("systemctl kill -s KILL roark-ingest-worker")
    machine.post(sent[100:200])
    machine.sh("systemctl kill -s KILL roark-ingest-redis")
    machine.post(sent[200:])

    prove(machine, sent)
    for part in ("redis", "webhook", "worker", "flower", "console"):
        assert machine.show(f"roark-ingest-{part}", "ActiveState") == "active"
        assert machine.show(f"roark-ingest-{part}", "User") == "roark-ingest"
    assert int(machine.show("roark-ingest-worker", "NRestarts")) >= 1
    audit = "ROARK_INGEST_REDIS_URL_FILE=/etc/roark-ingest/secrets/redis_url_operator"
    assert json.loads(machine.sh(f"{audit} {INGEST} audit --json"))["holds"]


def test_a_worker_that_is_told_to_stop_drains_and_the_page_about_upgrades_works(machine: Machine) -> None:
    sent = list(reports(random.Random(3), 100))
    machine.post(sent)

    machine.sh("systemctl stop roark-ingest-worker")
    assert machine.show("roark-ingest-worker", "Result") == "success"
    for step in (
        "-r ops/locked/build.txt",
        "--no-build-isolation .",
        "restart roark-ingest-worker",
        "restart roark-ingest-webhook",
    ):
        machine.follow("upgrade.md", step)

    until_ready(machine)
    prove(machine, sent)
