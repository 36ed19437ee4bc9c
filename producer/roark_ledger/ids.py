"""What names things in the ledger: a call by Vapi's id, a lease by its token."""

import shlex
from typing import NewType

CallId = NewType("CallId", str)
LeaseToken = NewType("LeaseToken", int)


def as_argument(*words: str) -> str:
    """Return ids (or file names) that came from outside as the last arguments of a command line to type.

    Each is quoted for the shell, and none can be taken for an option: `--` stands before them where one begins so.
    """
    quoted = " ".join(map(shlex.quote, words))
    return f"-- {quoted}" if any(word.startswith("-") for word in words) else quoted
