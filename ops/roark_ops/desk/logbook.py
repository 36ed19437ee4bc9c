"""The operators' logbook: read it from either end, page by page, and trim it on purpose.

logbook = Logbook(ledger)
for deed in logbook.newest(Wanted(by="ada")):
    …
"""

from collections.abc import Iterator
from dataclasses import dataclass

from roark_ledger.ledger import Ledger
from roark_ledger.moves import desk, watch
from roark_ledger.records.logbook import Deed

# A line holds up to 500 IDs, and so many such lines take Redis 6 ms.
_PAGE = 100


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines: from a time on (Unix ms), by whom, which action, about which call. Empty: all."""

    since_ms: int = 0
    by: str = ""
    action: str = ""
    call_id: str = ""

    def holds(self, deed: Deed) -> bool:
        """Whether a line is one of them, its time aside."""
        return (
            (not self.by or deed.by == self.by)
            and (not self.action or deed.action == self.action)
            and (not self.call_id or self.call_id in deed.calls)
        )


class Logbook:
    """Every method may raise LedgerUnavailable."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def newest(self, wanted: Wanted, *, after: str = "") -> Iterator[Deed]:
        """Yield lines, the newest first, behind the one whose `place` is given."""
        for deed in self._walk(newest_first=True, after=after):
            # A line's id is never before its time, so nothing older can follow.
            if int(deed.place.partition("-")[0]) < wanted.since_ms:
                return
            if deed.at_ms >= wanted.since_ms and wanted.holds(deed):
                yield deed

    def oldest(self, wanted: Wanted) -> Iterator[Deed]:
        """Yield lines, the oldest first; what is written meanwhile comes as well."""
        after = f"{wanted.since_ms - 1}-0" if wanted.since_ms else ""
        for deed in self._walk(newest_first=False, after=after):
            if deed.at_ms >= wanted.since_ms and wanted.holds(deed):
                yield deed

    def trim(self, before_ms: int, *, who: bytes) -> int:
        """Remove the lines from before a time for good; return how many there were."""
        # Not beyond this moment: else the lines about the trimming would be trimmed, and so on for ever.
        before_ms, gone = min(before_ms, self._ledger.run(watch.snapshot()).now_ms), 0
        while some := self._ledger.run(desk.trim_deeds(before_ms=before_ms, most=_PAGE, who=who)):
            gone += some
        return gone

    def _walk(self, *, newest_first: bool, after: str = "") -> Iterator[Deed]:
        while page := self._ledger.run(desk.deeds_page(most=_PAGE, after=after, newest_first=newest_first)):
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1].place
