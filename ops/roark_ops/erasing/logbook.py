"""Takes erased calls and a person's number or name out of the operators' logbook and the books of replay jobs.

1. Every line is looked at: an erased call's ID becomes its tombstone. Whether a call was erased says the ledger, so a
   run that was killed is caught up by the next one.
2. Of a line about an erased call the reason and the filter go as well, for they may hold a name; elsewhere what was
   looked for is masked.
3. Where a line has to change, the logbook is copied page by page and the copy takes its place: a Redis stream keeps the
   bytes of a deleted entry, and takes no line in between. What is written meanwhile is copied too.
"""

from collections.abc import Collection, Iterator

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
    for _ in range(_TRIES):
        pages = _pages(ledger)
        number = sum(len(_changes(ledger, page, sought, call_ids)) for page in pages)
        if not number:
            return 0
        if _copied(ledger, sought, call_ids):
            return number
    return None


def clean_jobs(ledger: Ledger, sought: Sought, call_ids: Collection[str]) -> int:
    """Mask what was looked for, and erased calls, in the books of replay jobs; return how many texts changed."""
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


def _copied(ledger: Ledger, sought: Sought, call_ids: Collection[str]) -> bool:
    last = ""
    while True:
        page = ledger.run(desk.deeds_page(most=_PAGE, after=last))
        if not page:
            return bool(last) and ledger.run(desk.swap_deeds(last))
        changed = _changes(ledger, page, sought, call_ids)
        copied, last = ledger.run(desk.copy_deeds(after=last, most=len(page), changed=changed))
        if copied != len(page) or last != page[-1].place:
            return False
        if len(page) < _PAGE and ledger.run(desk.swap_deeds(last)):
            return True


def _pages(ledger: Ledger) -> Iterator[list[Deed]]:
    after = ""
    while page := ledger.run(desk.deeds_page(most=_PAGE, after=after)):
        yield page
        after = page[-1].place


def _changes(ledger: Ledger, page: list[Deed], sought: Sought, call_ids: Collection[str]) -> list[Change]:
    erased = erased_among(ledger, [call_id for deed in page for call_id in deed.calls])
    return [change for deed in page if (change := _changed(deed, erased, sought, call_ids))]


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
