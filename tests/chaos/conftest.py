"""Prints what was measured under fire, and keeps it where CHAOS_RESULTS says."""

import os
from pathlib import Path

import chaos_table
import pytest
import tables


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    measured = [chaos_table.Row(**row) for row in tables.rows(terminalreporter, "faults")]
    if not measured:
        return
    terminalreporter.section("faults")
    for line in chaos_table.lines(measured):
        terminalreporter.write_line(line)
    if path := os.environ.get("CHAOS_RESULTS"):
        chaos_table.write(Path(path), measured)
