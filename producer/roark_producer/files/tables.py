"""A table with JSON in one of its columns, as databases export it: CSV, with commas, semicolons, tabs or bars.

Each row comes out as a JSON object of its columns, all of them strings, so that a place in it can be named like any
other (`.payload`) and what stands there is the text of the cell, byte for byte.
"""

import csv
import json
import re
from collections.abc import Iterator

from roark_producer.files.compression import DamagedInput
from roark_producer.files.json_elements import Document

_CELL = re.compile(r'"?[A-Za-z_][\w .:/-]*"?')
_JSON_IN_A_CELL = re.compile(rb'"\s*[\[{]\s*""|[,;\t|][\[{]\s*"')


def delimiter_of(first: bytes) -> str | None:
    """Return what parts the columns where a file that begins like this is such a table, else None."""
    header, _, rest = first.partition(b"\n")
    try:
        names = header.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        return None
    if not _JSON_IN_A_CELL.search(rest):
        return None
    for delimiter in ("\t", ";", "|", ","):
        cells = names.split(delimiter)
        if (len(cells) > 1 or delimiter == ",") and all(_CELL.fullmatch(cell.strip()) for cell in cells):
            return delimiter
    return None


def rows(lines: Iterator[bytes], delimiter: str, *, most_bytes: int) -> Iterator[Document]:
    """Yield each row below the first, with the line on which it begins.

    Raises DamagedInput when a cell does not end.
    """
    csv.field_size_limit(most_bytes + 1)
    texts = (line.decode("utf-8", "surrogateescape").removeprefix("\ufeff") for line in lines)
    reader = csv.reader(texts, delimiter=delimiter)
    begins = 1
    names: list[str] | None = None
    try:
        for row in reader:
            if names is None:
                names = [name.strip() for name in row]
            elif any(row):
                cells = dict(zip(names, row, strict=False))
                yield Document(begins, json.dumps(cells).encode(), is_row=True)
            begins = reader.line_num + 1
    except csv.Error as error:
        raise DamagedInput(f"cannot read the table from line {begins} on ({error})") from error
