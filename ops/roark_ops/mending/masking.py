"""A report as it may be shown to everybody: its structure, with what people said and who they are left out. Pure.

Numbers, times, ids and single words stand as they are; see `offending.py` for what counts as private.
"""

import json
from typing import Any

from roark_ops.mending.offending import told_value

_MOST_MEMBERS = 50


class _Number(str):
    """A number as it is written: 2.50 stays 2.50, and no digit of a long one is lost."""


def masked_report(payload: bytes) -> str:
    """Return a report over several lines; "" where it cannot be read."""
    try:
        found = json.loads(payload, parse_float=_Number, parse_int=_Number)
        return "\n".join(_lines(found, (), ""))
    except (ValueError, RecursionError):
        return ""


def _lines(value: Any, place: tuple[str, ...], margin: str) -> list[str]:
    match value:
        case dict() if value:
            rows = [(f"{json.dumps(name, ensure_ascii=False)}: ", name, inner) for name, inner in value.items()]
            return _block("{", "}", rows, place, margin)
        case list() if value:
            rows = [("", str(number), inner) for number, inner in enumerate(value[:_MOST_MEMBERS])]
            return _block("[", "]", rows, place, margin, more=len(value) - len(rows))
        case _:
            return [_leaf(value, place)]


def _block(
    begin: str, end: str, rows: list[tuple[str, str, Any]], place: tuple[str, ...], margin: str, *, more: int = 0
) -> list[str]:
    lines = [begin]
    for number, (head, name, inner) in enumerate(rows, start=1):
        first, *rest = _lines(inner, (*place, name), f"{margin}  ")
        comma = "," if number < len(rows) or more else ""
        found = [f"{margin}  {head}{first}", *rest]
        found[-1] += comma
        lines += found
    if more:
        lines.append(f"{margin}  … {more} more")
    return [*lines, f"{margin}{end}"]


def _leaf(value: Any, place: tuple[str, ...]) -> str:
    raw = value if isinstance(value, _Number) else json.dumps(value, ensure_ascii=False)
    return told_value(raw.encode("utf-8", "replace"), place)
