"""What every move of the ledger is made of: which script, which arguments, how to read the answer."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from roark_ledger.moves.goes import TO_HOME, ByCall, Goes, Places, in_order, the_only

T = TypeVar("T")
R = TypeVar("R")
Argument = bytes | str | int


@dataclass(frozen=True, slots=True)
class Operation(Generic[T]):
    """One call of one script. `args` leave out the time, which the ledger puts in front."""

    script: str
    args: tuple[Argument, ...]
    parse: Callable[[Any], T]
    goes: Goes[T] = TO_HOME


def parse_word(reply: bytes) -> str:
    return reply.decode()


def parse_words(reply: list[bytes]) -> list[str]:
    return [word.decode() for word in reply]


def for_calls(
    script: str,
    head: tuple[Argument, ...],
    rows: Iterable[Sequence[Argument]],
    parse: Callable[[Any], list[R]],
    join: Callable[[Sequence[tuple[Places, list[R]]]], list[R]] = in_order,
) -> Operation[list[R]]:
    """Return an operation on calls: each row begins with a call's id, and `parse` returns one result for each.

    `join` is another one where that is not so.
    """
    rows = list(rows)
    return Operation(
        script,
        (*head, *(argument for row in rows for argument in row)),
        parse,
        ByCall(
            [str(row[0]) for row in rows],
            lambda places: for_calls(script, head, [rows[place] for place in places], parse, join),
            join,
        ),
    )


def for_call(script: str, call_id: str, args: tuple[Argument, ...], parse: Callable[[Any], T]) -> Operation[T]:
    """Return an operation on one call; `args` are all of them."""
    operation = Operation(script, args, parse, ByCall((call_id,), lambda _: operation, the_only))
    return operation
