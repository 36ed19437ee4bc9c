"""A ledger of several partitions, which is used as one of a single partition is.

    ledger = PartedLedger(home, lambda prefix: Ledger(client, prefix=prefix))
    ledger.run(accept(reports, …))                         # to the partitions of these calls

How many there are is asked of the home before the first operation; where there is one, it is the home itself. A home
that was emptied does not know: `remembered` is what this machine does (`keeping.py`), and it is told again.

Each partition is a whole ledger under its own hash tag, on whatever node of the cluster has that; the home has what is
about all of them, and no reports. Every operation says where it goes (`moves/goes.py`), `plans.py` what that means.

A ledger of one partition may be turned into one of several while it is open (`moving.py`). For whoever took it for one
its scripts fail before they write anything: he looks anew, and does the same again; and he looks every few seconds.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import nullcontext
from itertools import chain
from typing import Any, Generic, TypeVar

from roark_ledger.errors import LedgerFault, LedgerUnavailable
from roark_ledger.keys import Keys
from roark_ledger.ledger import AfterWrite, AsyncLedger, Ledger
from roark_ledger.moves.goes import HOME
from roark_ledger.moves.operation import Operation
from roark_ledger.moves.watch import keep_partitions
from roark_ledger.partitions.absences import HANGS_SECONDS, Absences, until_back, until_back_async
from roark_ledger.partitions.lane import Permitted
from roark_ledger.partitions.moving import SOURCE
from roark_ledger.partitions.placing import partition_of, prefixes
from roark_ledger.partitions.plan_rounds import PlanRounds, are_about_permits
from roark_ledger.server.ahead import Ahead

_LOOK_SECONDS = 5
T = TypeVar("T")
L = TypeVar("L")


class _Found(Generic[L]):
    """The partitions as they were found; none where the home is all there is.

    The `source` is what is left of the ledger that was one, while its calls are moved.
    """

    def __init__(self, home: L, parts: Sequence[L], source: L | None = None) -> None:
        self.home = home
        self.source = source
        self.parts = tuple(parts)
        self.permitted = Permitted(len(parts), partition_of=partition_of)
        self.lock = threading.RLock()
        self.absences = Absences(len(parts))
        self._looked_at = time.monotonic()

    @property
    def may_have_changed(self) -> bool:
        """Whether to look again: of one partition it may become one of several, and their calls are moved one day."""
        return (not self.parts or self.source is not None) and time.monotonic() - self._looked_at > _LOOK_SECONDS

    def now(self, found: "_Found[L]") -> "_Found[L]":
        """Return what was found now, with the permits and connections of before where it is the same partitions."""
        if len(found.parts) == len(self.parts):
            found.parts, found.permitted = self.parts, self.permitted
            found.lock, found.absences = self.lock, self.absences
        return found

    def at(self, where: int) -> L:
        """Return a partition, the home, or what is left of the old ledger."""
        if where == SOURCE and self.source is not None:
            return self.source
        return self.home if where == HOME else self.parts[where]

    @staticmethod
    def node_of(where: int) -> int:
        """Return where to look whether it is away: what is left of the old ledger is where the home is."""
        return HOME if where == SOURCE else where

    @property
    def holders(self) -> tuple[L, ...]:
        """What has reports."""
        return self.parts or (self.home,)


def _keys_of(prefix: str) -> tuple[Keys, Keys]:
    """Return the keys of the home, and of what is left of the ledger that was one."""
    return Keys.home(prefix), Keys.source(prefix)


class PartedLedger(Ledger):
    """The ledger for sync callers. Safe to share between threads."""

    def __init__(self, home: Ledger, part: Callable[[str], Ledger], remembered: Callable[[], int] = lambda: 0) -> None:
        super().__init__(home.client, prefix=home.calls.prefix, clock=home.calls.clock)
        self.home = home
        self._part = part
        self._remembered = remembered
        self._finding = threading.Lock()
        self._found: _Found[Ledger] | None = None

    @property
    def parts(self) -> tuple[Ledger, ...]:
        found = self._all()
        return (*found.parts, found.source or found.home)

    def part(self, prefix: str) -> Ledger:
        """Return what has this prefix, in the same place, as a ledger by itself."""
        return self._part(prefix)

    def promising(self, after_write: AfterWrite) -> "PartedLedger":
        return PartedLedger(
            self.home.promising(after_write), lambda prefix: self._part(prefix).promising(after_write), self._remembered
        )

    def run_all(self, operations: Sequence[Operation[T]], *, durably: bool = False) -> list[T]:
        found = self._all()
        if not found.parts:
            try:
                return self.home.run_all(operations, durably=durably)
            except LedgerFault:
                found = self._look()
                if not found.parts:
                    raise
        with found.lock if are_about_permits(operations) else nullcontext():
            rounds = PlanRounds(operations, found.permitted, is_moving=found.source is not None)
            while asked := rounds.asked():
                rounds.answered({where: self._ask(found, where, theirs, durably) for where, theirs in asked.items()})
        return rounds.answers

    def _ahead(self) -> Ahead:
        return Ahead(None if self._all().parts else self.client, self.calls.evalsha, self.run)

    def _all(self) -> "_Found[Ledger]":
        known = self._found
        return self._look() if known is None or known.may_have_changed else known

    def _look(self) -> "_Found[Ledger]":
        with self._finding:
            found = self._find()
            self._found = found = self._found.now(found) if self._found else found
        return found

    def _find(self) -> "_Found[Ledger]":
        number, is_moving = self.home.partitions()
        if not number and (number := self._remembered()):
            self.home.run(keep_partitions(number))
        if not number:
            return _Found(self.home, ())
        home, source = _keys_of(self.calls.prefix)
        parts = [self._part(name) for name in prefixes(self.calls.prefix, number)]
        return _Found(self.home.under(home), parts, self.home.under(source) if is_moving else None)

    @staticmethod
    def _ask(found: "_Found[Ledger]", where: int, operations: list[Operation[Any]], durably: bool) -> list[Any]:
        ledger, node, asked_at = found.at(where), found.node_of(where), time.monotonic()
        if away := found.absences.known(node):
            return [away] * len(operations)
        try:
            answers: list[Any] = ledger.run_all(operations, durably=durably)
        except LedgerUnavailable as error:
            away, hangs = found.absences.failed(node, error, asked_at)
            if hangs:
                arguments = (found.absences, node, ledger)
                threading.Thread(target=until_back, args=arguments, name="until it is back", daemon=True).start()
            return [away] * len(operations)
        found.absences.answered(node)
        return answers

    def scan_records(self, page: int) -> Iterator[dict[str, str]]:
        found = self._all()
        left = (found.source,) if found.source else ()
        return chain.from_iterable(part.scan_records(page) for part in (*found.holders, *left))

    def scan_places(self, page: int) -> Iterator[list[str]]:
        return chain.from_iterable(part.scan_places(page) for part in self._all().holders)

    def scan_delivered(self, page: int) -> Iterator[list[str]]:
        return chain.from_iterable(part.scan_delivered(page) for part in self._all().holders)

    def erased_count(self) -> int:
        return sum(part.erased_count() for part in self.parts)

    def erased_of(self, call_ids: Collection[str]) -> set[str]:
        holders = self._all().holders
        theirs: list[list[str]] = [[] for _ in holders]
        for call_id in call_ids:
            theirs[partition_of(call_id, len(holders))].append(call_id)
        found = set().union(*(part.erased_of(some) for part, some in zip(holders, theirs, strict=True)))
        return found | (self.home.erased_of(call_ids) if self._all().source else set())

    def close(self) -> None:
        self.home.close()
        for part in self._found.parts if self._found else ():
            part.close()


class AsyncPartedLedger(AsyncLedger):
    """The ledger for asyncio callers. Belongs to one event loop."""

    def __init__(
        self, home: AsyncLedger, part: Callable[[str], AsyncLedger], remembered: Callable[[], int] = lambda: 0
    ) -> None:
        super().__init__(home.client, prefix=home.calls.prefix, clock=home.calls.clock)
        self.home = home
        self._part = part
        self._remembered = remembered
        self._found: _Found[AsyncLedger] | None = None
        self._looking: set[asyncio.Task[None]] = set()

    async def parts(self) -> tuple[AsyncLedger, ...]:
        return (*(await self._all()).parts, self.home)

    async def run_all(self, operations: Sequence[Operation[T]], *, durably: bool = False) -> list[T]:
        found = await self._all()
        if not found.parts:
            try:
                return await self.home.run_all(operations, durably=durably)
            except LedgerFault:
                found = await self._look()
                if not found.parts:
                    raise
        rounds = PlanRounds(operations, found.permitted, is_moving=found.source is not None)
        while asked := rounds.asked():
            answers = await asyncio.gather(
                *(self._ask(found, where, theirs, durably) for where, theirs in asked.items())
            )
            rounds.answered(dict(zip(asked, answers, strict=True)))
        return rounds.answers

    async def _all(self) -> "_Found[AsyncLedger]":
        known = self._found
        return await self._look() if known is None or known.may_have_changed else known

    async def _look(self) -> "_Found[AsyncLedger]":
        found = await self._find()
        self._found = found = self._found.now(found) if self._found else found
        return found

    async def _find(self) -> "_Found[AsyncLedger]":
        number, is_moving = await self.home.partitions()
        if not number and (number := self._remembered()):
            await self.home.run(keep_partitions(number))
        if not number:
            return _Found(self.home, ())
        home, source = _keys_of(self.calls.prefix)
        parts = [self._part(name) for name in prefixes(self.calls.prefix, number)]
        return _Found(self.home.under(home), parts, self.home.under(source) if is_moving else None)

    async def _ask(
        self, found: "_Found[AsyncLedger]", where: int, operations: list[Operation[Any]], durably: bool
    ) -> list[Any]:
        ledger, node, asked_at = found.at(where), found.node_of(where), time.monotonic()
        if away := found.absences.known(node):
            return [away] * len(operations)
        try:
            answers: list[Any] = await ledger.run_all(operations, durably=durably)
        except asyncio.CancelledError:
            # Whoever asked may not have waited for as long as it takes to hear that nobody answers.
            if time.monotonic() - asked_at >= HANGS_SECONDS:
                self._note_failed(found, where, LedgerUnavailable("Redis does not answer"), asked_at)
            raise
        except LedgerUnavailable as error:
            return [self._note_failed(found, where, error, asked_at)] * len(operations)
        found.absences.answered(node)
        return answers

    def _note_failed(
        self, found: "_Found[AsyncLedger]", where: int, error: LedgerUnavailable, asked_at: float
    ) -> LedgerUnavailable:
        node = found.node_of(where)
        away, hangs = found.absences.failed(node, error, asked_at)
        if hangs:
            looking = asyncio.create_task(until_back_async(found.absences, node, found.at(where)))
            self._looking.add(looking)
            looking.add_done_callback(self._looking.discard)
        return away

    async def aclose(self) -> None:
        for looking in self._looking:
            looking.cancel()
        await self.home.aclose()
        for part in self._found.parts if self._found else ():
            await part.aclose()
