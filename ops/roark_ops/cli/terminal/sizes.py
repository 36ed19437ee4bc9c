"""Sizes as people type and read them: 60kB, 1.5 MB, 16GB, 4GiB. Pure but for its complaint."""

import re
from typing import NoReturn

from roark_ops.cli.terminal.running import USAGE, fail

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgt]i?)?b?", re.IGNORECASE)
_NAMES = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


def bytes_of(text: str, option: str) -> int:
    """Return how many bytes a text says, at least 1. Ends the command where it does not."""
    match = _SIZE.fullmatch(text.strip())
    return max(1, round(float(match[1]) * _UNITS[(match[2] or "").lower()])) if match else _refuse(text, option)


def size(number: float) -> str:
    """Return a number of bytes in words, with three digits: `107 GB`."""
    unit, name = next(((unit, name) for unit, name in _NAMES if number >= unit), (1, "bytes"))
    shown = number / unit
    return f"{shown:.0f} {name}" if shown >= 100 or unit == 1 else f"{shown:.3g} {name}"


def _refuse(text: str, option: str) -> NoReturn:
    fail(f"{option}: not a valid size: {text!r}. Try 60kB, 1.5MB or 16GB.", USAGE)
