"""The audit: is every report that was ever accepted accounted for, and in exactly one place?

1. The equation, from one snapshot: accepted = ready + uploading + waiting + delivered + dead + discarded + erased.
2. Every record, and every call in every place, page by page: each call is verified by one script in one moment,
   so reports that move meanwhile are not taken for broken ones.
3. The number of records against the counters, if nothing moved while they were counted.
4. What is known outside of it: a ledger that was emptied balances, and what a spool cannot give back is in no place.

Redis serves others meanwhile: between pages the audit sleeps, so that it takes no more than a share of the time.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from roark_ledger.ledger import Ledger
from roark_ledger.lifecycle import State
from roark_ledger.moves import upkeep, watch
from roark_ledger.moves.watch import Broken
from roark_ledger.records.accounts import Accounts
from roark_ledger.records.snapshot import Snapshot

PAGE = 200
_MEND_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class AuditVerdict:
    """What an audit found: the calls that are broken, by name, and the whole as `accounts`, which says if it holds.

    `counted` is the number of records by state, where nothing moved during the count.
    """

    snapshot: Snapshot
    broken: tuple[Broken, ...]
    counted: dict[str, int] | None
    accounts: Accounts
    mended: int = 0

    @property
    def holds(self) -> bool:
        """Whether every report is accounted for, as `accounts` says."""
        return self.accounts.holds


def audit(
    ledger: Ledger,
    *,
    repair: bool = False,
    share: float = 0.2,
    sleep: Callable[[float], None] | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> AuditVerdict:
    """Verify the whole ledger, taking no more than `share` of Redis's time; with `repair`, mend what can be.

    After a repair the verdict is that of a second look at what was mended. `progress` is told how many places have
    been looked at, and may raise to end it. Raises LedgerUnavailable when Redis is away.
    """
    started = time.monotonic()
    pause = _Pause(share, sleep or time.sleep)  # noqa: TID251 it waits on purpose: Redis serves others
    before = ledger.run(watch.snapshot())
    broken: dict[str, Broken] = {}
    states: Counter[str] = Counter()
    looked_at = 0
    for page in _pages(ledger, states):
        broken.update((one.call_id, one) for one in ledger.run(watch.verify(page)))
        looked_at += len(page)
        progress(looked_at)
        pause()
    after = ledger.run(watch.snapshot())
    stood_still = before.counters == after.counters and before.states == after.states
    # A page may name a call twice while Redis resizes its table: what seems too much is counted again, by name.
    differ = stood_still and _differences(states, after)
    notes = _differences(_counted_by_name(ledger, pause), after) if differ else []
    if notes:
        broken.update((one.call_id, one) for one in _without_record(ledger, pause))
    found = tuple(broken.values())
    mended = _mend(ledger, list(broken)) if repair else 0
    if mended:
        after = ledger.run(watch.snapshot())
        found = tuple(_still_broken(ledger, broken))
        notes = _differences(_counted_by_name(ledger, pause), after) if notes else []
    accounts = Accounts(
        difference=after.accounts.difference,
        broken=len(found),
        miscounted=tuple(notes),
        at_ms=after.now_ms,
        looked_at=looked_at,
        took_ms=round((time.monotonic() - started) * 1000),
        promises=after.accounts.promises,
    )
    return AuditVerdict(after, found, dict(states) if stood_still else None, accounts, mended)


class _Pause:
    """Sleeps so long that the time since the last sleep is no more than its share of all time."""

    def __init__(self, share: float, sleep: Callable[[float], None]) -> None:
        self._rest = 1 / share - 1
        self._sleep = sleep
        self._since = time.monotonic()

    def __call__(self) -> None:
        self._sleep((time.monotonic() - self._since) * self._rest)
        self._since = time.monotonic()


def _pages(ledger: Ledger, states: Counter[str]) -> Iterator[list[str]]:
    for page in ledger.scan_records(PAGE):
        states.update(page.values())
        yield list(page)
    yield from ledger.scan_places(PAGE)


def _without_record(ledger: Ledger, pause: Callable[[], None]) -> Iterator[Broken]:
    # A delivered call stands in no place, so nothing else names the one whose record is gone.
    for page in ledger.scan_delivered(PAGE):
        yield from ledger.run(watch.verify(page, listed=True))
        pause()


def _counted_by_name(ledger: Ledger, pause: Callable[[], None]) -> dict[str, int]:
    found: dict[str, str] = {}
    for page in ledger.scan_records(PAGE):
        found.update(page)
        pause()
    return dict(Counter(found.values()))


def _mend(ledger: Ledger, call_ids: list[str]) -> int:
    return sum(ledger.run(upkeep.mend(some)).count("mended") for some in _some(call_ids))


def _still_broken(ledger: Ledger, call_ids: Iterable[str]) -> Iterator[Broken]:
    for some in _some(list(call_ids)):
        yield from ledger.run(watch.verify(some))


def _some(call_ids: list[str]) -> Iterator[list[str]]:
    for first in range(0, len(call_ids), _MEND_AT_ONCE):
        yield call_ids[first : first + _MEND_AT_ONCE]


def _differences(counted: Mapping[str, int], snapshot: Snapshot) -> list[str]:
    found = []
    for state, expected in snapshot.states.items():
        if state in {State.EXPIRED, State.ERASED}:
            continue
        # The records of forgotten deliveries are gone; the counter still has them.
        kept = expected - snapshot.total("forgotten") if state is State.DELIVERED else expected
        if counted.get(state, 0) != kept:
            found.append(f"{state}: {counted.get(state, 0)} records, {kept} expected")
    return found
