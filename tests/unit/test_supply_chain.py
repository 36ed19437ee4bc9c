"""What is installed is named with its digest, everywhere that something is installed."""

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "ops"))
from pin_images import FILES, IMAGE, pinned  # noqa: E402 a script, no package

LISTS = ("constraints.txt", *(f"ops/locked/{name}.txt" for name in ("build", "dev", "audit")))


def blocks(file: str) -> list[str]:
    text = (ROOT / file).read_text("utf-8")
    return re.split(r"\n(?=\S)", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).strip())


def test_every_package_has_one_version_and_a_digest() -> None:
    for file in LISTS:
        for block in blocks(file):
            assert re.match(r"[\w.-]+==[\w.!+-]+( ; .*)? \\\n    --hash=sha256:[0-9a-f]{64}", block), (file, block)


def test_no_package_stands_in_two_lists_that_are_installed_together() -> None:
    names = [block.partition("==")[0].lower() for file in LISTS[:3] for block in blocks(file)]

    assert sorted(names) == sorted(set(names))


def test_nothing_is_installed_without_digests() -> None:
    installing = [
        line
        for file in ("ops/bootstrap.py", "ops/docker/Dockerfile", "ops/docs/install.md", "ops/docs/upgrade.md")
        for line in (ROOT / file).read_text("utf-8").splitlines()
        if re.search(r"pip(\"|\b).* install .*-r ", line)
    ]
    assert len(installing) >= 4
    assert all("--require-hashes" in line and "--no-deps" in line for line in installing)
    assert "--require-hashes" in (ROOT / "ops" / "bootstrap.py").read_text("utf-8")


def test_what_the_audit_cannot_look_up_is_no_success() -> None:
    assert "pip-audit --strict --require-hashes" in (ROOT / "Makefile").read_text("utf-8")


STUB = """#!/bin/sh
[ "$1 $2 $3" = "buildx imagetools inspect" ] && [ "$5 $6" = "--format {{.Manifest.Digest}}" ] || exit 9
case "$4" in
$BROKEN) echo "no such manifest" >&2; exit 1;;
*) printf 'sha256:%s\\n' "$(printf %s "$4" | sha256sum | cut -c1-64)";;
esac
"""


def pin(folder: Path, broken: str = "-") -> "subprocess.CompletedProcess[str]":
    """Run the script in a copy of the tree, with a `docker` that asks no registry."""
    for file in ("ops/pin_images.py", *FILES):
        if not (folder / file).exists():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, folder / file)
    (folder / "docker").write_text(STUB)
    (folder / "docker").chmod(0o755)
    environment = {"PATH": f"{folder}:/usr/bin:/bin", "BROKEN": broken}
    return subprocess.run(
        [sys.executable, folder / "ops" / "pin_images.py"], env=environment, capture_output=True, text=True, check=False
    )


def test_all_images_are_pinned_or_none(tmp_path: Path) -> None:
    before = {file: (ROOT / file).read_text("utf-8") for file in FILES}
    failed = pin(tmp_path, broken="valkey/valkey:*")
    assert failed.returncode != 0
    assert "valkey/valkey" in failed.stderr
    assert "no such manifest" in failed.stderr
    assert {file: (tmp_path / file).read_text("utf-8") for file in FILES} == before
    for _ in range(2):
        assert pin(tmp_path).returncode == 0
        for file in FILES:
            for line in (tmp_path / file).read_text("utf-8").splitlines():
                if (found := IMAGE.match(line)) and not found[2].startswith("roark-ingest:"):
                    digest = hashlib.sha256(found[2].encode()).hexdigest()
                    assert f"{found[2]}@sha256:{digest}" in line
    assert IMAGE.sub(r"\1\2", (tmp_path / FILES[0]).read_text("utf-8")) == before[FILES[0]]


def test_what_is_installed_without_digests_runs_in_no_product() -> None:
    """The page says which: they build, check or measure."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    lines = [line for line in makefile.splitlines() if "pip install" in line and "--require-hashes" not in line]
    assert {re.findall(r"(\.venv-dist|\$\(\w+\))", line)[0] for line in lines} == {
        *(".venv-dist", "$(PAGES)", "$(SCHEMA)", "$(PEERS)")
    }
    page = " ".join((ROOT / "SECURITY.md").read_text("utf-8").split())
    for word in (
        "`make dist`",
        "`make site`",
        "`make contract`",
        "`make bench`",
        "`make installs`",
        "pip install roark-ingest",
    ):
        assert word in page


def test_every_image_that_is_pulled_can_be_pinned_and_is_so_again() -> None:
    names = {found[2] for file in FILES for found in IMAGE.finditer((ROOT / file).read_text("utf-8"))}
    assert {name.partition(":")[0] for name in names} == {
        *("python", "valkey/valkey", "prom/prometheus", "grafana/grafana", "roark-ingest")
    }
    digest = "sha256:" + "a" * 64
    for line in (
        "FROM python:3.11-slim AS build",
        "    image: python:3.11-slim",
        f"FROM python:3.11-slim@{digest} AS build",
    ):
        once = IMAGE.sub(lambda found: pinned(found, {"python:3.11-slim": digest}), line)
        assert f"python:3.11-slim@{digest}" in once
        assert IMAGE.sub(lambda found: pinned(found, {"python:3.11-slim": digest}), once) == once
