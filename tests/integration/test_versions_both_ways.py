"""upgrade.md, both ways: what the last version wrote this one reads, and what this one writes the last one reads."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from last_version import ROOT, python_path, unpacked
from servers import Server

STEP = Path(__file__).with_name("version_step.py")
Step = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def last_version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The last version's sources."""
    return unpacked(tmp_path_factory.mktemp("last-version"))


def step_of(sources: Path, where: Path) -> Step:
    def step(*arguments: object) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, str(STEP), *map(str, arguments)],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": python_path(sources)},
            cwd=where,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return step


@pytest.fixture
def old(last_version: Path, tmp_path: Path) -> Step:
    return step_of(last_version, tmp_path)


@pytest.fixture
def new(tmp_path: Path) -> Step:
    return step_of(ROOT, tmp_path)


def test_the_steps_really_run_different_versions(old: Step, new: Step, last_version: Path) -> None:
    for step, sources in ((old, last_version), (new, ROOT)):
        assert all(Path(each).is_relative_to(sources) for each in step("where")["sources"])


def test_up_and_down_and_up_again_nothing_is_lost_and_nothing_dies_of_it(old: Step, new: Step, tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    server = Server(tmp_path / "server")
    server.start()
    (tmp_path / ".roark-ingest").mkdir()
    try:
        url = server.url
        for first, (here, there) in enumerate([(old, new), (new, old)]):
            assert here("accept", url, first * 30, first * 30 + 30) == {"accepted": 30}
            assert there("accept", url, first * 30, first * 30 + 30) == {"accepted": 0}
            there("work", url, 20)
            here("work", url, 20)
            seen = [each("state", url) for each in (here, there)]
            assert seen[0] == seen[1]
            assert seen[0]["holds"], seen
            assert seen[0]["accepted"] == first * 30 + 30
        states = new("state", url)["states"]
        assert (states["dead"], states["delivered"]) == (20, 20), (
            "each died of what it was told to die of, and of nothing else"
        )
    finally:
        server.stop()


def test_a_spool_goes_both_ways(old: Step, new: Step, tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    server = Server(tmp_path / "server")
    server.start()
    try:
        for first, (here, there) in enumerate([(old, new), (new, old)]):
            here("spool", tmp_path / "spool", first * 9, first * 9 + 9)
            assert there("unspool", tmp_path / "spool", server.url) == {"taken": 9}
        assert new("state", server.url)["accepted"] == 18
    finally:
        server.stop()
