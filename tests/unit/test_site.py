"""The site of the pages: everything is in its order, and the reference says what the code says."""

import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_group

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "ops" / "site"))

import build  # noqa: E402 it stands where it is run
import reference  # noqa: E402

from roark_ops.cli.app import app  # noqa: E402
from roark_worker.answers.reasons import REASONS  # noqa: E402

NAV = tomllib.loads((ROOT / "ops" / "site" / "zensical.toml").read_text("utf-8"))["project"]["nav"]


def pages(entry: Any) -> list[str]:
    match entry:
        case str():
            return [entry]
        case list():
            return [page for each in entry for page in pages(each)]
        case _:
            return [page for each in entry.values() for page in pages(each)]


def test_every_page_has_its_place_once() -> None:
    found = pages(NAV)
    assert len(found) == len(set(found))
    assert {page for page in found if not page.startswith("reference/")} == set(build.PAGES.values())


def test_the_order_is_that_of_a_users_questions() -> None:
    assert [name for each in NAV for name in each] == [
        *("Start", "Install", "Connect", "Integrate", "Run", "Operate", "When something is wrong", "Reference"),
        "How it is built",
    ]


def test_every_link_of_a_page_is_led_somewhere(tmp_path: Path) -> None:
    build.gather(tmp_path / "docs")

    text = (tmp_path / "docs" / "metrics.md").read_text("utf-8")
    assert "](runbook.md)" in text
    assert (tmp_path / "docs" / "files" / "ops" / "prometheus" / "rules.yml").is_file()
    assert (tmp_path / "docs" / "examples" / "fastapi_app.py").is_file()


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<a href="b.html#x">1</a><a href="c.html">2</a><a href="#y">3</a><i id="y"></i>')
    (tmp_path / "b.html").write_text('<i id="z"></i><a href="https://example.com/none">4</a><a href="a.html#y">5</a>')

    assert build.dead_links(tmp_path) == ["a.html: b.html#x", "a.html: c.html"]


def test_every_command_reason_and_metric_is_in_the_reference(tmp_path: Path) -> None:
    told = reference.commands()
    assert all(f"## roark-ingest {name}" in told for name in get_group(app).commands)  # type: ignore[attr-defined] # a group
    assert "`--change EXPRESSION`" in told
    reasons = reference.reasons()
    assert all(f"`{row.named}`" in reasons for row in REASONS)
    metrics = reference.metrics(tmp_path)
    assert all(name in metrics for name in ("roark_ingest_reports", "roark_ingest_webhook_requests_total"))
    assert "## POST /vapi" in reference.webhook()


@pytest.mark.parametrize("name", ["Producer", "AsyncProducer", "Receipt", "Result", "errors"])
def test_the_page_of_the_library_has_what_is_public(name: str) -> None:
    assert name in (ROOT / "ops" / "site" / "api.md").read_text("utf-8")
