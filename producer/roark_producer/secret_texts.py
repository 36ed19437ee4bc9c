"""Secrets as they are handed in, by a variable, `.env`, a file or a program: one rule for all of them.

1. Blanks, line ends and a byte order mark around a secret are no part of it: editors, `echo` and mounts add them.
2. What is blank only counts as not set.
3. A line end or another control character inside is refused: it came along with a copy, and no header can carry it.
"""

import os
import re
from pathlib import Path

from roark_ledger.errors import ConfigurationError

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_LINE_ENDS = "\r\n\ufeff"


def tidied(text: str, *, has_lines: bool = False, keeps_blanks: bool = False) -> str:
    """Return a secret as it counts; with `has_lines` several stand below each other.

    With `keeps_blanks` blanks around stay, for a key that may have them. Raises ValueError, which does not quote it.
    """
    plain = text.strip().strip(_LINE_ENDS).strip()
    if _CONTROL.search(re.sub(r"\r?\n", "", plain) if has_lines else plain):
        raise ValueError(
            "contains a line break or another control character: it is not a valid header value or URL. Copy it again"
        )
    return text.strip(_LINE_ENDS) if keeps_blanks and plain else plain


def secret_in_file(name: str) -> str | None:
    """Return what stands in the file that the variable `name` with `_FILE` behind it names, or None without one."""
    path = os.environ.get(f"{name}_FILE")
    if not path:
        return None
    try:
        # As bytes: a text's lone carriage return would be turned into a line end.
        return Path(path).read_bytes().decode()
    except OSError as error:
        raise ConfigurationError(f"{name}_FILE names {path}, but it cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{name}_FILE names {path}, but it is not UTF-8 text") from None


def tidied_secret(name: str, given: str | None) -> str:
    """Return the secret of a variable that is no setting of a model: what was given, or its file's; "" without one.

    Raises ConfigurationError, which names the variable.
    """
    try:
        return tidied(given or "") or tidied(secret_in_file(name) or "")
    except ValueError as error:
        raise ConfigurationError(f"{name} {error}") from None
