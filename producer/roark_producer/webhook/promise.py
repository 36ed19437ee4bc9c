"""The ledger, handed out only while its server is known to keep the durability promise.

1. `get` hands the ledger out when the last check was good; otherwise it checks first, so there is no yes before
   the promise was checked, however late Redis comes up.
2. `doubt` forgets the last check after an answer was lost: what answers next may be another server after a
   failover, or the same one with other settings after a restart.
3. `watch` checks again every few seconds, which bounds for how long a setting changed at run time stays unseen.

A ledger whose partitions are on several nodes has one such promise for each (`of`), beside that of its home: one that
is away, or whose node cannot keep it, stops its own calls only.

The check is blocking (it uses the sync client) and runs in a thread, one at a time.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from roark_ledger.errors import ConfigurationError, IngestError, LedgerError, LedgerRefuses, LedgerUnavailable, named
from roark_ledger.ledger import AfterWrite, AsyncLedger
from roark_ledger.logs import event
from roark_ledger.moves import intake
from roark_ledger.moves import watch as watch_moves
from roark_ledger.moves.goes import HOME
from roark_ledger.partitions.naming import place_in_words, places_in_words
from roark_ledger.partitions.placing import partition_of
from roark_ledger.records.snapshot import Snapshot
from roark_ledger.server.durability import Kept

logger = logging.getLogger(__name__)

_WATCH_SECONDS = 2.0
_PING_SECONDS = 1.0
_MOST_CHECKS_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Problem:
    """Why no report can be taken now. `refusal` is Redis's own word where it answers: MISCONF, NOPERM …

    `partly`: only those of some partitions cannot.
    """

    words: str
    refusal: str = ""
    partly: bool = False


class PromisedLedger:
    """Belongs to one event loop. `check` asks the server; `make` builds the ledger for how the promise is kept.

    `partitions` says how many may be away by themselves, none where all are on one server; it is asked after each good
    check, and `check_at` then asks the server of one of them. Who is quiet logs nothing: another process sees the same,
    and tells.
    """

    def __init__(
        self,
        check: Callable[[], Kept],
        make: Callable[[AfterWrite], AsyncLedger],
        *,
        is_quiet: bool = False,
        partitions: Callable[[], int] = lambda: 0,
        check_at: Callable[[int], Kept] | None = None,
    ) -> None:
        self._inspect = check
        self._make = make
        self._made: tuple[AfterWrite, AsyncLedger] | None = None
        self._ledger: AsyncLedger | None = None
        self._checking: asyncio.Task[None] | None = None
        self._is_quiet = is_quiet
        self._last_told = ""
        self._number_of = partitions
        self._inspect_at = check_at
        self._threads: ThreadPoolExecutor | None = None
        self._place = HOME
        self._of: dict[str, int] = {}
        self.parts: tuple[PromisedLedger, ...] = ()
        """The promises of the partitions; none where there is one server for all."""
        self.error: IngestError | None = None
        """Why the last check failed: LedgerError when Redis did not answer, BrokenPromise when it cannot keep it."""

    @property
    def is_broken(self) -> bool:
        """Whether the server answers, and its settings break the promise."""
        return isinstance(self.error, ConfigurationError)

    def of(self, call_id: str) -> "PromisedLedger":
        """Return the promise that a call's reports depend on."""
        return self.parts[partition_of(call_id, len(self.parts))] if self.parts else self

    async def get(self) -> AsyncLedger:
        """Return the ledger. Raises LedgerUnavailable while the promise cannot be checked or is broken."""
        if self._ledger is None:
            await self.check()
        if self._ledger is None:
            away = LedgerUnavailable(str(self.error))
            raise named(away, place_in_words(self._place, self._of["of"])) if self._of else away
        return self._ledger

    def doubt(self) -> None:
        """Demand a check before the ledger is handed out again."""
        self._ledger = None

    async def check(self) -> None:
        """Check the promise now, or wait for the check that is under way; `error` then tells how it went."""
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(self._check())
        await asyncio.shield(self._checking)

    async def watch(self) -> None:
        """Check every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            # One that hangs is not waited for by the others.
            looking = [asyncio.ensure_future(each.check()) for each in (self, *self.parts)]
            await asyncio.wait(looking, timeout=_WATCH_SECONDS)

    async def problem(self) -> Problem | None:
        """Return why no report can be taken now, or None; within a second or so."""
        here = await self._problem_here()
        if not self.parts:
            return here
        found = await asyncio.gather(*(part._problem_here() for part in self.parts))
        problems = [(number, problem) for number, problem in enumerate(found) if problem]
        if here:
            problems.append((HOME, here))
        if not problems:
            return None
        return Problem(
            _in_words(problems, len(self.parts)),
            next((problem.refusal for _, problem in problems if problem.refusal), ""),
            partly=not all(found),
        )

    async def _problem_here(self) -> Problem | None:
        try:
            async with asyncio.timeout(_PING_SECONDS):
                await self._ping(await self.get())
        except TimeoutError:
            return Problem(f"Redis does not answer within {_PING_SECONDS:.0f} s")
        except LedgerError as error:
            code = error.code if isinstance(error, LedgerRefuses) else "promise" if self.is_broken else ""
            return Problem(str(error), code)
        return None

    async def _ping(self, ledger: AsyncLedger) -> None:
        # None at all is accepted: Redis refuses it for whatever it would refuse a report for.
        nothing = intake.accept((), revisions="record", per_wakeup=1)
        if self._place != HOME:
            await (await ledger.parts())[self._place].run(nothing)
        elif self.parts:
            # The home has no reports.
            await (await ledger.parts())[-1].run(intake.tally({}))
        else:
            await ledger.run(nothing)

    async def snapshot(self) -> Snapshot | None:
        """Return the ledger at one moment, or None where it does not answer within a second or so."""
        try:
            async with asyncio.timeout(_PING_SECONDS):
                return await (await self.get()).run(watch_moves.snapshot())
        except (TimeoutError, LedgerError):
            return None

    async def _check(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            kept, partitions = await loop.run_in_executor(self._threads, self._look)
        except Exception as error:  # noqa: BLE001 a check that fails, for whatever reason, must be made again
            self._ledger = None
            self.error = error if isinstance(error, IngestError) else LedgerUnavailable(type(error).__name__)
            self._tell("promise_broken" if self.is_broken else "promise_unchecked", error=str(self.error))
        else:
            if self._made is None or self._made[0] != kept.after_write:
                self._made = kept.after_write, self._make(kept.after_write)
            self._ledger, self.error = self._made[1], None
            self._tell("promise_kept", promise=kept.sentence)
            if partitions != len(self.parts):
                self._part(partitions)

    def _look(self) -> tuple[Kept, int]:
        return self._inspect(), self._number_of()

    def _part(self, partitions: int) -> None:
        check_at = self._inspect_at
        if check_at is None:
            return
        self._threads = self._threads or ThreadPoolExecutor(_MOST_CHECKS_AT_ONCE, thread_name_prefix="promises")

        def check_of(number: int) -> Callable[[], Kept]:
            return lambda: check_at(number)

        parts = []
        for number in range(partitions):
            part = PromisedLedger(check_of(number), self._made_for_all, is_quiet=self._is_quiet)
            part._place, part._threads, part._of = number, self._threads, {"partition": number, "of": partitions}
            parts.append(part)
        self.parts = tuple(parts)

    def _made_for_all(self, _after_write: AfterWrite) -> AsyncLedger:
        """Return the ledger, which all partitions share: each keeps the promise in the same way, or not at all."""
        assert self._made is not None  # noqa: S101 there are partitions since it was made
        return self._made[1]

    def _tell(self, action: str, **fields: str) -> None:
        told = f"{action} {fields}"
        # That all is well with a partition is told once it was not.
        is_news = told != self._last_told and (self.error is not None or bool(self._last_told) or not self._of)
        if is_news and not self._is_quiet:
            level = logging.INFO if self.error is None else logging.ERROR
            event(logger, action, level=level, **self._of, **fields)
        self._last_told = told


def _in_words(problems: Iterable[tuple[int, Problem]], partitions: int) -> str:
    """Say what is wrong and where, each reason once."""
    where: defaultdict[str, list[int]] = defaultdict(list)
    for number, problem in problems:
        # What the ledger says names the partition by itself.
        where[problem.words.removeprefix(f"{place_in_words(number, partitions)} is away: ")].append(number)
    return "; ".join(f"{_called(numbers, partitions)}: {words}" for words, numbers in where.items())


def _called(numbers: list[int], partitions: int) -> str:
    parts = [number for number in numbers if number != HOME]
    names = [places_in_words(parts, partitions)] if parts else []
    names += [place_in_words(HOME, partitions)] if HOME in numbers else []
    return f"{' and '.join(names)} {'is' if len(numbers) == 1 else 'are'} away"
