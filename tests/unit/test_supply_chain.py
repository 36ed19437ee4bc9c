"""What is installed is named with its digest, everywhere that something is installed."""

import re
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
