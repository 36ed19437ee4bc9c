"""Where an operation goes in a ledger of several partitions: each says it beside its arguments, once.

A ledger of one partition never asks. In others every call has its partition (`partitions/placing.py`), and what is
about all of them, the lane first of all, has its home.

    Home          the home alone: the lane, alerts, set-ups, the rejected bin, whose turn it is
    ByCall        the partitions of its calls, each with its own calls
    Everywhere    all partitions; and the home, where it has something of that, too
"""

from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from roark_ledger.flow import FlowRules
from roark_ledger.routes import Route

if TYPE_CHECKING:
    from roark_ledger.moves.operation import Operation

T = TypeVar("T")
R = TypeVar("R")
Places = Sequence[int]
HOME = -1
"""The number of the home, beside those of partitions, from 0."""


@dataclass(frozen=True, slots=True)
class Home:
    """To the home, and nowhere else."""


TO_HOME = Home()


@dataclass(frozen=True, slots=True)
class ByCall(Generic[T]):
    """To the partitions of these calls.

    `some` returns the same operation for the calls at some places, in the order of those, and `join` one answer for all
    from answers for some, each with its places. With `none_too` the other partitions are asked as well, about no call.
    """

    calls: Sequence[str]
    some: "Callable[[Places], Operation[T]]"
    join: Callable[[Sequence[tuple[Places, T]]], T]
    none_too: bool = False


@dataclass(frozen=True, slots=True)
class Left(Generic[T]):
    """How what is left of a ledger of one partition answers, whose calls are being moved.

    It may still name calls that their partitions have: `calls` returns those that an answer names, and `only` the
    answer about some of them.
    """

    calls: Callable[[T], Sequence[str]]
    only: Callable[[T, Collection[str]], T]


@dataclass(frozen=True, slots=True)
class Everywhere(Generic[T]):
    """To all partitions, in their order, and, where `home_too`, then to the home.

    `instead` returns what one of so many partitions is asked, by its number (the home's is HOME), where that is not the
    operation itself. `then` goes on with what they answered: it yields operations, gets what they return, and returns
    the answer.

    Where a partition is away, nothing is answered; unless there is `without`: then the others do it by themselves, and
    it gets their answer with the numbers of those that are away, and returns what is to be answered. The home and one
    partition at least must be there.

    While calls are moved into partitions, those that are still to be count, too, if `left` says how.
    """

    join: Callable[[Sequence[T]], T]
    home_too: bool = False
    instead: "Callable[[int, int], Operation[T]] | None" = None
    then: "Callable[[T], Generator[Operation[Any], Any, T]] | None" = None
    without: Callable[[T, Places], T] | None = None
    left: Left[T] | None = None


@dataclass(frozen=True, slots=True)
class First(Generic[T]):
    """To the home by another operation first, whose answer tells what all partitions are asked then.

    `then` returns that, and None where nothing is to be done any more: then the answer is `otherwise`.
    """

    first: "Operation[Any]"
    then: "Callable[[Any], Operation[T] | None]"
    otherwise: T | None = None


@dataclass(frozen=True, slots=True)
class Claims(Generic[T]):
    """Where the lane lets reports pass: the home says how many, and partitions that have some hand them out.

    `some` returns the operation for one of them: how many reports, of how many bytes at most, by which way in if the
    home knows (None: as the caller is set), and which.
    """

    wanted: int
    lease_ms: int
    listen_ms: int
    most_bytes: int
    rules: FlowRules
    some: "Callable[[int, int, Route | None, str], Operation[T]]"


@dataclass(frozen=True, slots=True)
class Settles(Generic[T]):
    """To the partitions of its calls, and what came of them to the home's lane; `some` records some of the outcomes."""

    outcomes: Sequence[Any]
    rules: FlowRules
    some: "Callable[[Any], Operation[T]]"


@dataclass(frozen=True, slots=True)
class Refuses:
    """To the home, which judges refusals, and to the partitions of their calls, which record them."""

    refused: Sequence[Any]
    longest_gap_ms: int
    most_sends: int


@dataclass(frozen=True, slots=True)
class Renews:
    """To the partitions of its calls, and to the home, which counts their uploads."""

    held: Sequence[Any]
    lease_ms: int


Goes = Home | First[T] | Claims[T] | Settles[T] | Refuses | Renews | ByCall[T] | Everywhere[T]


def as_it_is(answer: T, _away: Places) -> T:
    """Go on without partitions that are away: what they would have done they do when they are back."""
    return answer


def in_order(answers: Sequence[tuple[Places, list[R]]]) -> list[R]:
    """Join answers that have one result for each call: in the order of the calls."""
    found = {place: result for places, results in answers for place, result in zip(places, results, strict=True)}
    return [found[place] for place in sorted(found)]


def one_after_another(answers: Sequence[tuple[Places, list[R]]]) -> list[R]:
    """Join answers that tell only of some calls."""
    return [result for _, results in answers for result in results]


def the_only(answers: Sequence[tuple[Places, T]]) -> T:
    """Return the answer about a single call."""
    ((_, answer),) = answers
    return answer


def as_far_as_all(answers: Sequence[tuple[Places, list[R]]]) -> list[R]:
    """Join answers about the first ones of their calls: in the order of the calls, up to the first that has none."""
    found = {place: result for places, results in answers for place, result in zip(places, results, strict=False)}
    missing = min(
        (places[len(results)] for places, results in answers if len(results) < len(places)), default=len(found)
    )
    return [found[place] for place in range(missing)]
