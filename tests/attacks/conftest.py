"""What each attack came to goes into the table of SECURITY.md, where ATTACKS_PAGE names it."""

import os
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "integration" / "webhook"))

BEGIN, END = "<!-- attacks: written by `make attacks` -->", "<!-- end of attacks -->"
_rows: list[str] = []


class Rows:
    """Collects rows from the tests of all folders: a hook of this file would only hear of this folder's."""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            _rows.extend(
                f"| {text} | {'held' if report.passed else '**did not hold**'} |"
                for name, text in report.user_properties
                if name == "attack"
            )


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Rows())


def pytest_sessionfinish() -> None:
    page = os.environ.get("ATTACKS_PAGE")
    if not page or not _rows:
        return
    text = Path(page).read_text("utf-8")
    before, rest = text.split(BEGIN)
    table = "\n".join(("| attack | what came of it | |", "|---|---|---|", *_rows))
    Path(page).write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{rest.split(END)[1]}", "utf-8")
