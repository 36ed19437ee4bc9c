"""How an operation is done in a ledger of several partitions: whom to ask what, round by round. Pure.

A plan is a generator: it yields what to ask, as `(where, operation)`, gets the answers in that order, and returns the
operation's answer. `ledger.py` carries plans out, many at once, with one round trip to each place and round.
"""

from collections import defaultdict
from collections.abc import Generator, Sequence
from typing import Any, TypeVar

from roark_ledger.errors import LedgerUnavailable
from roark_ledger.flow import NO_LIMITS
from roark_ledger.moves.goes import HOME, ByCall, Claims, Everywhere, First, Home, Refuses, Renews, Settles
from roark_ledger.moves.operation import Operation
from roark_ledger.partitions.lane import Permitted, Plan
from roark_ledger.partitions.moving import (
    LOOKS_AT_BOTH,
    LOOKS_ON,
    SOURCE,
    STANDS_STILL,
    calls_of,
    either,
    pulled,
    still_left,
)
from roark_ledger.partitions.placing import partition_of

T = TypeVar("T")


def plan(operation: Operation[Any], permitted: Permitted, *, is_moving: bool = False) -> Plan[Any]:
    """Return how to do an operation; `is_moving` while calls are moved into the partitions.

    A LedgerUnavailable may be an answer, of a place that is away; the plan raises it, unless it can do without.
    """
    if is_moving:
        if operation.script in STANDS_STILL:
            return operation.parse(STANDS_STILL[operation.script])
        if operation.script in LOOKS_AT_BOTH:
            (old,) = _there((yield [(SOURCE, operation)]))
            return either(old, (yield from _planned(operation, permitted, is_moving=True)))
        if operation.script not in LOOKS_ON:
            yield from pulled(calls_of(operation.goes), permitted.partitions)
    return (yield from _planned(operation, permitted, is_moving=is_moving))


def _planned(operation: Operation[Any], permitted: Permitted, *, is_moving: bool) -> Plan[Any]:
    partitions = permitted.partitions
    # What is left of the old ledger has the home's keys, too.
    home = SOURCE if is_moving else HOME
    match operation.goes:
        case Home():
            (answer,) = _there((yield [(HOME, operation)]))
        case First() as goes:
            (first,) = _there((yield [(HOME, goes.first)]))
            following = goes.then(first)
            answer = (
                goes.otherwise if following is None else (yield from plan(following, permitted, is_moving=is_moving))
            )
        case Everywhere() as goes:
            where = [*range(partitions), *([home] if goes.home_too else [])]
            ask = goes.instead or (lambda *_: operation)
            asked = [(each, ask(max(each, HOME), partitions)) for each in where]
            if is_moving and goes.left:
                # In their order it comes behind all partitions.
                (old,) = _there((yield [(SOURCE, ask(partitions, partitions))]))
                answers = yield from still_left(goes.left, old, partitions, asked)
            else:
                answers = yield asked
            answer = _joined(goes, answers, partitions)
            if goes.then:
                answer = yield from _followed(goes.then(answer), permitted, is_moving=is_moving)
        case ByCall() as goes:
            placed = _placed(goes.calls, partitions)
            where = list(range(partitions)) if goes.none_too else sorted(placed)
            answers = _there((yield [(each, goes.some(placed[each])) for each in where]))
            answer = goes.join([(placed[each], answer) for each, answer in zip(where, answers, strict=True)])
        case _:
            answer = yield from _about_permits(operation.goes, permitted)
    return answer


def _about_permits(goes: Claims[Any] | Settles[Any] | Refuses | Renews, permitted: Permitted) -> Plan[Any]:
    following: Plan[Any]
    match goes:
        case Claims():
            following = permitted.claim(
                goes.some,
                wanted=goes.wanted,
                lease_ms=goes.lease_ms,
                listen_ms=goes.listen_ms,
                most_bytes=goes.most_bytes,
                rules=goes.rules,
            )
        case Settles():
            following = permitted.settle(goes.outcomes, goes.some, rules=goes.rules)
        case Refuses():
            bounds = {"longest_gap_ms": goes.longest_gap_ms, "most_sends": goes.most_sends}
            following = permitted.refuse(goes.refused, rules=NO_LIMITS, **bounds)
        case Renews():
            following = permitted.renew(goes.held, lease_ms=goes.lease_ms)
    return (yield from following)


def _followed(following: Generator[Operation[Any], Any, T], permitted: Permitted, *, is_moving: bool) -> Plan[T]:
    """Do one operation after another, as they are yielded."""
    answer = None
    while True:
        try:
            operation = following.send(answer)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return] # what the generator returns
        answer = yield from plan(operation, permitted, is_moving=is_moving)


def _there(answers: list[Any]) -> list[Any]:
    """Return the answers. Raises LedgerUnavailable where a place is away."""
    for answer in answers:
        if isinstance(answer, LedgerUnavailable):
            raise answer
    return answers


def _joined(goes: Everywhere[T], answers: list[Any], partitions: int) -> T:
    away = [number for number, answer in enumerate(answers[:partitions]) if isinstance(answer, LedgerUnavailable)]
    if goes.without is None or not 0 < len(away) < partitions:
        return goes.join(_there(answers))
    gone = set(away)
    there = _there([answer for number, answer in enumerate(answers) if number not in gone])
    return goes.without(goes.join(there), away)


def _placed(call_ids: Sequence[str], partitions: int) -> defaultdict[int, list[int]]:
    """Return the places of the calls of each partition."""
    placed: defaultdict[int, list[int]] = defaultdict(list)
    for place, call_id in enumerate(call_ids):
        placed[partition_of(call_id, partitions)].append(place)
    return placed
