"""The dead letters as all tabs see them: kept in memory, and brought up to date as they come and go.

    surveyor.look()                 what is known now: letters, exact counts by cause, since when
    surveyor.look().matching(…)     the letters that a filter means, from memory

1. The first look reads every letter once, page by page.
2. Later looks ask Redis for ids and times alone, and read the letters that are new. Who left is dropped.
3. Letters of a cause are grouped anew when some came or went, and not more often than that is worth its time.

So a page costs Redis next to nothing, however many letters there are. What a page shows has a moment: it is frozen by
being shown, and what acts on it takes the same letters (`memory/selections.py`).
"""

import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from roark_ledger.ledger import Ledger
from roark_ledger.lifecycle import State
from roark_ledger.moves import desk, watch
from roark_ledger.records.letters import DeadLetter
from roark_ledger.records.logbook import Action
from roark_ops.desk.changes import SetupChange, changes
from roark_ops.desk.finding import Filter, searched
from roark_ops.desk.grouping import Death, Group, group
from roark_ops.desk.pages import Cursor, Extent, Pages

_AT_ONCE = 5_000
_RESTS = 20
"""A look, or grouping anew, may take a twentieth of the time."""
_LEAST_REST_SECONDS = 0.9
_QUICK_SECONDS = 0.3
_KEPT = 64
_PATIENCE_SECONDS = 2.0
_IN_FULL = Extent(properties=True, assistants=True)


@dataclass(frozen=True, slots=True)
class SurveyedLetter:
    """A dead letter, the group that it belongs to, and the text in which others are searched for."""

    letter: DeadLetter
    group: str
    text: str


@dataclass(frozen=True)
class Survey:
    """All dead letters at one moment. `number` is another one whenever something is different."""

    number: int
    at_ms: int
    rows: dict[str, SurveyedLetter] = field(repr=False)
    groups: tuple[Group, ...]
    is_whole: bool = True
    found: dict[Filter, Sequence[DeadLetter]] = field(default_factory=dict, repr=False)
    """What filters found in it."""

    @property
    def total(self) -> int:
        """How many there are."""
        return len(self.rows)

    def group(self, name: str) -> Group | None:
        """Return the group of that name, None where there is none by now."""
        return next((one for one in self.groups if one.name == name), None)

    def matching(self, chosen: Filter) -> Sequence[DeadLetter]:
        """Return the letters that a filter means, oldest first."""
        if (found := self.found.get(chosen)) is not None:
            return found
        text, names = chosen.text.casefold(), chosen.groups
        rest = replace(chosen, text="", groups=())
        rows: Iterable[SurveyedLetter] = self.rows.values()
        if names:
            rows = [row for row in rows if row.group.startswith(names)]
        if text:
            rows = [row for row in rows if text in row.text]
        found = rest.among([row.letter for row in rows], self.at_ms)
        # What a time decides is another thing a moment later.
        if not (chosen.has_times or chosen.audio or chosen.audio_within_ms) and len(self.found) < _KEPT:
            self.found[chosen] = found
        return found


class Surveyor:
    """Keeps the survey. Safe for many threads; one of them looks at a time."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._pages = Pages(ledger)
        self._lock = threading.Lock()
        self._survey = Survey(0, 0, {}, (), is_whole=False)
        self._grouped: dict[str, tuple[Group, float]] = {}
        self._looked = self._took = 0.0
        self._deed = ""
        self.read = 0
        """How many letters the first look has read so far."""

    def look(self, *, at_once: bool = False) -> Survey:
        """Return the survey, brought up to date where that is quickly done, or where it must be (`at_once`).

        While the letters are read for the first time it is not whole: `read` says how far that is. Raises
        LedgerUnavailable when there is none yet and Redis is away.
        """
        if at_once or not self._survey.is_whole or (self._is_due() and self.is_quick):
            self.refresh(wait=at_once or not self._survey.is_whole)
        return self._survey

    @property
    def is_quick(self) -> bool:
        """Whether a look takes so little that somebody may wait for it."""
        return self._took <= _QUICK_SECONDS

    def refresh(self, *, wait: bool = True) -> None:
        """Bring the survey up to date, unless somebody else does that right now and is not done in a moment."""
        if not self._lock.acquire(timeout=_PATIENCE_SECONDS if wait else 0):
            return
        try:
            began = time.monotonic()
            self._refresh()
            self._looked, self._took = time.monotonic(), time.monotonic() - began
        finally:
            self._lock.release()

    def refresh_if_due(self) -> None:
        """Bring it up to date if it is time for that."""
        if self._is_due():
            self.refresh(wait=False)

    def _is_due(self) -> bool:
        return time.monotonic() - self._looked > max(_LEAST_REST_SECONDS, _RESTS * self._took)

    def _refresh(self) -> None:
        before = self._survey
        snapshot = self._ledger.run(watch.snapshot())
        if not before.is_whole:
            self._deed = self._last_deed()
        known = dict(before.rows)
        self._note_edits(known)
        standing = self._standing()
        rows = self._rows(known, standing, snapshot.now_ms)
        if before.is_whole and rows == before.rows:
            self._survey = replace(before, at_ms=snapshot.now_ms, groups=self._groups(before.groups, rows, set()))
            return
        moved = {row.group for row in _differing(before.rows, rows)}
        groups = self._groups(before.groups, rows, moved)
        self._survey = Survey(before.number + 1, snapshot.now_ms, rows, groups)

    def _standing(self) -> dict[str, int]:
        found: dict[str, int] = {}
        score, at_score = 0, 0
        while True:
            page = self._ledger.run(desk.standing(from_score=score, leave_out=at_score, most=_AT_ONCE))
            found.update(page)
            if len(page) < _AT_ONCE:
                found.pop("", None)
                return found
            last = page[-1][1]
            same = sum(1 for _, each in page if each == last)
            at_score = at_score + same if last == score else same
            score = last

    def _rows(
        self, known: dict[str, SurveyedLetter], standing: dict[str, int], now_ms: int
    ) -> dict[str, SurveyedLetter]:
        fresh = [score for call_id, score in standing.items() if not _is_same(known.get(call_id), score)]
        if fresh:
            self.read = len(known) if len(fresh) < len(standing) else 0
            for letter in self._pages.walk(Filter(), [State.DEAD], _before(min(fresh), now_ms), _IN_FULL):
                self.read += 1
                if not _is_same(known.get(letter.call_id), letter.score_ms):
                    known[letter.call_id] = _surveyed(letter)
        # What came after the ids were read is for the next look.
        return {
            call_id: row for call_id, score in standing.items() if (row := known.get(call_id)) and _is_same(row, score)
        }

    def _last_deed(self) -> str:
        page = self._ledger.run(desk.deeds_page(most=1, newest_first=True))
        return page[0].place if page else ""

    def _note_edits(self, known: dict[str, SurveyedLetter]) -> None:
        # An edit changes neither place nor time of a letter, but it is in the logbook.
        while page := self._ledger.run(desk.deeds_page(most=500, after=self._deed)):
            self._deed = page[-1].place
            for deed in page:
                for call_id in deed.calls if deed.action == Action.EDIT else ():
                    if row := known.get(call_id):
                        letter = msgspec.structs.replace(row.letter, edited="undo" not in deed.about)
                        known[call_id] = replace(row, letter=letter)

    def _groups(self, before: Sequence[Group], rows: dict[str, SurveyedLetter], moved: set[str]) -> tuple[Group, ...]:
        counts = (
            Counter(row.group for row in rows.values()) if moved else Counter({one.name: one.count for one in before})
        )
        stale = {name for name in counts if self._is_stale(name, counts[name], moved)}
        if stale:
            setups = self._ledger.run(watch.setups())
            known_changes = changes(setups)
            members: dict[str, list[DeadLetter]] = {name: [] for name in stale}
            for row in rows.values():
                if row.group in stale:
                    members[row.group].append(row.letter)
            for name, letters in members.items():
                self._group_anew(name, letters, known_changes)
        self._grouped = {name: self._grouped[name] for name in counts}
        found = [replace(self._grouped[name][0], count=count) for name, count in counts.items()]
        return tuple(sorted(found, key=lambda one: (-one.count, one.first_ms)))

    def _is_stale(self, name: str, count: int, moved: set[str]) -> bool:
        if name not in self._grouped:
            return True
        kept, due = self._grouped[name]
        return (name in moved or kept.count != count) and time.monotonic() >= due

    def _group_anew(self, name: str, letters: Sequence[DeadLetter], known_changes: Sequence[SetupChange]) -> None:
        began = time.monotonic()
        (found,) = group(letters, known_changes)
        ended = time.monotonic()
        self._grouped[name] = (found, ended + _RESTS * (ended - began))


def _surveyed(letter: DeadLetter) -> SurveyedLetter:
    # The whole history is not needed, and would be most of the memory.
    short = msgspec.structs.replace(letter, lines=letter.last_line, named=letter.assistant)
    return SurveyedLetter(short, Death.of(short).group, searched(short))


def _is_same(row: SurveyedLetter | None, score: int) -> bool:
    return row is not None and row.letter.score_ms == score


def _before(score: int, now_ms: int) -> Cursor | None:
    return Cursor(now_ms, 0, "dead", score - 1, "\U0010ffff") if score > 0 else None


def _differing(before: dict[str, SurveyedLetter], after: dict[str, SurveyedLetter]) -> Iterable[SurveyedLetter]:
    yield from (row for call_id, row in before.items() if after.get(call_id) is not row)
    yield from (row for call_id, row in after.items() if before.get(call_id) is not row)
