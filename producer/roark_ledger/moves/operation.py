"""What every move of the ledger is made of: which script, which arguments, how to read the answer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Argument = bytes | str | int


@dataclass(frozen=True, slots=True)
class Operation(Generic[T]):
    """One call of one script. `args` leave out the time, which the ledger puts in front."""

    script: str
    args: tuple[Argument, ...]
    parse: Callable[[Any], T]


def parse_word(reply: bytes) -> str:
    return reply.decode()


def parse_words(reply: list[bytes]) -> list[str]:
    return [word.decode() for word in reply]
