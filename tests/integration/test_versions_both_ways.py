"""upgrade.md, both ways: what the last version wrote this one reads, and what this one writes the last one reads.

The last version's code comes out of this clone's history; a clone without it (a shallow one, an archive) skips.
When a version is released, LAST is set to it.
"""

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from servers import Server

ROOT = Path(__file__).parents[2]
STEP = Path(__file__).with_name("version_step.py")
LAST = "817cf15"
Step = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def last_version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The last version's sources, unpacked."""
    packed = subprocess.run(["git", "archive", LAST, "producer", "worker"], cwd=ROOT, capture_output=True, check=False)
    if packed.returncode:
        pytest.skip(f"this clone does not have the last version ({LAST})")
    folder = tmp_path_factory.mktemp("last-version")
    with tarfile.open(fileobj=BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def step_of(sources: Path, where: Path) -> Step:
    path = os.pathsep.join(str(sources / part) for part in ("producer", "worker"))

    def step(*arguments: object) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, str(STEP), *map(str, arguments)],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": path},
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
    assert Path(old("where")["sources"]).is_relative_to(last_version)
    assert Path(new("where")["sources"]).is_relative_to(ROOT)


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
