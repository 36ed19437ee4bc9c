"""Takes erased calls and a person's number or name out of the operators' logbook and the books of replay jobs.

1. Every line is looked at: an erased call's ID becomes its tombstone. Whether a call was erased says the ledger, so a
   run that was killed is caught up by the next one.
2. Of a line about an erased call the reason and the filter go as well, for they may hold a name; elsewhere what was
   looked for is masked.
3. Where a line has to change, the logbook is copied page by page and the copy takes its place: a Redis stream keeps the
   bytes of a deleted entry, and takes no line in between. What is written meanwhile is copied too.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import msgspec

from roark_ledger.ledger import Ledger
from roark_ledger.moves import desk
from roark_ledger.records.logbook import Deed
from roark_ops.erasing.searching import Sought

MASK = "***"
# A line holds up to 500 IDs, and so many such lines take Redis 4 ms.
_PAGE = 40
# So many take 1 ms: two hashes of each are made by Lua.
_MOST_IDS = 50
_TRIES = 5
# What no person is named by; `by` is who acted, and stays.
_HARMLESS = frozenset({"by", "step", "certificate", "before", "job", "sha256", "window_ms", "accepted_loss"})
Change = tuple[str, bytes, str]


def clean_logbook(ledger: Ledger, sought: Sought, call_ids: Collection[str]) -> int | None:
    """Clean the whole logbook; return how many lines were changed, None where others kept this from ending."""
    cleaned = [_Cleaning(ledger, part, sought, call_ids).clean() for part in ledger.parts]
    return None if None in cleaned else sum(filter(None, cleaned))


def clean_jobs(ledger: Ledger, sought: Sought, call_ids: Collection[str]) -> int:
    """Mask what was looked for, and erased calls, in the books of replay jobs; return how many texts changed."""
    return sum(_clean_jobs(part, sought, call_ids) for part in ledger.parts)


def _clean_jobs(ledger: Ledger, sought: Sought, call_ids: Collection[str]) -> int:
    number = 0
    for where, key in (("live", ledger.calls.keys.replay_live), ("past", ledger.calls.keys.replay_past)):
        cursor = 0
        while True:
            cursor, page = ledger.packed_page(key, cursor=cursor, page=_PAGE)
            for field, seen in page.items():
                instead = _masked(seen.decode("utf-8", "surrogateescape"), sought, call_ids)
                fresh = instead.encode("utf-8", "surrogateescape")
                number += fresh != seen and ledger.run(desk.mask_job(where, field, seen=seen, instead=fresh))
            if cursor == 0:
                break
    return number


def erased_among(ledger: Ledger, call_ids: Collection[str]) -> dict[str, str]:
    """Return those of the calls that were erased, with their tombstones."""
    ids = list(dict.fromkeys(call_ids))
    found: dict[str, str] = {}
    for first in range(0, len(ids), _MOST_IDS):
        some = ids[first : first + _MOST_IDS]
        tombstones: list[str] = ledger.run(desk.erased_among(some))
        found |= dict(zip(some, tombstones, strict=True))
    return {call_id: tombstone for call_id, tombstone in found.items() if tombstone}


@dataclass(frozen=True, slots=True)
class _Cleaning:
    """Cleans the lines of one partition; the whole ledger knows which calls were erased."""

    ledger: Ledger
    part: Ledger
    sought: Sought
    call_ids: Collection[str]

    def clean(self) -> int | None:
        for _ in range(_TRIES):
            number = sum(len(self._changes(page)) for page in self._pages())
            if not number:
                return 0
            if self._copied():
                return number
        return None

    def _copied(self) -> bool:
        last = ""
        while True:
            page = self.part.run(desk.deeds_page(most=_PAGE, after=last))
            if not page:
                return bool(last) and self.part.run(desk.swap_deeds(last))
            changed = self._changes(page)
            copied, last = self.part.run(desk.copy_deeds(after=last, most=len(page), changed=changed))
            if copied != len(page) or last != page[-1].place:
                return False
            if len(page) < _PAGE and self.part.run(desk.swap_deeds(last)):
                return True

    def _pages(self) -> Iterator[list[Deed]]:
        after = ""
        while page := self.part.run(desk.deeds_page(most=_PAGE, after=after)):
            yield page
            after = page[-1].place

    def _changes(self, page: list[Deed]) -> list[Change]:
        erased = erased_among(self.ledger, [call_id for deed in page for call_id in deed.calls])
        return [change for deed in page if (change := _changed(deed, erased, self.sought, self.call_ids))]


def _changed(deed: Deed, erased: dict[str, str], sought: Sought, call_ids: Collection[str]) -> Change | None:
    is_about = any(call_id in erased for call_id in deed.calls)
    before = {"by": deed.by, **({"reason": deed.reason} if deed.reason else {}), **deed.about}
    after = {name: _value(name, value, sought, call_ids, is_about=is_about) for name, value in before.items()}
    if not is_about and after == before:
        return None
    calls = " ".join(erased.get(call_id, call_id) for call_id in deed.calls)
    return deed.place, msgspec.json.encode(after), calls


def _value(name: str, value: object, sought: Sought, call_ids: Collection[str], *, is_about: bool) -> object:
    if not isinstance(value, str):
        return value
    if is_about and name not in _HARMLESS:
        return MASK
    return _masked(value, sought, call_ids)


def _masked(text: str, sought: Sought, call_ids: Collection[str]) -> str:
    for call_id in call_ids:
        text = text.replace(call_id, MASK)
    return sought.masked(text, MASK) if sought and sought.is_in(text) else text
