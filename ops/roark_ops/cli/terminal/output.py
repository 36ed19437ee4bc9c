"""What a command prints on stdout: JSON documents, or tables and lines for people.

In a terminal tables are Rich's; where that is too narrow for them, each row is printed as a few lines, so that no
id is ever cut. Text is broken between words there, and a command never, so that it can be copied. In a pipe nothing is
broken, and tables are plain columns of whatever width they need, for `grep` and `awk`.
"""

import io
import json
import re
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

from roark_ops.called import as_called

Row = Sequence[str]
_GAP = 3
# A command reaches to the end of its sentence; what stands for its blanks while lines are broken is in no text.
_COMMAND = re.compile(r"`[^`]+`|\broark-ingest (?:[^;.()]|\.(?! |$))+")
_KEPT = "\0"
_LEAST_LAST = 20


def take_any_text() -> None:
    """Have what a terminal's encoding lacks shown as `?` rather than end the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def print_json(document: Any) -> None:
    """Print one JSON document on one line."""
    sys.stdout.write(json.dumps(document) + "\n")


def print_line(text: str = "", *, style: str = "") -> None:
    """Print one line; `style` is Rich's and shows in terminals only."""
    text = as_called(text)
    if not sys.stdout.isatty():
        sys.stdout.write(text + "\n")
        return
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    console.print(broken(text, console.width), style=style or None, soft_wrap=True)


def print_table(head: Row, rows: Sequence[Row], *, right: frozenset[int] = frozenset()) -> None:
    """Print rows under a head. `right` are the columns that are numbers; only the last column may be long."""
    rows = [[as_called(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _print_rich(head, rows, right)
        return
    lines = [[name.upper() for name in head], *map(list, rows)]
    widths = _widths(lines)
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        for column in right:
            cells[column] = line[column].rjust(widths[column])
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


def print_facts(facts: Sequence[tuple[str, str]]) -> None:
    """Print names and values below each other."""
    width = max(len(name) for name, _ in facts)
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    for name, value in facts:
        print_line(broken(f"{name.ljust(width)}  {as_called(value)}", columns, indent=width + 2))


def broken(text: str, columns: int, *, indent: int | None = None) -> str:
    """Return each line broken between words where it is longer than `columns` (0: never), but never inside a command.

    What follows is indented like the line itself, or by `indent`.
    """
    return "\n".join(_broken(line, columns, indent) for line in text.split("\n"))


def _broken(text: str, columns: int, indent: int | None) -> str:
    if not columns or len(text) <= columns:
        return text
    margin = len(text) - len(text.lstrip()) if indent is None else indent
    whole = _COMMAND.sub(lambda command: command[0].replace(" ", _KEPT), text)
    lines = textwrap.wrap(
        whole,
        columns,
        subsequent_indent=" " * margin,
        break_long_words=False,
        break_on_hyphens=False,
        expand_tabs=False,
        replace_whitespace=False,
    )
    return "\n".join(lines).replace(_KEPT, " ")


def _widths(lines: Sequence[Row]) -> list[int]:
    return [max(map(len, column)) for column in zip(*lines, strict=True)]


def _print_rich(head: Row, rows: Sequence[Row], right: frozenset[int]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, emoji=False)
    *widths, _ = _widths([head, *rows])
    if sum(widths) + _GAP * len(widths) + _LEAST_LAST > console.width:
        _print_below_each_other(head, rows)
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column, name in enumerate(head):
        is_last = column == len(head) - 1
        table.add_column(name, justify="right" if column in right else "left", no_wrap=not is_last, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def _print_below_each_other(head: Row, rows: Sequence[Row]) -> None:
    # Columns of a few characters would be of no use: ids are there to be copied.
    for row in rows:
        print_facts([(name or "-", cell) for name, cell in zip(head, row, strict=True) if cell])
        print_line()
