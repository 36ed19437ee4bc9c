"""`roark-ingest up`, as a newcomer runs it: real processes, from the first line to the last."""

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import servers
from constants import with_constants

from roark_ledger.ledger import Ledger
from roark_ledger.moves import watch
from roark_ledger.records.snapshot import Snapshot
from roark_ledger.server.connection import connect, redis_url
from roark_ops.up.server.embedded import EmbeddedServer
from roark_sandbox.server import SandboxOptions, background

pytestmark = pytest.mark.acceptance

DEADLINE_SECONDS = 60
UP = (sys.executable, "-m", "roark_ops.cli", "up")
SETTINGS = re.compile(r"ROARK_.*|FORCE_COLOR|TTY_.*")


@pytest.fixture(autouse=True)
def _one_at_a_time() -> Iterator[None]:
    # A newcomer's ports are the default ones, and of them this machine has one each.
    with (Path(tempfile.gettempdir()) / "roark-ingest-default-ports.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A newcomer's environment: nothing is set but where the data goes."""
    clean = {name: value for name, value in os.environ.items() if not SETTINGS.fullmatch(name)}
    return clean | {"ROARK_INGEST_DATA_DIR": str(tmp_path / "data")}


@pytest.fixture
def small(environment: dict[str, str]) -> dict[str, str]:
    """The same with one process of each kind, for what does not depend on their number: each takes long to start."""
    return environment | {"ROARK_INGEST_PROCESSES": "1", "ROARK_INGEST_WEBHOOK_PROCESSES": "1"}


class Running:
    """An `up` that goes on, its output in a file."""

    def __init__(self, process: "subprocess.Popen[bytes]", output: Path) -> None:
        self.process = process
        self._output = output

    def said(self) -> str:
        return self._output.read_text()

    def until_it_says(self, words: str) -> None:
        until(lambda: words in self.said() or self.process.poll() is not None)
        assert words in self.said(), self.said()

    def exit_code(self) -> int:
        return self.process.wait(DEADLINE_SECONDS)


@contextmanager
def up(environment: dict[str, str], tmp_path: Path, *options: str) -> Iterator[Running]:
    output = tmp_path / "output"
    with output.open("wb") as file:
        process = subprocess.Popen([*UP, *options], env=environment, cwd=tmp_path, stdout=file, stderr=file)
    try:
        yield Running(process, output)
    finally:
        process.kill()
        process.wait()


def once(environment: dict[str, str], tmp_path: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    command = [*UP, "--sandbox", "--once", "--json", *options]
    return subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False
    )


def figures(done: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        pause.wait(0.02)


def descendants(pid: int) -> set[int]:
    """Every living process below this one."""
    found: set[int] = set()
    for entry in Path("/proc").glob("[0-9]*"):
        if (parent := parent_of(entry)) is not None and parent == pid:
            found |= {int(entry.name)} | descendants(int(entry.name))
    return found


def parent_of(entry: Path) -> int | None:
    try:
        state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state == "Z" else int(parent)


def is_alive(pid: int) -> bool:
    return parent_of(Path("/proc") / str(pid)) is not None


async def ledger_after(data_dir: Path) -> Snapshot:
    """What a run left in its data directory, read by a server of the same kind."""
    server = EmbeddedServer(data_dir, for_sandbox=True)
    process = subprocess.Popen(await server.command(), stdout=subprocess.DEVNULL)  # noqa: ASYNC220 a moment
    try:
        until(server.is_ready)
        with connect(redis_url(None, data_dir)) as client:
            return Ledger(client).run(watch.snapshot())
    finally:
        process.terminate()
        process.wait()
        server.clear()


async def test_made_up_reports_are_delivered_and_a_second_run_goes_on_from_the_first(
    environment: dict[str, str], tmp_path: Path
) -> None:
    # when a newcomer runs it twice
    first = figures(once(environment, tmp_path, "--reports", "60"))
    second = figures(once(environment, tmp_path, "--reports", "60", "--rate", "0"))

    # then each run delivered all that it took in, once
    for run in (first, second):
        assert run["complete"]
        assert run["delivered"] == run["taken_in"] > 50
        assert (run["received"]["twice"], run["received"]["missing"]) == (0, 0)
        # and a call whose report never came was found at Vapi, brought in and delivered: the three sides agree
        compared = run["reconciled"]
        assert (compared["left_out"], compared["never_came"], compared["brought_in"]) == (1, 1, 1)
        assert compared["at_vapi"] == compared["here"] == compared["at_roark"] == run["taken_in"] + 1
        assert compared["agree"]
        assert 0 < run["p50_ms"] <= run["p95_ms"] <= run["slowest_ms"]

    # and the second one brought new calls to what was there
    assert not {each["call_id"] for each in first["examples"]} & {each["call_id"] for each in second["examples"]}
    left = await ledger_after(tmp_path / "data")
    brought_in = sum(run["reconciled"]["brought_in"] for run in (first, second))
    assert left.total("backfilled") == brought_in == 2
    assert left.total("accepted") == left.states["delivered"] == first["taken_in"] + second["taken_in"] + brought_in
    assert left.balanced


def test_on_a_server_of_ones_own_the_sandboxs_reports_stay_apart(small: dict[str, str], tmp_path: Path) -> None:
    with servers.running() as server, connect(server.url) as client:
        environment = small | {"ROARK_INGEST_REDIS_URL": server.url}

        run = figures(once(environment, tmp_path, "--reports", "20"))

        assert run["complete"]
        made_up, real = (Ledger(client, prefix=prefix).run(watch.snapshot()) for prefix in ("roark-sandbox", "roark"))
        assert made_up.total("accepted") == run["taken_in"] + run["reconciled"]["brought_in"]
        assert real.total("accepted") == 0


async def test_nothing_is_left_behind_or_lost_when_it_is_killed(environment: dict[str, str], tmp_path: Path) -> None:
    # given an `up` in the middle of its work
    environment |= {"PYTHONPATH": with_constants(), "ROARK_INGEST_LEASE_SECONDS": "3"}
    with up(
        environment, tmp_path, "--sandbox", "--reports", "5000", "--rate", "100", "--no-flower", "--no-console"
    ) as running:
        running.until_it_says("calls accepted, delivered 1")
        parts = descendants(running.process.pid)
        assert len(parts) >= 5

        # when it is killed
        running.process.kill()
        running.process.wait()

        # then every process that it started ends, at any depth
        until(lambda: not any(is_alive(pid) for pid in parts))

    # and the next run delivers what was taken in and was still on its way
    assert figures(once(environment, tmp_path, "--reports", "20"))["complete"]
    left = await ledger_after(tmp_path / "data")
    assert left.balanced
    assert left.total("accepted") == left.states["delivered"] > 100


async def test_ctrl_c_drains_in_the_order_in_which_reports_flow(environment: dict[str, str], tmp_path: Path) -> None:
    # given an `up` in the middle of its work
    with up(
        environment, tmp_path, "--sandbox", "--reports", "5000", "--rate", "100", "--no-flower", "--no-console"
    ) as running:
        running.until_it_says("calls accepted, delivered 1")
        parts = descendants(running.process.pid)

        # when somebody presses Ctrl-C
        running.process.send_signal(signal.SIGINT)

        # then it ends well, first what takes in, then what delivers, and says what is left
        assert running.exit_code() == 0
        said = running.said()
        assert said.index("webhook: accepting no new requests") < said.index("worker: finishing uploads")
        assert re.search(r"all reports are settled|not delivered yet", said)
        assert not any(is_alive(pid) for pid in parts)

    left = await ledger_after(tmp_path / "data")
    assert left.balanced
    assert left.states["uploading"] == 0


def test_a_second_ctrl_c_is_harsher_and_still_loses_nothing(small: dict[str, str], tmp_path: Path) -> None:
    # given an `up` in front of a Roark that never answers, with uploads under way
    small |= {"ROARK_INGEST_SHUTDOWN_SECONDS": "50"}
    with up(small, tmp_path, "--sandbox", "--no-demo", "--no-flower", "--no-console") as running:
        running.until_it_says("Press Ctrl-C")
        sandbox = re.search(r"(http://\S+)/_sandbox/calls", running.said())
        assert sandbox
        stall(sandbox[1])
        enqueue_one(small, tmp_path)
        until(lambda: states(tmp_path / "data")["uploading"] == 1)
        parts = descendants(running.process.pid)

        # when Ctrl-C is pressed twice
        running.process.send_signal(signal.SIGINT)
        running.until_it_says("worker: finishing uploads")
        running.process.send_signal(signal.SIGINT)

        # then it does not wait for the upload, and the report waits for the next run
        assert running.exit_code() == 0
        assert "worker: did not stop in time and was killed" in running.said()
        assert "1 report not delivered yet" in running.said()
        assert not any(is_alive(pid) for pid in parts)


def stall(sandbox: str) -> None:
    httpx.put(f"{sandbox}/_sandbox/faults", json={"fail": ["timeout:1"]}, trust_env=False).raise_for_status()


def enqueue_one(environment: dict[str, str], tmp_path: Path) -> None:
    report = {"type": "end-of-call-report", "call": {"id": "call-1"}}
    command = [sys.executable, "-m", "roark_ops.cli", "enqueue", "-"]
    subprocess.run(
        command, input=json.dumps(report).encode(), env=environment, cwd=tmp_path, capture_output=True, check=True
    )


def states(data_dir: Path) -> dict[Any, int]:
    with connect(redis_url(None, data_dir)) as client:
        return Ledger(client).run(watch.snapshot()).states


def test_a_part_that_is_killed_is_started_again(small: dict[str, str], tmp_path: Path) -> None:
    with up(small, tmp_path, "--sandbox", "--no-demo", "--no-flower", "--no-console") as running:
        running.until_it_says("Press Ctrl-C")
        before = descendants(running.process.pid)
        server = int((tmp_path / "data" / "sandbox" / "valkey" / "valkey.pid").read_text())

        # when the server is killed
        os.kill(server, signal.SIGKILL)

        # then it is started again, and reports are taken and delivered as before
        running.until_it_says("valkey: was killed by signal 9, restarting")
        until(lambda: len(descendants(running.process.pid)) >= len(before))
        until((tmp_path / "data" / "sandbox" / "valkey" / "valkey.pid").exists)
        enqueue_one(small, tmp_path)
        until(lambda: states(tmp_path / "data")["delivered"] == 1)

        running.process.send_signal(signal.SIGTERM)
        assert running.exit_code() == 0


def test_with_a_token_reports_go_to_roark_and_none_is_made_up(small: dict[str, str], tmp_path: Path) -> None:
    # given a Roark that demands its token
    with background(SandboxOptions(port=0, token="the-token")) as roark:
        environment = small | {"ROARK_API_BEARER_TOKEN": "the-token", "ROARK_BASE_URL": roark}
        with up(environment, tmp_path, "--no-flower", "--no-console") as running:
            running.until_it_says("Press Ctrl-C")

            # when a report is handed in
            enqueue_one(environment, tmp_path)
            until(lambda: states(tmp_path / "data")["delivered"] == 1)

            # then Roark has it, and nothing else
            assert f"uploading to Roark at {roark}/v1/vapi/call" in running.said()
            assert list(httpx.get(f"{roark}/_sandbox/calls", trust_env=False).json()["calls"]) == ["call-1"]
            assert "the-token" not in running.said()
            running.process.send_signal(signal.SIGTERM)
            assert running.exit_code() == 0


def test_without_a_token_it_says_loudly_that_nothing_goes_to_roark_and_a_second_one_there_is_refused(
    small: dict[str, str], tmp_path: Path
) -> None:
    with up(small, tmp_path, "--no-flower", "--no-console") as running:
        running.until_it_says("Press Ctrl-C")
        assert "no ROARK_API_BEARER_TOKEN: using the sandbox; nothing is sent to Roark" in running.said()

        refused = once(small, tmp_path)

        assert refused.returncode == 1
        assert f"is already running in {tmp_path / 'data'} (process {running.process.pid})" in refused.stderr
        assert "Traceback" not in refused.stderr
        running.process.send_signal(signal.SIGTERM)
        assert running.exit_code() == 0


def test_flower_shows_the_workers(environment: dict[str, str], tmp_path: Path) -> None:
    with up(environment, tmp_path, "--sandbox", "--no-demo", "--flower") as running:
        running.until_it_says("Press Ctrl-C")
        flower = re.search(r"Flower +(http://\S+)/tasks", running.said())
        assert flower

        until(lambda: len(workers_at(flower[1])) == len(os.sched_getaffinity(0)))

        running.process.send_signal(signal.SIGTERM)
        assert running.exit_code() == 0


def workers_at(flower: str) -> list[Any]:
    try:
        found: list[Any] = httpx.get(f"{flower}/workers?json=1", trust_env=False).json()["data"]
    except httpx.TransportError:
        return []
    return found


def test_a_data_directory_that_cannot_be_written_is_refused(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")

    refused = once(environment, tmp_path)

    assert refused.returncode == 1
    assert "cannot write to" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_what_is_not_a_terminal_gets_plain_lines(small: dict[str, str], tmp_path: Path) -> None:
    with up(small, tmp_path, "--sandbox", "--once", "--reports", "20") as running:
        assert running.exit_code() == 0

        assert re.search(r"All \d+ accepted calls were delivered\.", running.said())
        assert "\x1b" not in running.said()
