"""`roark-ingest webhook`, `worker` and `flower`: what they refuse, and that the real things start."""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from commands import CommandLine
from servers import Server

DEADLINE_SECONDS = 30.0
TOKEN = "test-token-0123456789"


@pytest.fixture
def line(valkey: Server, prefix: str, tmp_path: Path) -> Iterator[CommandLine]:
    made = CommandLine(valkey.url, prefix, tmp_path)
    made.environment |= {"ROARK_BASE_URL": "http://127.0.0.1:9", "PYTHONUNBUFFERED": "1"}
    yield made
    made.ledger.close()


@contextlib.contextmanager
def running(line: CommandLine, *arguments: str, **environment: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a part until the block ends, and end it as an operator would."""
    process = line.process(*arguments, env=environment, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=DEADLINE_SECONDS)


def refused(line: CommandLine, *arguments: str, **environment: str) -> str:
    """Run a part that must end by itself with 1; return the one line that it says."""
    process = line.process(*arguments, env=environment)
    stdout, stderr = process.communicate(timeout=DEADLINE_SECONDS)
    (said,) = stderr.decode().splitlines()
    assert (process.returncode, stdout) == (1, b"")
    return said


def wait_for(line: str, process: "subprocess.Popen[bytes]") -> str:
    assert process.stdout
    for said in process.stdout:
        if line in said.decode():
            return said.decode()
    raise AssertionError(f"it ended without saying {line!r}")


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it never came about"


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def test_a_worker_without_a_token_is_refused_in_one_line(line: CommandLine) -> None:
    said = refused(line, "worker", ROARK_API_BEARER_TOKEN="")
    assert said.startswith("roark-ingest: neither ROARK_API_BEARER_TOKEN nor ROARK_API_BEARER_TOKEN_FILE is set")
    assert "roark-ingest up --sandbox" in said


def test_a_worker_without_redis_is_refused_in_one_line(line: CommandLine) -> None:
    said = refused(line, "worker", ROARK_API_BEARER_TOKEN=TOKEN, ROARK_INGEST_REDIS_URL="")
    assert "ROARK_INGEST_REDIS_URL is not set" in said


def test_a_workers_options_reach_its_processes(line: CommandLine) -> None:
    options = ("--processes", "2", "--max-in-flight", "7", "--json")
    with running(line, "worker", *options, ROARK_API_BEARER_TOKEN=TOKEN) as process:
        for number in (1, 2):
            assert f'"worker": {number}' in wait_for("worker_starting", process)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert len(children) == 2
        for _ in children:
            wait_for("worker_started", process)
        # Only now: a child that is not a program of its own yet has its parent's environment.
        environments = [Path(f"/proc/{child}/environ").read_bytes().split(b"\0") for child in children]
        assert all(b"ROARK_INGEST_MAX_IN_FLIGHT=7" in environment for environment in environments)
    assert process.returncode == 0


def test_a_webhook_that_anybody_could_post_to_is_refused(line: CommandLine) -> None:
    assert "ROARK_INGEST_VAPI_SECRET" in refused(line, "webhook", "--host", "0.0.0.0", "--port", "0")


def test_a_webhook_whose_port_is_taken_says_so(line: CommandLine) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        said = refused(line, "webhook", "--port", port)
    assert f"can't listen on 127.0.0.1:{port}" in said


def test_the_webhook_listens_where_it_was_told_to(line: CommandLine) -> None:
    with running(line, "webhook", "--port", "0") as process:
        url = wait_for("webhook listening on ", process).split()[-1]
        assert httpx.post(url, content=b"{}").status_code == 422
        assert line.run("status", "--json").document["totals"]["rejected"] == 1
    assert process.returncode == 0


def test_flower_for_everybody_needs_a_password(line: CommandLine) -> None:
    assert "FLOWER_BASIC_AUTH" in refused(line, "flower", "--host", "0.0.0.0", FLOWER_BASIC_AUTH="")
    missing = {"FLOWER_BASIC_AUTH": "", "FLOWER_BASIC_AUTH_FILE": "/nowhere/flower_basic_auth"}
    assert "/nowhere/flower_basic_auth" in refused(line, "flower", "--host", "0.0.0.0", **missing)


@pytest.mark.parametrize("malformed", ["ada", "ada:", ":secret-1"])
def test_flower_wants_a_user_and_a_password(line: CommandLine, malformed: str) -> None:
    said = refused(line, "flower", FLOWER_BASIC_AUTH=malformed)
    assert "USER:PASSWORD" in said
    assert "secret-1" not in said


def test_flower_starts_asks_for_the_password_and_shows_it_to_nobody(line: CommandLine) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    with running(line, "flower", "--port", str(port), "--basic-auth", "ada:secret-1") as process:

        def answers() -> bool:
            assert process.poll() is None
            with contextlib.suppress(httpx.TransportError):
                return httpx.get(url).status_code == 401
            return False

        wait_until(answers)
        assert httpx.get(url, auth=("ada", "secret-1"), follow_redirects=True).status_code == 200
        command = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        assert b"flower" in command
        assert b"secret-1" not in command
    assert any(name.startswith("flower") for name in os.listdir(line.folder / "data"))
