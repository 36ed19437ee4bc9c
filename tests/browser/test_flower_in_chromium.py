"""What a person on shift sees in Flower: the workers, the reports, and why one of them is late and another dead.

The pictures go to the folder that PICTURES names (`make browser` keeps them in ops/docs/pictures).
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsers import Browser, chromium
from flowers import PASSWORD, USER, Flower, flower_beside
from pipeline import Pipeline, wait_until

from roark_ledger.moves import delivery
from roark_samples import sample_reports

pytestmark = pytest.mark.browser

REPORTS = 400
REFUSED, LATE = 3, 2


@pytest.fixture(scope="module")
def calls() -> list[str]:
    """All calls; the last of them are those that Roark refuses, and before them those for which it fails."""
    return [sample.call_id or "" for sample in sample_reports(REPORTS, odd=0, dup=0)]


@pytest.fixture(scope="module")
def refused(calls: list[str]) -> list[str]:
    return calls[-REFUSED:]


@pytest.fixture(scope="module")
def flower(calls: list[str], refused: list[str]) -> Iterator[Flower]:
    """Flower beside two workers that have delivered most of the reports."""
    late = calls[-REFUSED - LATE : -REFUSED]
    with Pipeline(
        ROARK_INGEST_FLOWER_SUCCESSES_PER_SECOND="1000",
        ROARK_INGEST_FIRST_DELAY_SECONDS="600",
        ROARK_INGEST_MAX_DELAY_SECONDS="600",
    ) as line:
        faults = f"422:calls={'+'.join(refused)}:message=endedReason is unknown", f"503:calls={'+'.join(late)}"
        line.start_sandbox("--fail", faults[0], "--fail", faults[1], "--latency-ms", "120")
        line.start_supervisor(2)
        with flower_beside(line) as flower:
            bodies = [sample.body(wrap=True) for sample in sample_reports(REPORTS, odd=0, dup=0)]
            trouble = REFUSED + LATE
            line.submit(bodies[:-trouble])
            flower.wait_for(SUCCESS=REPORTS - trouble)
            line.submit(bodies[-trouble:])
            flower.wait_for(SUCCESS=REPORTS - REFUSED - LATE, FAILURE=REFUSED, RETRY=LATE)
            line.ledger.run(delivery.hold(by="ada", reason="Roark is being moved"))
            wait_until(flower.other_rows, "the lane is seen")
            yield flower


@pytest.fixture(scope="module")
def browser(flower: Flower) -> Iterator[Browser]:
    with chromium() as browser:
        browser.open(at(flower, "/workers"))
        yield browser


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return Path(os.environ.get("PICTURES") or tmp_path)


def at(flower: Flower, path: str) -> str:
    return flower.url.replace("://", f"://{USER}:{PASSWORD}@") + path


def search(browser: Browser, flower: Flower, text: str) -> None:
    browser.open(at(flower, "/tasks"))
    browser.wait_for("#tasks-table tbody a")
    browser.run("document.querySelector('input[type=search]').value = ''")
    browser.type_into("input[type=search]", text)


def number_of_rows(browser: Browser) -> int:
    rows: int = browser.run("return document.querySelectorAll('#tasks-table tbody tr[id]').length")
    return rows


def test_the_workers_page_counts_what_they_did(browser: Browser, flower: Flower, pictures: Path) -> None:
    browser.open(at(flower, "/workers"))
    wait_until(lambda: browser.text("#workers-online") == "2", "both workers are online")
    wait_until(lambda: browser.text("#workers-failed") == str(REFUSED), "the refused reports are counted")
    # A worker that came to no report has no such field.
    succeeded = sum(row.get("task-succeeded", 0) for row in flower.workers())
    assert succeeded == flower.states()["SUCCESS"]
    retried = sum(row.get("task-retried", 0) for row in flower.workers())
    assert sum(row.get("task-received", 0) for row in flower.workers()) == succeeded + retried + REFUSED
    browser.picture(pictures / "flower-workers.png")


def test_the_task_list_shows_reports_with_their_outcome(browser: Browser, flower: Flower, pictures: Path) -> None:
    browser.open(at(flower, "/tasks"))
    browser.wait_for("#tasks-table tbody a")
    page = browser.text("#tasks-table")
    assert "Uploads are paused." in page
    assert "roark.report" in page
    assert "roark.deliver" not in page
    assert "delivered on attempt 1: 200 in" in page
    assert "SHUT" in page
    assert "RETRY" in page
    assert re.search(r"Roark failed \(503\)\. .*Attempt \d+ in ", page), page
    browser.picture(pictures / "flower-tasks.png")


def test_a_dead_report_is_found_by_its_call_id_and_says_why(
    browser: Browser, flower: Flower, refused: list[str], pictures: Path
) -> None:
    search(browser, flower, refused[0])
    wait_until(
        lambda: number_of_rows(browser) == 1 and refused[0] in browser.text("#tasks-table"), "one row, the call's"
    )
    assert "Roark refused the report as invalid (422)." in browser.text("#tasks-table")
    browser.picture(pictures / "flower-search.png", height=640)

    browser.click("#tasks-table tbody a[href*='/task/']")
    wait_until(lambda: browser.address().endswith(f"/task/{refused[0]}"), "the report's page")
    page = browser.text("#task-page")
    assert "FAILURE" in page
    assert "Roark refused the report as invalid (422)." in page
    assert f"roark-ingest dlq show {refused[0]}" in page
    browser.picture(pictures / "flower-dead-report.png", height=1420)
