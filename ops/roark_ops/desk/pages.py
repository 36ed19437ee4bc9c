"""Reads reports page by page, of whatever states, as a filter wants them.

    for letter, cursor in Pages(ledger).walk(chosen, [State.WAITING, State.DEAD], None): …

What is shown is what was there at the beginning. A report that moves meanwhile may be left out, and none comes twice.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
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

_PAGE = 100
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
        letters: list[DeadLetter] = []
        last = behind
        for letter, cursor in self._walk(chosen, states, behind, RECORDS_ONLY, now_ms=now_ms, at_once=limit + 1):
            if len(letters) == limit:
                return Page(tuple(letters), last)
            letters.append(letter)
            last = cursor
        return Page(tuple(letters), None)

    def walk(
        self, chosen: Filter, states: Sequence[str], behind: Cursor | None, extent: Extent = RECORDS_ONLY
    ) -> Iterator[tuple[DeadLetter, Cursor]]:
        """Yield the reports of these states that are meant, each with the cursor behind it; takes constant memory.

        They come with what `extent` says, and with what the filter asks for.
        """
        return self._walk(chosen, states, behind, extent)

    def _walk(
        self,
        chosen: Filter,
        states: Sequence[str],
        behind: Cursor | None,
        extent: Extent,
        *,
        now_ms: int = 0,
        at_once: int = 0,
    ) -> Iterator[tuple[DeadLetter, Cursor]]:
        now_ms = behind.now_ms if behind else now_ms or self._ledger.run(watch.snapshot()).now_ms
        places = [place for state in PLACES if state in states for place in PLACES[state]]
        places = places[places.index(behind.place) :] if behind else places
        read = _Reading(chosen, extent, now_ms)
        firsts: list[LetterPage | None] = [None] * len(places)
        if at_once and not behind:
            firsts = [*self._ledger.run_all([read.operation(place, most=min(at_once, _PAGE)) for place in places])]
        for place, first in zip(places, firsts, strict=True):
            at = behind if behind and behind.place == place else None
            yield from self._walk_place(read, place, at, first)

    def _walk_place(
        self, read: "_Reading", place: str, behind: Cursor | None, first: LetterPage | None
    ) -> Iterator[tuple[DeadLetter, Cursor]]:
        chosen, now_ms = read.chosen, read.now_ms
        last = (behind.score_ms, behind.call_id) if behind else None
        youngest = behind.youngest_ms if behind else None
        # A lease that is prolonged meanwhile would put its report behind the others once more.
        leased: set[str] = set()
        more = True
        while more:
            page = first or self._ledger.run(read.operation(place, youngest_ms=youngest, behind=last))
            first, youngest, more, last = None, page.youngest_ms, page.more, page.last
            for letter in page.letters:
                if letter.call_id in leased or not chosen.matches(letter, now_ms):
                    continue
                if place == "uploading":
                    leased.add(letter.call_id)
                yield letter, Cursor(now_ms, youngest, place, letter.score_ms, letter.call_id)

    def look_at(self, call_ids: Iterable[str]) -> Iterator[Entry | None]:
        """Yield everything that is known of each call, some at a time; None for one that was never seen."""
        for batch in batches(call_ids, _PAGE):
            looked_at = 0
            while looked_at < len(batch):
                entries = self._ledger.run(watch.look_at(batch[looked_at:]))
                yield from entries
                looked_at += len(entries)


class _Reading:
    """How a walk reads: the same of every place."""

    def __init__(self, chosen: Filter, extent: Extent, now_ms: int) -> None:
        self.chosen = chosen
        self.now_ms = now_ms
        self._oldest_ms, self._youngest_ms = chosen.bounds(now_ms)
        self._properties = extent.properties or chosen.needs_properties
        self._with_assistants = extent.assistants or chosen.needs_assistant
        self._reports: Reports = "all" if extent.whole else "unnamed" if self._with_assistants else "none"

    def operation(
        self, place: str, *, most: int = _PAGE, youngest_ms: int | None = None, behind: tuple[int, str] | None = None
    ) -> Operation[LetterPage]:
        """Return the operation that reads some of a place."""
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
