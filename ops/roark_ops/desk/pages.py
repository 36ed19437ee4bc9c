"""Reads reports page by page, of whatever states, as a filter wants them.

    for letter in Pages(ledger).walk(chosen, [State.WAITING, State.DEAD]): …

What is shown is what was there at the beginning. A report that moves meanwhile may be left out, and none comes twice.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from typing import Self, TypeVar

from roark_ledger.ledger import Ledger
from roark_ledger.moves import desk, watch
from roark_ledger.moves.desk import Reports
from roark_ledger.moves.operation import Operation
from roark_ledger.packing import DamagedPayload, unpack
from roark_ledger.places import PLACES
from roark_ledger.records.letters import DeadLetter, LetterPage, nobody
from roark_ledger.records.record import Entry
from roark_ops.desk.finding import Filter
from roark_producer.vapi.assistant import assistant_of

_PAGE = 200
_LOOKED_AT = 100
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Extent:
    """What is read beside the record: properties, assistants, or the `whole` report, packed as it is kept."""

    properties: bool = False
    assistants: bool = False
    whole: bool = False


RECORDS_ONLY = Extent()


@dataclass(frozen=True, slots=True)
class Cursor:
    """A spot between two reports of a place, and the moment whose reports are shown. Times are Unix ms of Redis's."""

    now_ms: int
    youngest_ms: int
    place: str
    score_ms: int
    call_id: str

    def __str__(self) -> str:
        return f"{self.now_ms}.{self.youngest_ms}.{self.place}.{self.score_ms}.{self.call_id}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` made.

        Raises ValueError when it is no cursor.
        """
        now_ms, youngest_ms, place, score_ms, call_id = text.split(".", 4)
        if place not in {one for places in PLACES.values() for one in places}:
            raise ValueError(place)
        return cls(int(now_ms), int(youngest_ms), place, int(score_ms), call_id)


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the reports that are meant; `following` leads to the next ones, None where there are no more."""

    letters: tuple[DeadLetter, ...]
    following: Cursor | None


class Walk:
    """Yields the reports that are meant, once, and knows where to go on behind the last one; takes constant memory.

    Every step may raise LedgerUnavailable.
    """

    def __init__(
        self,
        ledger: Ledger,
        chosen: Filter,
        states: Sequence[str],
        behind: Cursor | None,
        extent: Extent = RECORDS_ONLY,
        *,
        limit: int | None = None,
        now_ms: int = 0,
    ) -> None:
        self._ledger = ledger
        self._chosen = chosen
        self._now_ms = behind.now_ms if behind else now_ms or ledger.run(watch.snapshot()).now_ms
        self._oldest_ms, self._youngest_ms = chosen.bounds(self._now_ms)
        self._properties = extent.properties or chosen.needs_properties
        self._with_assistants = extent.assistants or chosen.needs_assistant
        self._reports: Reports = "all" if extent.whole else "unnamed" if self._with_assistants else "none"
        self._limit = limit
        # Whether there is more shows by one more.
        self._at_first = _PAGE if limit is None else min(limit + 1, _PAGE)
        self._youngest_of: dict[str, int] = {}
        self._letters = chain.from_iterable(self._pages(states, behind))
        self._last: DeadLetter | None = None

    def __iter__(self) -> Iterator[DeadLetter]:
        return self._letters if self._limit is None else self._limited(self._limit)

    def _limited(self, limit: int) -> Iterator[DeadLetter]:
        for letter in islice(self._letters, limit):
            self._last = letter
            yield letter

    @cached_property
    def rest(self) -> Cursor | None:
        """Where to go on once the limit is reached; None where nothing follows."""
        last = self._last
        if last is None or next(self._letters, None) is None:
            return None
        return Cursor(self._now_ms, self._youngest_of[last.place], last.place, last.score_ms, last.spot or last.call_id)

    def _pages(self, states: Sequence[str], behind: Cursor | None) -> Iterator[Sequence[DeadLetter]]:
        places = [place for state in PLACES if state in states for place in PLACES[state]]
        places = places[places.index(behind.place) :] if behind else places
        firsts: list[LetterPage | None] = [None] * len(places)
        if self._limit is not None and not behind:
            firsts = [*self._ledger.run_all([self._operation(place, self._at_first) for place in places])]
        for place, first in zip(places, firsts, strict=True):
            yield from self._pages_of(place, behind if behind and behind.place == place else None, first)

    def _pages_of(self, place: str, behind: Cursor | None, first: LetterPage | None) -> Iterator[Sequence[DeadLetter]]:
        if first is None:
            at = ((behind.score_ms, behind.call_id), behind.youngest_ms) if behind else ()
            first = self._ledger.run(self._operation(place, self._at_first, *at))
        # A lease that is prolonged meanwhile would put its report behind the others once more.
        leased: set[str] = set()
        for page in chain([first], self._ledger.run_ahead(self._following(place, first))):
            self._youngest_of[place] = page.youngest_ms
            letters = self._chosen.among(page.letters, self._now_ms)
            if place == "uploading":
                letters = [letter for letter in letters if letter.call_id not in leased]
                leased.update(letter.call_id for letter in letters)
            yield letters

    def _following(self, place: str, page: LetterPage) -> Generator[Operation[LetterPage], LetterPage]:
        while page.more:
            page = yield self._operation(place, _PAGE, page.last, page.youngest_ms)

    def _operation(
        self, place: str, most: int, behind: tuple[int, str] | None = None, youngest_ms: int | None = None
    ) -> Operation[LetterPage]:
        return desk.page(
            most=most,
            place=place,
            oldest_ms=self._oldest_ms,
            youngest_ms=self._youngest_ms if youngest_ms is None else youngest_ms,
            behind=behind,
            properties=self._properties,
            reports=self._reports,
            assistant_of=_assistant if self._with_assistants else nobody,
        )


class Pages:
    """Reads the reports of a ledger. Every method may raise LedgerUnavailable."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def page(
        self, chosen: Filter, states: Sequence[str], *, limit: int, behind: Cursor | None, now_ms: int = 0
    ) -> Page:
        """Return the first `limit` reports that are meant, behind those of the page whose `following` is given.

        `now_ms` is the time of the ledger, where that is known. The first page takes one round trip.
        """
        walk = Walk(self._ledger, chosen, states, behind, limit=limit, now_ms=now_ms)
        return Page(tuple(walk), walk.rest)

    def walk(
        self,
        chosen: Filter,
        states: Sequence[str],
        behind: Cursor | None = None,
        extent: Extent = RECORDS_ONLY,
        *,
        limit: int | None = None,
    ) -> Walk:
        """Walk through the reports of these states that are meant, behind a cursor.

        They come with what `extent` says, and with what the filter asks for.
        """
        return Walk(self._ledger, chosen, states, behind, extent, limit=limit)

    def look_at(self, call_ids: Iterable[str]) -> Iterator[Entry | None]:
        """Yield everything that is known of each call, some at a time; None for one that was never seen."""
        for batch in batches(call_ids, _LOOKED_AT):
            looked_at = 0
            while looked_at < len(batch):
                entries = self._ledger.run(watch.look_at(batch[looked_at:]))
                yield from entries
                looked_at += len(entries)

    def named(self, call_ids: Iterable[str]) -> Iterator[DeadLetter | str]:
        """Yield each call as lists show it, whatever its state; `erased` or `unknown` where nothing is there of it."""
        asks = (desk.named(batch) for batch in batches(call_ids, _LOOKED_AT))
        for letters in self._ledger.run_ahead(asks):
            yield from letters


def _assistant(packed: bytes) -> str:
    try:
        return assistant_of(unpack(packed).payload)
    except DamagedPayload:
        return ""


def batches(things: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield what comes in lists of that size."""
    remaining = iter(things)
    while batch := list(islice(remaining, size)):
        yield batch
