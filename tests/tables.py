"""Rows that tests measure, for a table at the end of the run, also where several processes share the tests.

A row is made of what JSON knows: it travels with its test's report.
"""

from typing import Any

import pytest

_noted: list[tuple[str, Any]] = []


def note(table: str, row: dict[str, Any]) -> None:
    """Keep a row that the running test has measured."""
    _noted.append((table, row))


def hand_over(item: pytest.Item) -> None:
    """Give the rows noted so far to the report of the test that ran."""
    item.user_properties += _noted
    _noted.clear()


def rows(reporter: pytest.TerminalReporter, table: str) -> list[dict[str, Any]]:
    """Return all rows of this table."""
    reports = [report for kind in reporter.stats.values() for report in kind if getattr(report, "when", "") == "call"]
    return [row for report in reports for name, row in report.user_properties if name == table]
