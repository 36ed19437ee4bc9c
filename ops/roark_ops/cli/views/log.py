"""What `roark-ingest log` shows: lines as a table, JSON or CSV."""

import csv
import io
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from roark_ledger.records.logbook import Deed
from roark_ops.cli.terminal.output import print_json, print_line, print_table
from roark_ops.cli.terminal.targets import target
from roark_ops.cli.terminal.words import iso, moment, shown

_HEAD = ("at", "by", "action", "count", "reason", "calls", "about")
_MOST_NAMED = 3


def document(deed: Deed) -> dict[str, Any]:
    """Return a line as `--json` prints it."""
    return {
        "id": deed.place,
        "at": iso(deed.at_ms),
        "by": shown(deed.by),
        "action": deed.action,
        "count": deed.count,
        "reason": shown(deed.reason) or None,
        "calls": list(deed.calls),
        "about": {name: shown(value) for name, value in deed.about.items()},
    }


def show_deeds(deeds: Sequence[Deed], *, as_json: bool, as_csv: bool) -> None:
    """Print lines."""
    if as_json:
        for deed in deeds:
            print_json(document(deed))
    elif as_csv:
        sys.stdout.write(_csv([_HEAD, *map(_cells, deeds)]))
    elif deeds:
        rows = [(moment(deed.at_ms), shown(deed.by), deed.action, str(deed.count), deed_told(deed)) for deed in deeds]
        print_table(("at", "by", "action", "count", "about"), rows, right=frozenset({3}))
        print_line()


def write_deeds(deeds: Iterable[Deed], path: str, *, as_csv: bool) -> int:
    """Write lines to a file, whole or not at all, or to standard output; return how many."""
    with target(path, force=True) as file:
        return _write(deeds, file, as_csv=as_csv)


def _write(deeds: Iterable[Deed], file: Any, *, as_csv: bool) -> int:
    number = 0
    if as_csv:
        file.write(_csv([_HEAD]).encode())
    for deed in deeds:
        text = _csv([_cells(deed)]) if as_csv else json.dumps(document(deed)) + "\n"
        file.write(text.encode())
        number += 1
    return number


def _csv(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _cells(deed: Deed) -> Sequence[str]:
    found = document(deed)
    about = json.dumps(found["about"]) if deed.about else ""
    cells = (found["at"], found["by"], deed.action, str(deed.count), found["reason"] or "", " ".join(deed.calls), about)
    # A spreadsheet takes a cell that begins so for a formula.
    return tuple(f"'{cell}" if cell.startswith(("=", "+", "-", "@")) else cell for cell in cells)


def deed_told(deed: Deed) -> str:
    """Return why, about what, and which calls, in one line."""
    named = " ".join(deed.calls[:_MOST_NAMED])
    more = f" and {len(deed.calls) - _MOST_NAMED} more" if len(deed.calls) > _MOST_NAMED else ""
    about = " ".join(f"{name}={shown(value)}" for name, value in deed.about.items())
    return "; ".join(part for part in (shown(deed.reason), about, named + more) if part)
