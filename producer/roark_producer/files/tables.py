r"""A table with JSON in one of its columns, as databases export it: CSV, with commas, semicolons, tabs or bars.

Each row comes out as a JSON object of its columns, all of them strings, so that a place in it can be named like any
other (`.payload`) and what stands there is the text of the cell, byte for byte. Columns without names are numbered,
from 1.

COPY and mysql write tabs between cells, no quotes, and each backslash twice. Nothing in a file says whether it is such
a one, so a cell does: where every backslash has its second, it is. JSON of calls has single ones nearly always (`\n`).
"""

import csv
import json
import re
from collections.abc import Iterator
from typing import NamedTuple

from roark_producer.files.compression import DamagedInput
from roark_producer.files.json_elements import Document

_CELL = re.compile(r'"?[A-Za-z_][\w .:/-]*"?')
_JSON_IN_A_CELL = re.compile(rb'"\s*[\[{]\s*""|[,;\t|][\[{]\s*"')
# The first row of a table without names: something, and behind it JSON, which only tabs and bars leave without quotes.
_NAMELESS = re.compile(rb'[^\n{\[]*(?:(?P<quoted>[,;\t|])"[\[{]\s*""|(?P<bare>[\t|])[\[{]\s*")')
_SEPARATOR = re.compile(rb"(?:\xef\xbb\xbf)?sep=([,;\t|])\r?\n")  # Excel's own first line
_LONE_BACKSLASH = re.compile(r"(?<!\\)(?:\\\\)*\\(?!\\)")
_PAIR = re.compile(r"\\(.)", re.DOTALL)


class Table(NamedTuple):
    """How a file is a table."""

    delimiter: str
    has_names: bool = True
    """Whether its first row names the columns."""
    skipped: int = 0
    """How many lines stand before its first row."""
    is_bare: bool = False
    """Whether its cells are bare, with tabs between them."""


def table_in(first: bytes) -> Table | None:
    """Return how a file that begins like this is a table with JSON in it, or None."""
    said = _SEPARATOR.match(first)
    first = first[said.end() :] if said else first
    skipped = int(bool(said))
    header, _, rest = first.partition(b"\n")
    if nameless := _NAMELESS.match(first):
        found = (nameless["quoted"] or nameless["bare"]).decode()
        return Table(found, has_names=False, skipped=skipped, is_bare=nameless["bare"] == b"\t")
    try:
        names = header.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        return None
    if not _JSON_IN_A_CELL.search(rest):
        return None
    for delimiter in (said[1].decode(),) if said else ("\t", ";", "|", ","):
        cells = names.split(delimiter)
        if (len(cells) > 1 or delimiter == ",") and all(_CELL.fullmatch(cell.strip()) for cell in cells):
            is_bare = delimiter == "\t" and re.search(rb"\t[\[{]", rest) is not None
            return Table(delimiter, skipped=skipped, is_bare=is_bare)
    return None


def rows(lines: Iterator[bytes], table: Table, *, most_bytes: int) -> Iterator[Document]:
    """Yield each row, but the names, with the line on which it begins.

    Raises DamagedInput when a cell does not end.
    """
    csv.field_size_limit(most_bytes + 1)
    texts = (line.decode("utf-8", "surrogateescape").removeprefix("\ufeff") for line in lines)
    for _ in range(table.skipped):
        next(texts)
    reader = csv.reader(texts, delimiter=table.delimiter)
    begins = 1 + table.skipped
    names: list[str] | None = None
    try:
        for row in reader:
            if names is None:
                names = [name.strip() if table.has_names else str(at) for at, name in enumerate(row, start=1)]
                if table.has_names:
                    row.clear()
            if any(row):
                cells = [_single(cell) for cell in row] if table.is_bare else row
                yield Document(begins, json.dumps(dict(zip(names, cells, strict=False))).encode(), is_row=True)
            begins = reader.line_num + 1 + table.skipped
    except csv.Error as error:
        raise DamagedInput(f"cannot read the table from line {begins} on ({error})") from error


def _single(cell: str) -> str:
    if "\\" not in cell or not cell.startswith(("{", "[")) or _LONE_BACKSLASH.search(cell):
        return cell
    return _PAIR.sub(r"\1", cell)
