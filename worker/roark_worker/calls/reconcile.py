"""Compares the calls that Vapi lists with those that are here, and brings in the missing ones where that is wanted.

    read       one window of creation times after the other, halved as long as a page of it is full
    look       the ledger says in one script where the reports of its calls are
    judge      each call belongs into one bucket (`rules.py`)
    note       the missing ones are kept in the ledger, or
    backfill   their reports are made (`roark_producer.vapi.calls`) and stored, unless the ledger knows the call by then

A window counts when all of it is done, so whoever goes on after `kill -9` begins at the last whole one. What is brought
in twice is refused by the ledger, which takes only calls that it does not know.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from roark_ledger.errors import InvalidReport, LedgerFull
from roark_ledger.ledger import Ledger
from roark_ledger.moves import reconcile as reconciled
from roark_ledger.moves.intake import Acceptable
from roark_ledger.routes import BY_EXTERNAL_ID
from roark_producer.producer import BACKFILLED
from roark_producer.taking import Intake
from roark_producer.vapi.calls import report_of
from roark_producer.vapi.slices import members
from roark_worker.calls.roark_calls import RoarkCalls, RoarkSaysNothing
from roark_worker.calls.rules import KNOWN, Bucket, Listed, ReconcileRules, Stretch, bucket, read_listed
from roark_worker.calls.vapi import Vapi, VapiFailed

PAGE, WHOLE_PAGE = 100, 1000
_FIRST_SPAN_MS, _LONGEST_SPAN_MS, _SHORTEST_SPAN_MS = 3_600_000, 24 * 3_600_000, 1
_LOOKED_AT_ONCE = 500
_FROM_VAPI = b'{"source":"vapi-list"}'


@dataclass
class AtRoark:
    """What Roark showed of the delivered calls that were looked up there, all of them; `silent` says why not all.

    `absent` are ids of calls that Roark had named and does not show.
    """

    visible: int = 0
    absent: list[str] = field(default_factory=list)
    silent: str = ""


@dataclass
class Comparison:
    """What was found so far: calls by bucket, and which are missing. `incomplete` says why not all was read.

    Of the delivered ones Roark did not name the `unconfirmed`; those that were looked up there some minutes later were
    `seen` or `unseen`. `at_roark` is None where Roark was not asked now.
    """

    since_ms: int
    until_ms: int
    buckets: Counter[Bucket] = field(default_factory=Counter)
    unconfirmed: int = 0
    seen: int = 0
    unseen: int = 0
    at_roark: AtRoark | None = None
    missing: dict[str, int] = field(default_factory=dict)
    backfilled: int = 0
    unusable: dict[str, str] = field(default_factory=dict)
    done_ms: int = 0
    incomplete: str = ""

    @property
    def confirmed(self) -> int:
        """How many delivered calls Roark named, or a person confirmed."""
        return self.buckets[Bucket.DELIVERED] - self.unconfirmed

    @property
    def here(self) -> int:
        """How many of the ended calls have a report here, whatever became of it."""
        return sum(self.buckets[kind] for kind in set(KNOWN.values()))

    def certificate(self) -> dict[str, Any]:
        """Return the sums of the three sides, and whether they agree: each call of Vapi's is here, and at Roark.

        `roark` is how many Roark shows, or where it was not asked, how many it named; `looked_up` tells which.
        """
        looked_up = self.at_roark is not None and not self.at_roark.silent
        at_roark = self.at_roark.visible if self.at_roark and looked_up else self.confirmed
        return {
            "vapi": self.ended,
            "here": self.here,
            "delivered": self.buckets[Bucket.DELIVERED],
            "roark": at_roark,
            "looked_up": looked_up,
            "not_visible": len(self.at_roark.absent) if self.at_roark else 0,
            "agree": self.ended == self.here == self.buckets[Bucket.DELIVERED] == at_roark,
        }

    @property
    def ended(self) -> int:
        """How many calls have ended at Vapi; those that go on are left out."""
        return self.buckets.total() - self.buckets[Bucket.NOT_YET]

    def document(self) -> dict[str, Any]:
        """Return the figures, without the ids of calls."""
        counted = {kind.value: self.buckets[kind] for kind in Bucket if kind is not Bucket.NOT_YET}
        receipts = {"confirmed": self.confirmed, "unconfirmed": self.unconfirmed}
        return {
            "vapi": self.ended,
            "buckets": counted,
            "receipts": receipts | {"seen": self.seen, "unseen": self.unseen},
            "certificate": self.certificate(),
            "not_yet": self.buckets[Bucket.NOT_YET],
            "backfilled": self.backfilled,
        }


@dataclass(frozen=True, slots=True)
class Window:
    """Calls created in [from, to), all of them."""

    from_ms: int
    to_ms: int
    calls: tuple[bytes, ...]


class Comparer:
    """Compares stretches of time. `backfill` makes reports of what is missing; `roark` shows what is delivered."""

    def __init__(
        self,
        ledger: Ledger,
        vapi: Vapi,
        rules: ReconcileRules,
        intake: Intake,
        *,
        backfill: bool,
        now: Callable[[], float] = time.time,
        roark: RoarkCalls | None = None,
    ) -> None:
        self._roark = roark
        self._ledger = ledger
        self._vapi = vapi
        self._rules = rules
        self._intake = intake
        self._backfill = backfill
        self._now = now
        self._looked_up: dict[tuple[str, str], bytes | VapiFailed | None] = {}

    def compare(
        self, stretch: Stretch, found: Comparison, *, done: Callable[[Window], object] = lambda window: None
    ) -> None:
        """Compare a stretch, adding to `found`; `done` hears of each window that is read and dealt with.

        Raises VapiFailed when Vapi does not say all, LedgerUnavailable when Redis is away; what was done stays done.
        """
        for window in windows(self._vapi, stretch):
            self._deal_with(window, found)
            found.done_ms = window.to_ms
            done(window)

    def look_again(self) -> int:
        """Let go of kept missing calls that came meanwhile, or are too old to be brought in; return the rest."""
        number, first = 0, 0
        while True:
            number, first = self._ledger.run(
                reconciled.note_missing(oldest_ms=self._oldest_ms(), first=first, most=_LOOKED_AT_ONCE)
            )
            if not first:
                return number

    def _deal_with(self, window: Window, found: Comparison) -> None:
        listed = [read_listed(body) for body in window.calls]
        if any(call and not window.from_ms <= call.created_ms <= window.to_ms for call in listed):
            # Who does not heed the window may leave out as well as add.
            raise VapiFailed("odd_answer", "Vapi listed calls outside the requested time. Is VAPI_BASE_URL Vapi's API?")
        found.buckets[Bucket.ODD] += listed.count(None)
        calls = [call for call in listed if call and self._rules.expects(call)]
        for first in range(0, len(calls), _LOOKED_AT_ONCE):
            self._judge(calls[first : first + _LOOKED_AT_ONCE], found)

    def _judge(self, calls: Sequence[Listed], found: Comparison) -> None:
        now_ms = self._now_ms()
        answers = self._ledger.run(reconciled.reconcile_look(call.call_id for call in calls))
        missing = []
        for call, answer in zip(calls, answers, strict=True):
            kind = bucket(call, answer.state, self._rules, now_ms)
            found.unconfirmed += answer.state == "unconfirmed"
            found.seen += answer.receipt == "seen"
            found.unseen += answer.receipt == "unseen"
            if kind is Bucket.DELIVERED and self._roark:
                self._look_up(call.call_id, answer.roark_call_id, self._roark, found)
            if kind is Bucket.MISSING:
                missing.append(call)
            else:
                found.buckets[kind] += 1
        left = self._bring_in(missing, found) if self._backfill and missing else missing
        found.buckets[Bucket.MISSING] += len(left)
        found.missing |= {call.call_id: call.ended_ms or call.created_ms for call in left}
        if left:
            ends = [(call.call_id, call.ended_ms or call.created_ms) for call in left]
            self._ledger.run(reconciled.note_missing(ends, oldest_ms=self._oldest_ms()))

    def _look_up(self, call_id: str, roark_call_id: str, roark: RoarkCalls, found: Comparison) -> None:
        found.at_roark = found.at_roark or AtRoark()
        if found.at_roark.silent or roark_call_id in {"", "-", BY_EXTERNAL_ID}:
            return
        try:
            if roark.is_visible(roark_call_id):
                found.at_roark.visible += 1
            else:
                found.at_roark.absent.append(call_id)
        except RoarkSaysNothing as nothing:
            found.at_roark.silent = str(nothing)

    def _bring_in(self, missing: Sequence[Listed], found: Comparison) -> list[Listed]:
        """Make and store the reports of missing calls; return the calls of which none can be made."""
        made: list[Acceptable] = []
        left = []
        for call in missing:
            try:
                made.append(self._made(call))
            except InvalidReport as error:
                found.unusable[call.call_id] = str(error)
                left.append(call)
        if not made:
            return left
        try:
            answers = self._ledger.run_durably(reconciled.backfill(made, detail=_FROM_VAPI))
        except LedgerFull:
            # Redis has room for deliveries only: they stay missing, which is shown, and the next pass tries again.
            return list(missing)
        for answer in answers:
            # One that came by itself a moment ago is on its way as well.
            found.backfilled += answer == "accepted"
            found.buckets[Bucket(answer) if answer in {"erased", "expired"} else Bucket.ON_THE_WAY] += 1
        return left

    def _made(self, call: Listed) -> Acceptable:
        inside = members(call.body, "call")
        assistant = self._named(inside, "assistant", "assistantId", self._vapi.assistant)
        number = self._named(inside, "phoneNumber", "phoneNumberId", self._vapi.phone_number)
        report = report_of(call.body, assistant=assistant, phone_number=number)
        prepared = self._intake.prepare(report, properties=BACKFILLED)
        if not isinstance(prepared, Acceptable):
            raise InvalidReport("type", "is not that of a report")
        return prepared

    def _named(
        self, call: dict[str, bytes], name: str, id_name: str, get: Callable[[str], bytes | None]
    ) -> bytes | None:
        """Look up what a call only names, once in a pass; None where the call has it itself, or Vapi has it no more."""
        quoted = call.get(id_name, b"")
        if call.get(name, b"")[:1] == b"{" or quoted[:1] != b'"':
            return None
        key = (name, quoted[1:-1].decode("utf-8", "replace"))
        if key not in self._looked_up:
            self._looked_up[key] = self._told(key[1], get)
        found = self._looked_up[key]
        if isinstance(found, VapiFailed):
            raise InvalidReport(id_name, f"cannot be looked up now: {found}")
        return found

    def _told(self, thing_id: str, get: Callable[[str], bytes | None]) -> bytes | VapiFailed | None:
        try:
            return get(thing_id)
        except VapiFailed as failed:
            # It is about this one thing, and must not end the comparison of all others.
            if failed.code != "status":
                raise
            return failed if failed.status >= 500 else None

    def _now_ms(self) -> int:
        return round(self._now() * 1000)

    def _oldest_ms(self) -> int:
        return self._now_ms() - self._rules.back_ms


def windows(vapi: Vapi, stretch: Stretch) -> Iterator[Window]:
    """Read a stretch from its beginning, window by window: a full page may not be all, so its window is halved.

    Raises VapiFailed when Vapi fails, or lists more calls of a single millisecond than it gives out at once.
    """
    # What changed lately is little; of what is new an hour may be a page.
    at, span = stretch.from_ms, _LONGEST_SPAN_MS if stretch.updated_from_ms else _FIRST_SPAN_MS
    while at < stretch.to_ms:
        end = min(at + span, stretch.to_ms)
        page = _page(vapi, stretch, at, end, PAGE)
        if len(page) >= PAGE:
            if end - at > _SHORTEST_SPAN_MS:
                span = max((end - at) // 2, _SHORTEST_SPAN_MS)
                continue
            page = _page(vapi, stretch, at, end, WHOLE_PAGE)
            if len(page) >= WHOLE_PAGE:
                raise VapiFailed(
                    "too_many",
                    f"Vapi has {WHOLE_PAGE} or more calls of the same millisecond, so not all of them can be read",
                )
        yield Window(at, end, tuple(page))
        if len(page) < PAGE // 4:
            span = min(span * 2, _LONGEST_SPAN_MS)
        at = end


def _page(vapi: Vapi, stretch: Stretch, from_ms: int, to_ms: int, limit: int) -> list[bytes]:
    return vapi.calls(from_ms=from_ms, to_ms=to_ms, updated_from_ms=stretch.updated_from_ms, limit=limit)
