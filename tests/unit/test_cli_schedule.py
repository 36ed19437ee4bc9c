"""The retry table."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from roark_ops.cli.app import app
from roark_ops.cli.views.schedule import planned
from roark_worker.schedule import Schedule

DEFAULT = Schedule(first_delay=5, max_delay=900, max_attempts=20, max_age=86_400, retry_after_max=3600)


@pytest.fixture(autouse=True)
def nothing_from_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_table_adds_up_the_longest_waits_and_halves_them_for_the_average() -> None:
    rows = planned(DEFAULT)
    assert [row.attempt for row in rows] == list(range(1, 21))
    assert [row.longest_wait_seconds for row in rows[:10]] == [0, 5, 10, 20, 40, 80, 160, 320, 640, 900]
    assert [row.cumulative_longest_seconds for row in rows[:4]] == [0, 5, 15, 35]
    assert rows[-1].cumulative_longest_seconds == 1275 + 11 * 900
    assert rows[-1].cumulative_average_seconds == (1275 + 11 * 900) / 2


def test_the_command_prints_what_the_settings_make() -> None:
    settings = {"ROARK_INGEST_MAX_ATTEMPTS": "3", "ROARK_INGEST_MAX_DELAY_SECONDS": "7"}
    found = json.loads(CliRunner().invoke(app, ["schedule", "--json"], env=settings).stdout)
    assert [list(row.values()) for row in found["attempts"]] == [[1, 0, 0, 0], [2, 5, 5, 2.5], [3, 7, 12, 6]]
    assert list(found["attempts"][0]) == [
        "attempt",
        "longest_wait_seconds",
        "cumulative_longest_seconds",
        "cumulative_average_seconds",
    ]
    assert (found["max_attempts"], found["jitter"]) == (3, "full")


def test_a_person_reads_a_table_and_where_it_ends() -> None:
    shown = CliRunner().invoke(app, ["schedule"]).stdout
    assert shown.splitlines()[0].split("  ")[0] == "ATTEMPT"
    assert "After 20 attempts, or at an age of 1 d, a report becomes a dead letter." in shown


def test_a_setting_that_is_wrong_is_named_in_one_line() -> None:
    ended = CliRunner().invoke(app, ["schedule"], env={"ROARK_INGEST_MAX_ATTEMPTS": "many"})
    assert ended.exit_code == 1
    assert "ROARK_INGEST_MAX_ATTEMPTS" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
