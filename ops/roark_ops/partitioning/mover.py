"""Moves all calls of a ledger of one partition into partitions, in steps that may each be repeated.

1. Each partition gets the key of the tombstones and may adopt calls.
2. The calls are put aside, in one step. From then on the ledger has partitions: reports come in, go out and are acted
   on there. Whoever needs a call that was not moved yet brings it over (`partitions/moving.py`).
3. Tombstones are copied to every partition: they do not tell their calls.
4. Batch by batch: adopted by their partitions, as durably as reports are accepted, and only then dropped.
5. No partition adopts any more; nothing is left, and the ledger says how many partitions it has.

Whoever dies anywhere has done harm to nothing: the same again goes on where it was, and two at once do the same twice.
"""

import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

from roark_ledger.errors import IngestError, LedgerUnavailable
from roark_ledger.keys import Keys
from roark_ledger.ledger import Ledger
from roark_ledger.moves import moving
from roark_ledger.moves.moving import Row, Stage
from roark_ledger.moves.operation import Operation
from roark_ledger.partitions.ledger import PartedLedger
from roark_ledger.partitions.moving import adoptions
from roark_ledger.partitions.placing import prefixes
from roark_ledger.tombstones import BLOCK_BYTES, pads

AT_ONCE = 1000
_IN_A_SCRIPT = 50
_MOST_BYTES = 16_000_000
_MOST_THREADS = 16
_TOMBSTONES_AT_ONCE = 1000
_ENDED = "over"
_WHY = {
    "taken": "partition {part} already holds something: empty its keys, {{{prefix}}}:*",
    "other": "the calls are being moved into another number of partitions",
}


class NotMovable(IngestError):
    """The ledger cannot be turned into one of several partitions now; the message says why."""


@dataclass(frozen=True, slots=True)
class Split:
    """What was done: how many calls and tombstones, and what was left aside without a record."""

    partitions: int
    calls: int
    tombstones: int
    left_over: int


@dataclass(frozen=True, slots=True)
class Mover:
    """The ledger as it is (`whole`), what is left of it once its calls are put aside (`source`), and its partitions.

    Each durably: what was adopted must not be lost when it is dropped.
    """

    whole: Ledger
    source: Ledger
    parts: Sequence[Ledger]

    @classmethod
    def of(cls, ledger: PartedLedger, partitions: int) -> Self:
        """Return who moves this ledger's calls into so many partitions."""
        prefix = ledger.calls.prefix
        source = ledger.home.under(Keys.source(prefix), *Keys.under(prefix).of_calls())
        return cls(ledger.home, source, [ledger.part(name) for name in prefixes(prefix, partitions)])

    def stage(self) -> Stage:
        """How far it is, and what there is to move."""
        found = self.source.run(moving.stage())
        return found if found.partitions or found.moving else self.whole.run(moving.stage())

    def move(self, *, who: bytes, progress: Callable[[int], None] = lambda _: None) -> Split:
        """Do all that is left to do; `progress` is told how many calls were moved.

        Raises NotMovable, and LedgerUnavailable where a server is away: then again later.
        """
        stage = self.stage()
        if stage.partitions:
            self._demand_same(stage.partitions)
            return Split(stage.partitions, 0, 0, 0)
        self._demand_same(stage.moving or len(self.parts))
        self._prepare()
        self._begin(who)
        tombstones = self._copy_tombstones()
        calls = self._move_calls(progress)
        for part in self.parts:
            part.run_durably(moving.close())
        what, number, left_over = self.source.run_durably(moving.end(who=who))
        if what != "partitioned":
            raise NotMovable(f"{number} calls were left, although all were moved: run the same command again")
        return Split(number, calls, tombstones, left_over)

    def _demand_same(self, partitions: int) -> None:
        if partitions != len(self.parts):
            raise NotMovable(f"this ledger has {partitions} partitions, or is being split into as many")

    def _prepare(self) -> None:
        seed = self.source.run_durably(moving.seed(*pads(secrets.token_bytes(BLOCK_BYTES))))
        for number, part in enumerate(self.parts):
            answer = part.run_durably(moving.prepare(seed, len(self.parts)))
            if answer != "ready":
                raise NotMovable(_WHY[answer].format(part=number, prefix=part.calls.prefix))

    def _begin(self, who: bytes) -> None:
        what, number = self.source.run_durably(moving.begin(len(self.parts), who=who))
        if what == "replays":
            raise NotMovable(
                "replay jobs are open, or wait for reports that they sent: cancel them or let them end first"
            )
        if what != "began":
            self._demand_same(number)

    def _copy_tombstones(self) -> int:
        cursor, copied = -1, 0
        while cursor:
            cursor, page = self.source.run(moving.tombstones(max(0, cursor), most=_TOMBSTONES_AT_ONCE))
            copied += len(page)
            for part in self.parts if page else ():
                part.run_durably(moving.keep_erased(page))
        return copied

    def _move_calls(self, progress: Callable[[int], None]) -> int:
        moved = 0
        with ThreadPoolExecutor(min(len(self.parts), _MOST_THREADS)) as threads:
            while call_ids := self.source.run(moving.following(most=AT_ONCE)):
                rows, looked_at = self._exported(call_ids)
                # Each waits for its own disk.
                answers = threads.map(self._adopted, adoptions(rows, len(self.parts), most=_IN_A_SCRIPT))
                if any(_ENDED in answer for answer in answers):
                    raise LedgerUnavailable("another command has just moved the last calls: run this one again")
                done = [
                    moving.drop(call_ids[first : min(first + _IN_A_SCRIPT, looked_at)])
                    for first in range(0, looked_at, _IN_A_SCRIPT)
                ]
                moved += sum(self.source.run_all(done))
                progress(moved)
        return moved

    def _exported(self, call_ids: Sequence[str]) -> tuple[list[Row], int]:
        """Return what is known of the first of these calls, of as many as lie in some MB, and how many those are."""
        rows: list[Row] = []
        looked_at = size = 0
        while looked_at < len(call_ids) and size < _MOST_BYTES:
            found = self.source.run(moving.export(call_ids[looked_at : looked_at + _IN_A_SCRIPT]))
            rows += found.rows
            looked_at += found.looked_at
            size += sum(len(value) for row in found.rows for value in row if isinstance(value, bytes))
        return rows, looked_at

    def _adopted(self, adoption: tuple[int, list[Operation[list[str]]]]) -> list[str]:
        where, operations = adoption
        answers: list[list[str]] = self.parts[where].run_all(operations, durably=True)
        return [word for answer in answers for word in answer]
