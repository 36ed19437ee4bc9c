"""Prints what was measured under fire, and keeps it where CHAOS_RESULTS says."""

import os
from pathlib import Path
from typing import Any

import chaos_table


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if not chaos_table.ROWS:
        return
    terminalreporter.section("faults")
    for line in chaos_table.lines():
        terminalreporter.write_line(line)
    if path := os.environ.get("CHAOS_RESULTS"):
        chaos_table.write(Path(path))
