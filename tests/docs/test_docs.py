"""The pages for people: every command line in them is run, against a real pipeline with the sandbox, in its order.

What stands in capitals is filled in: CALL_ID is a dead letter, DISCARDED_ID a discarded one, DELIVERED_ID a delivered
call. The ports are those of the pipeline under test. Before each command it is waited until nothing is on its way.
"""

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from console import Command, commands
from pipeline import wait_until
from servers import running

from roark_ledger.ledger import Ledger
from roark_ledger.lifecycle import State
from roark_ledger.moves import watch
from roark_ledger.server.connection import connect, redis_url

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "ops" / "docs").glob("*.md"))]
TEXTS = [
    *PAGES,
    ROOT / "ops" / "runbook.md",
    *(ROOT / f"{name}.md" for name in ("ARCHITECTURE", "CHANGELOG", "CONTRIBUTING")),
]
LINK = re.compile(r"\]\((?!https?://)([^)\s]+)\)")
RUN = [page for page in PAGES if any(not command.tried for command in commands(page))]
LONG = {"backup", "configure", "console", "flower", "operate", "proxies"}
# Configurations: webhook/test_proxies.py and matrix/places.py take them out of their pages.
RUN_BY_OTHER_TESTS = {"nginx", "caddy", "haproxy", "acl_ledger", "acl_broker"}
SETTINGS = re.compile(r"ROARK_.*|FORCE_COLOR|TTY_.*|COMPOSE_.*|DOCKER_.*")
# What a page may leave to others to try, because it changes the machine or needs one of another kind.
ELSEWHERE = re.compile(
    r"(sudo |docker |kubectl |make |git clone |sh ops/docker/secrets\.sh|[A-Z_]+=\S+ (docker|make) )"
)


class Reader:
    """A person with a page in one terminal and a pipeline in the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        clean = {name: value for name, value in os.environ.items() if not SETTINGS.fullmatch(name)}
        self.environment = clean | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        self.ports = {port: str(free_port()) for port in ("8787", "4010", "8788")}
        self.log = (folder / "log").open("w+b")
        command = ["roark-ingest", "up", "--sandbox", "--no-demo", "--no-flower", "--no-console"]
        command += ["--webhook-port", self.ports["8787"], "--sandbox-port", self.ports["4010"]]
        more = {"ROARK_INGEST_METRICS_PORT": self.ports["8788"], "ROARK_INGEST_PROCESSES": "1"}
        self.pipeline = subprocess.Popen(
            command, cwd=folder, env=self.environment | more, stdout=self.log, stderr=self.log
        )
        wait_until(self._is_ready, f"the pipeline is ready: {self.log.name}")

    def _is_ready(self) -> bool:
        assert self.pipeline.poll() is None, Path(self.log.name).read_text("utf-8")
        try:
            return httpx.get(f"http://127.0.0.1:{self.ports['8787']}/readyz", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def shell(self, line: str, **more: str) -> "subprocess.CompletedProcess[str]":
        """Run a line as bash does."""
        return subprocess.run(
            ["bash", "-o", "pipefail", "-c", line],
            cwd=self.folder,
            env=self.environment | more,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def run(self, command: Command) -> str:
        """Run a page's line; return what is wrong unless it ends as the page says."""
        wait_until(self._is_quiet, "workers live, and nothing is on its way any more")
        with contextlib.ExitStack() as stack:
            # Nobody but the embedded server itself makes its users; the page speaks of a server of one's own.
            ours = "--apply" in command.line
            more = {"ROARK_INGEST_REDIS_URL": stack.enter_context(running()).url} if ours else {}
            done = self.shell(self.filled_in(command.line), **more)
        said = f"$ {command.line}\n{done.stdout}{done.stderr}"
        if done.returncode == command.exit_code and "Traceback" not in said:
            return ""
        return f"ended with {done.returncode}: {said}"

    def filled_in(self, line: str) -> str:
        for port, ours in self.ports.items():
            line = line.replace(f"127.0.0.1:{port}", f"127.0.0.1:{ours}")
        if "DELIVERED_ID" in line:
            calls = httpx.get(f"http://127.0.0.1:{self.ports['4010']}/_sandbox/calls", trust_env=False).json()["calls"]
            line = line.replace("DELIVERED_ID", next(call for call, facts in calls.items() if facts["imported"]))
        for name, state in (("DISCARDED_ID", "discarded"), ("READY_ID", "ready"), ("CALL_ID", "dead")):
            if name in line:
                letters = self.shell(f"roark-ingest list --state {state} --limit 1 --json").stdout.splitlines()
                line = line.replace(name, json.loads(letters[0])["call_id"])
        return line

    def _is_quiet(self) -> bool:
        with connect(redis_url(None, self.folder / ".roark-ingest")) as client:
            ledger = Ledger(client)
            snapshot, workers = ledger.run(watch.snapshot()), ledger.run(watch.crew())
        on_its_way = snapshot.states[State.READY] + snapshot.states[State.UPLOADING]
        return bool(workers) and (snapshot.lane.state != "open" or not on_its_way)

    def close(self) -> None:
        self.pipeline.terminate()
        self.pipeline.wait(60)
        self.log.close()


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    made = Reader(tmp_path)
    yield made
    made.close()


@pytest.mark.acceptance
@pytest.mark.parametrize(
    "page",
    [pytest.param(page, id=page.stem, marks=[pytest.mark.docs] if page.stem in LONG else []) for page in RUN],
)
def test_every_command_of_a_page_does_what_it_says(page: Path, reader: Reader) -> None:
    wrong = [reader.run(command) for command in commands(page) if not command.tried]

    assert not any(wrong), "\n".join(filter(None, wrong))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_only_what_changes_the_machine_is_left_to_others_to_try(page: Path) -> None:
    for command in commands(page):
        if command.tried:
            assert ELSEWHERE.match(command.line), command
            assert any(who in command.tried for who in ("`make docker-test`", "by CI", "schemas"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_command_stands_where_it_is_found(page: Path) -> None:
    # given that blocks without a kind are pictures or what a command printed
    for kind, body in re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL):
        assert kind in {"console", "python", "json", *RUN_BY_OTHER_TESTS, ""}
        if not kind:
            assert not re.search(r"^(\$ |make |sudo |docker |roark-ingest )", body, re.MULTILINE), body


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.stem)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text("utf-8")):
        path, _, heading = target.partition("#")
        there = (page.parent / path) if path else page
        assert there.exists(), target
        if heading:
            slugs = {slug(each) for each in re.findall(r"^#+ (.+)$", there.read_text("utf-8"), re.MULTILINE)}
            assert heading in slugs, target


def test_the_readme_leads_to_every_text_once() -> None:
    index = (ROOT / "README.md").read_text("utf-8").partition("## Where to look next")[2]

    assert sorted(LINK.findall(index)) == sorted(str(text.relative_to(ROOT)) for text in TEXTS[1:])


def test_the_architecture_names_files_that_are_there() -> None:
    named = re.findall(r"`([\w./]*\w+\.(?:py|lua|yml|md|toml))`", (ROOT / "ARCHITECTURE.md").read_text("utf-8"))
    there = [path.as_posix() for path in ROOT.glob("*/**/*.*")] + [path.as_posix() for path in ROOT.glob("*.*")]

    assert named
    assert [name for name in named if not any(path.endswith(f"/{name}") for path in there)] == []


def test_what_the_pages_tell_to_apply_or_start_is_there() -> None:
    for page in PAGES:
        for command in commands(page):
            for path in re.findall(r"\bops/[\w./-]*\w", command.line):
                assert (ROOT / path).exists(), command
            for unit in re.findall(r"\b(roark-ingest-?[\w.-]*)", command.line.partition("systemctl ")[2]):
                name = unit if "." in unit else f"{unit}.service"
                assert (ROOT / "ops" / "systemd" / name).exists(), command


def slug(heading: str) -> str:
    """A heading's anchor, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
