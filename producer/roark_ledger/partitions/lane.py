"""One lane over all partitions: who claims asks the home for leave, who settles tells it what came of each upload.

    claim    what is ready where · leave from the home · claims at few partitions · the rest of the leave is given back
    settle   recorded at the partitions · told to the home
    refuse   judged by the home, to which all refusals are known · recorded at the partitions as it judged them
    renew    leases at the partitions, and permits at the home

These are plans: generators that yield whom to ask what, as `(where, operation)`, and get the answers in that order.
They wait for nothing and open no connection. A LedgerUnavailable may be an answer: a partition that is away is left out
of a claim, and a home that is away is told later. What holds of the lane, and how exactly, is written in
`moves/lane.py`.

A process that dies anywhere leaves leases at a partition and permits at home, which run out. Where it dies between a
partition and the home, the lane misses what one batch taught it. Without a home there is no leave, so nothing new
starts; what is under way is recorded at its partition, all but refusals, which wait for it. What a partition that is
away could not record is named (`Recorded.away`), and recorded later.

What is ready where is known from looking at a few partitions each time, in turn, and from what was claimed since; and
a claim asks a few of them. So it costs the same however many there are.
"""

import math
import random
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeVar

from roark_ledger.errors import LedgerUnavailable
from roark_ledger.flow import FlowRules
from roark_ledger.lane_states import LaneState
from roark_ledger.moves import delivery, lane
from roark_ledger.moves.delivery import Claim, Claimed, Held, Outcome, Recorded, Refuse
from roark_ledger.moves.goes import HOME
from roark_ledger.moves.lane import NOTHING_READY, PERMIT_SECONDS, Leave, PermitId, Ready, Uploaded
from roark_ledger.moves.operation import Operation
from roark_ledger.partitions.splitting import Share, split

T = TypeVar("T")
Asked = list[tuple[int, Operation[Any]]]
Plan = Generator[Asked, list[Any], T]
Claiming = Callable[..., Operation[Claim]]
"""Makes the claim for one partition: how many reports, of how many bytes, by which way in, and which."""

_LOOKS, _MOST_LOOKS = 4, 16
_ALL_WITHIN_SECONDS = 2.0
_ONLY_LOOK = -1
_ROUNDS = 2
_LEAST_WAIT_MS = 10
_MOST_UNTOLD = 1000
_NONE = PermitId("")
_RESUMED_MS = 600_000
_PERMIT_MS = round(PERMIT_SECONDS * 1000)


class Permitted:
    """The permits of one process, and what it knows of the partitions. Belongs to one thread."""

    def __init__(
        self,
        partitions: int,
        *,
        partition_of: Callable[[str, int], int],
        chance: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.partitions = partitions
        self._partition_of = partition_of
        self._chance = chance
        self._clock = clock
        self._ready: dict[int, Ready] = {}
        self._looked_at = clock()
        # Not all processes look at the same ones.
        self._next = int(chance() * partitions)
        self._turn = 0
        self._was_let_through = True
        self._resumed: dict[int, float] = {}
        self._untold: list[Uploaded] = []
        self.permits: dict[Held, PermitId] = {}
        """By which permit each report is uploaded."""

    def claim(
        self, some: Claiming, *, wanted: int, lease_ms: int, listen_ms: int, most_bytes: int, rules: FlowRules
    ) -> Plan[Claim]:
        """Claim up to `wanted` reports, wherever they are ready."""
        if not self._ready_number or not listen_ms:
            yield from self._look(self._in_turn(_LOOKS if listen_ms else self.partitions), listen_ms)
        if not (number := sum(share.number for share in self._split(wanted))):
            return Claim(LaneState.OPEN, 0, ())
        asked_at = self._clock()
        leave = yield from self._leave(number, lease_ms, listen_ms, rules)
        permits, reports = list(leave.permits), []
        for _ in range(_ROUNDS):
            shares = (yield from self._shares(leave, len(permits))) if permits else ()
            if not shares:
                break
            found = yield from self._claim_at(shares, some, leave, most_bytes)
            if self._clock() - asked_at > PERMIT_SECONDS:
                # Too late to start anything by this leave: as if nothing had been claimed.
                yield [(self._where(one.call_id), delivery.release([_held(one)])) for one in found]
                break
            for one in found:
                self.permits[_held(one)] = permits.pop()
            reports += found
        if permits:
            yield [(HOME, lane.give_back(permits, rules=rules))]
        self._turn = (self._turn + len(reports)) % 8
        # At a high rate the next one may start within a millisecond; many processes need not all ask for it.
        wait_ms = max(leave.wait_ms, _LEAST_WAIT_MS) if leave.wait_ms else 0
        return Claim(leave.lane, wait_ms, tuple(reports))

    def _leave(self, wanted: int, lease_ms: int, listen_ms: int, rules: FlowRules) -> Plan[Leave]:
        """Ask the home for leave, and meanwhile a few partitions what is ready."""
        ready = self._ready_number
        untried = sum(one.fresh.number for one in self._ready.values())
        ask = lane.permit(wanted=wanted, lease_ms=lease_ms + _PERMIT_MS, rules=rules, ready=ready, untried=untried)
        # Where the lane holds us back, enough is known of what is ready.
        seen = self._in_turn(self._looks_due(ready < 2 * wanted)) if self._was_let_through else []
        leave, *answers = yield [(HOME, ask), *((each, lane.ready(listen_ms=listen_ms)) for each in seen)]
        self._learn(seen, answers)
        found: Leave
        (found,) = _there([leave])
        self._was_let_through = bool(found.permits)
        return found

    def _look(self, partitions: Sequence[int], listen_ms: int = _ONLY_LOOK) -> Plan[None]:
        answers = yield [(each, lane.ready(listen_ms=listen_ms)) for each in partitions]
        self._learn(partitions, answers)

    def _learn(self, partitions: Sequence[int], answers: Sequence[Any]) -> None:
        for partition, one in zip(partitions, answers, strict=True):
            self._ready[partition] = one if isinstance(one, Ready) else NOTHING_READY

    def _looks_due(self, is_little_known: bool) -> int:
        """Return at how many to look: at all within two seconds, and at more where little is known to be ready."""
        due = math.ceil(self.partitions * (self._clock() - self._looked_at) / _ALL_WITHIN_SECONDS)
        return min(max(due, _LOOKS if is_little_known else 1), _MOST_LOOKS)

    def _in_turn(self, number: int) -> list[int]:
        """Return the next partitions to look at: a few each time, so that it costs the same, however many there are."""
        self._looked_at = self._clock()
        first, number = self._next, min(number, self.partitions)
        self._next = (first + number) % self.partitions
        return [(first + place) % self.partitions for place in range(number)]

    @property
    def _ready_number(self) -> int:
        return sum(one.number for one in self._ready.values())

    def _split(self, number: int) -> list[Share]:
        return split(number, self._ready, turn=self._turn, chance=self._chance)

    def _shares(self, leave: Leave, number: int) -> Plan[Sequence[Share]]:
        if not leave.is_for_probe:
            return self._split(number)
        # The one that was never refused, or least lately, wherever it is: probes are few.
        everywhere = range(self.partitions)
        answers = yield [(each, lane.probe_candidate()) for each in everywhere]
        found = [
            (last, self._chance(), each) for each, last in zip(everywhere, answers, strict=True) if type(last) is int
        ]
        return [Share(min(found)[-1], 1, "probe")] if found else ()

    def _claim_at(self, shares: Sequence[Share], some: Claiming, leave: Leave, most_bytes: int) -> Plan[list[Claimed]]:
        total = sum(share.number for share in shares)
        claims: Asked = [
            (share.partition, some(share.number, most_bytes * share.number // total, leave.route, share.which))
            for share in shares
        ]
        answers = yield [*claims, *self._news_of_resumed(leave, shares)]
        reports: list[Claimed] = []
        for share, claim in zip(shares, answers, strict=False):
            found = claim.reports if isinstance(claim, Claim) else ()
            reports += found
            known = self._ready.get(share.partition, NOTHING_READY)
            self._ready[share.partition] = known.less(found) if len(found) == share.number else NOTHING_READY
        return reports if len(shares) == 1 else sorted(reports, key=lambda one: (-one.late_ms, one.call_id))

    def _news_of_resumed(self, leave: Leave, shares: Sequence[Share]) -> Asked:
        """Tell partitions that the lane was opened again, each once."""
        if leave.resumed_ms is None or leave.resumed_ms > _RESUMED_MS:
            return []
        at, asked = self._clock() - leave.resumed_ms / 1000, []
        for share in shares:
            if self._resumed.get(share.partition, -1e9) < at - 1:
                self._resumed[share.partition] = at
                asked.append((share.partition, lane.note_resumed(ago_ms=leave.resumed_ms)))
        return asked

    def settle(
        self,
        outcomes: Sequence[Outcome],
        some: Callable[[Sequence[Outcome]], Operation[list[bool]]],
        *,
        rules: FlowRules,
    ) -> Plan[Recorded]:
        """Record outcomes, all but refusals; `some` makes the operation for those of one partition."""
        recorded = Recorded([False] * len(outcomes))
        placed = self._placed([one.held for one in outcomes])
        answers = yield [
            (where, some([lane.in_partition(outcomes[place]) for place in places])) for where, places in placed.items()
        ]
        answered: list[int] = []
        for places, answer in zip(placed.values(), answers, strict=True):
            if not isinstance(answer, LedgerUnavailable):
                answered += places
                for place, flag in zip(places, answer, strict=True):
                    recorded[place] = flag
        for place in answered:
            if permit := self.permits.pop(outcomes[place].held, None):
                told = outcomes[place] if recorded[place] else None
                self._untold.append(Uploaded(permit, outcomes[place].held.call_id, told))
        recorded.away = _places_away(placed, answers)
        recorded.news = yield from self._tell(rules)
        return recorded

    def _tell(self, rules: FlowRules) -> Plan[tuple[tuple[str, str], ...]]:
        """Tell the home what came of uploads; what it is not there for, it is told the next time."""
        untold, self._untold = self._untold[-_MOST_UNTOLD:], []
        if not untold:
            return ()
        (noted,) = yield [(HOME, lane.outcomes(untold, rules=rules, ready=self._ready_number))]
        if isinstance(noted, LedgerUnavailable):
            self._untold = [*untold, *self._untold]
            return ()
        news: tuple[tuple[str, str], ...] = noted.news
        return news

    def refuse(
        self, refused: Sequence[Refuse], *, rules: FlowRules, longest_gap_ms: int, most_sends: int
    ) -> Plan[Recorded]:
        """Record refusals, as the home judges them."""
        # The home hears of what was delivered first, which says that it is not about all of us: what settles beside
        # this is at its partitions meanwhile.
        placed = self._placed([one.held for one in refused])
        if not self._ready_number:
            yield from self._look(range(self.partitions))
        known = yield [
            (where, lane.refused_before([refused[place].held.call_id for place in places]))
            for where, places in placed.items()
        ]
        gone = set(_places_away(placed, known))
        here = [place for place in range(len(refused)) if place not in gone]
        placed = {where: places for where, places in placed.items() if places[0] not in gone}
        anew = {
            place
            for places, flags in zip(placed.values(), _without_errors(known), strict=True)
            for place, flag in zip(places, flags, strict=True)
            if not flag
        }
        told = [
            Uploaded(
                self.permits.get(refused[place].held, _NONE), refused[place].held.call_id, refused[place], place in anew
            )
            for place in here
        ]
        ask = lane.outcomes(
            told, rules=rules, ready=self._ready_number, longest_gap_ms=longest_gap_ms, most_sends=most_sends
        )
        recorded = Recorded([False] * len(refused))
        (noted,) = (yield [(HOME, ask)]) if told else (None,)
        if noted is None or isinstance(noted, LedgerUnavailable):
            recorded.away = tuple(range(len(refused)))
            return recorded
        sends = dict(zip(here, noted.sends, strict=True))
        answers = yield [
            (where, lane.refuse([refused[place] for place in places], [sends[place] for place in places]))
            for where, places in placed.items()
        ]
        recorded.away = tuple(sorted({*gone, *_places_away(placed, answers)}))
        buried: list[int] = []
        for places, answer in zip(placed.values(), answers, strict=True):
            if isinstance(answer, LedgerUnavailable):
                continue
            for place, flag in zip(places, answer, strict=True):
                recorded[place] = flag
                self.permits.pop(refused[place].held, None)
            buried += [places[which] for which in answer.buried]
        recorded.news, recorded.buried = noted.news, tuple(sorted(buried))
        return recorded

    def renew(self, held: Sequence[Held], *, lease_ms: int) -> Plan[list[bool]]:
        """Prolong leases and permits; False marks a lost lease; where a partition is away, none is known to be."""
        flags = [True] * len(held)
        placed = self._placed(held)
        permits = [self.permits[one] for one in held if one in self.permits]
        asked: Asked = [
            (where, delivery.renew([held[place] for place in places], lease_ms=lease_ms))
            for where, places in placed.items()
        ]
        if permits:
            asked.append((HOME, lane.prolong(permits, lease_ms=lease_ms + _PERMIT_MS)))
        answers = yield asked
        for places, answer in zip(placed.values(), answers, strict=False):
            if not isinstance(answer, LedgerUnavailable):
                for place, flag in zip(places, answer, strict=True):
                    flags[place] = flag
        # Who lost its lease gives the upload up, and may tell nobody.
        for one, flag in zip(held, flags, strict=True):
            if not flag and (permit := self.permits.pop(one, None)):
                self._untold.append(Uploaded(permit, one.call_id, None))
        return flags

    def _where(self, call_id: str) -> int:
        return self._partition_of(call_id, self.partitions)

    def _placed(self, held: Sequence[Held]) -> dict[int, list[int]]:
        placed: defaultdict[int, list[int]] = defaultdict(list)
        for place, one in enumerate(held):
            placed[self._where(one.call_id)].append(place)
        return placed


def _places_away(placed: dict[int, list[int]], answers: Sequence[Any]) -> tuple[int, ...]:
    """Return the places of those whose partitions are away."""
    gone = [places for places, one in zip(placed.values(), answers, strict=True) if isinstance(one, LedgerUnavailable)]
    return tuple(sorted(place for places in gone for place in places))


def _without_errors(answers: Sequence[Any]) -> list[Any]:
    return [one for one in answers if not isinstance(one, LedgerUnavailable)]


def _there(answers: list[Any]) -> list[Any]:
    """Return the answers. Raises LedgerUnavailable where a place is away."""
    for answer in answers:
        if isinstance(answer, LedgerUnavailable):
            raise answer
    return answers


def _held(report: Claimed) -> Held:
    return Held(report.call_id, report.token)
