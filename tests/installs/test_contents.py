"""What is in the wheel and the sdist that `make dist` has built: everything that is needed, and nothing else."""

import os
import re
import subprocess
import tarfile
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ["producer/roark_ledger", "producer/roark_producer", "worker/roark_worker"]
PACKAGES += ["ops/roark_ops", "ops/roark_sandbox", "ops/roark_samples"]
DIST = Path(os.environ.get("DIST", "dist"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

pytestmark = [
    pytest.mark.installs,
    pytest.mark.skipif("DIST" not in os.environ, reason="`make dist` runs it, with what it has built"),
]


def tracked(folder: str) -> set[str]:
    told = subprocess.run(["git", "ls-files", folder], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return set(told.split())


def test_the_wheel_has_every_file_of_the_packages_and_no_other() -> None:
    (wheel,) = DIST.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        names = {name for name in opened.namelist() if ".dist-info/" not in name}
        meta = Parser().parsestr(opened.read(next(n for n in opened.namelist() if n.endswith("/METADATA"))).decode())
        entry = opened.read(next(n for n in opened.namelist() if n.endswith("/entry_points.txt"))).decode()

    assert names == {file.partition("/")[2] for package in PACKAGES for file in tracked(package)}
    for wanted in (
        "roark_producer/webhook/openapi.json",
        "roark_producer/py.typed",
        "roark_ledger/lua/intake/accept.lua",
    ):
        assert wanted in names
    assert "roark-ingest = roark_ops.cli:main" in entry
    assert (meta["Name"], meta["Version"]) == ("roark-ingest", PROJECT["version"])
    assert set(meta.get_all("Provides-Extra", [])) == set(PROJECT["optional-dependencies"])
    plain = [each for each in meta.get_all("Requires-Dist", []) if "extra ==" not in each]
    assert {re.split(r"[\[<>=]", each)[0] for each in plain} == {
        *("redis", "pydantic", "pydantic-settings", "msgspec", "zstandard", "brotli", "xxhash"),
    }


def test_the_sdist_has_the_sources_and_no_tests() -> None:
    (sdist,) = DIST.glob("*.tar.gz")
    with tarfile.open(sdist) as opened:
        names = {name.partition("/")[2] for name in opened.getnames() if "/" in name}

    assert {file for package in PACKAGES for file in tracked(package)} <= names
    assert {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "PKG-INFO"} <= names
    assert not any(name.startswith(("tests/", ".ci/", "ops/docker/", "ops/docs/")) for name in names)
    assert not any(name.endswith((".pyc", ".env")) for name in names)


def test_both_bear_the_version_of_the_changelog() -> None:
    newest = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)[0]
    assert {re.findall(r"-(\d+\.\d+\.\d+)", path.name)[0] for path in DIST.glob("roark_ingest-*")} == {newest}
