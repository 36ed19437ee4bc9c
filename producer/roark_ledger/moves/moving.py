"""Moves from one partition to several: each call from what is left of the old ledger to its partition.

    seed    ─▶ prepare        each partition gets the tombstones' key and may adopt
    begin                     the calls are put aside; from here on the ledger has partitions
    export  ─▶ adopt ─▶ drop  call by call: known at its partition first, then gone from where it was
    close   ─▶ end            no partition adopts any more; nothing is left

All may be repeated. The headers of the scripts say what each guarantees, `partitions/plans.py` who else pulls calls.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from roark_ledger.moves.operation import Argument, Operation, parse_word, parse_words

Row = tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Stage:
    """How far it is: of how many `partitions` the ledger is, else 0; `moving` to so many; what there is to move."""

    partitions: int
    moving: int
    replays: int
    calls: int
    tombstones: int
    listed: int
    moved: int


@dataclass(frozen=True, slots=True)
class Seed:
    """What a partition begins with."""

    inner: bytes
    outer: bytes
    salt: bytes
    token: int


@dataclass(frozen=True, slots=True)
class CallsCopied:
    """What is known of the first so many calls: a row for each that is known at all, which begins with its id."""

    looked_at: int
    rows: tuple[Row, ...]


def stage() -> Operation[Stage]:
    """How far it is, and what there is to move."""
    return Operation("moving_look", (), lambda reply: Stage(*map(int, reply)))


def seed(inner: bytes, outer: bytes) -> Operation[Seed]:
    """What each partition begins with; the pads are for a ledger that has none yet."""
    return Operation("moving_seed", (inner, outer), lambda reply: Seed(reply[0], reply[1], reply[2], int(reply[3])))


def prepare(seed: Seed, partitions: int) -> Operation[str]:
    """Let a partition adopt; `ready`, or why not."""
    return Operation("moving_prepare", (seed.inner, seed.outer, seed.salt, seed.token, partitions), parse_word)


def begin(partitions: int, *, who: bytes) -> Operation[tuple[str, int]]:
    """Put the calls aside: `began`, or `moving`, `partitioned` or `replays`, with a number."""
    return Operation("moving_begin", (partitions, who), lambda reply: (reply[0].decode(), int(reply[1])))


def following(*, most: int) -> Operation[list[str]]:
    """Name calls that are still to be moved."""
    return Operation("moving_next", (most,), parse_words)


def export(call_ids: Sequence[str]) -> Operation[CallsCopied]:
    """What is known of the first of these calls: of as many as one script may read, but of one at least."""

    def parse(reply: list[Any]) -> CallsCopied:
        return CallsCopied(int(reply[0]), tuple(map(tuple, reply[1:])))

    return Operation("moving_export", tuple(call_ids), parse)


def adopt(rows: Iterable[Row]) -> Operation[list[str]]:
    """Take calls over: `adopted`, `known`, `erased`, `noted` or `over` for each."""
    return Operation("moving_adopt", tuple(value for row in rows for value in row), parse_words)


def known(call_ids: Sequence[str]) -> Operation[list[bool]]:
    """Say of each call whether a partition has it, or knows that it was erased."""
    return Operation("moving_known", tuple(call_ids), lambda reply: [flag == 1 for flag in reply])


def drop(call_ids: Sequence[str]) -> Operation[int]:
    """Remove calls that their partitions have; return how many were there."""
    return Operation("moving_drop", tuple(call_ids), int)


def tombstones(cursor: int, *, most: int) -> Operation[tuple[int, list[bytes]]]:
    """A page of tombstones, and where the next one begins, 0 behind the last."""
    return Operation("moving_tombstones", (cursor, most), lambda reply: (int(reply[0]), reply[1:]))


def keep_erased(found: Sequence[bytes]) -> Operation[int]:
    """Take tombstones over; return how many are new."""
    return Operation("moving_keep_erased", tuple(found), int)


def close() -> Operation[int]:
    """Let a partition adopt nothing any more."""
    return Operation("moving_close", (), int)


def end(*, who: bytes) -> Operation[tuple[str, int, int]]:
    """End it: `partitioned`, how many, and what was left over without a record; or `left`, with a number of calls."""

    def parse(reply: list[Any]) -> tuple[str, int, int]:
        return reply[0].decode(), int(reply[1]), int(reply[2]) if len(reply) > 2 else 0

    return Operation("moving_end", (who,), parse)
