"""The ledger as a few Python objects: what its scripts promise, without Redis, races or bytes.

`test_ledger_against_model.py` leads both through the same steps and compares. The model knows neither keys nor
scripts; it is written from the lifecycle and the headers of the scripts.
"""

import math
from collections import Counter
from dataclasses import dataclass, field

TURNS = ("fresh", "retry", "fresh", "fresh", "replay", "fresh", "retry", "fresh")
QUEUES = ("fresh", "retry", "replay")
SLOW_START = 4
SUSPECT_MS, APART_MS = 15_000, 250
PERISHES_SOON_MS = (5_000, 300_000)


@dataclass
class Version:
    """One report of a call."""

    name: str
    expires: int


@dataclass
class Call:
    """What is known of one call. `score` orders it in its place, as its own id does among equals."""

    version: Version
    accepted: int
    state: str = "ready"
    queue: str = "fresh"
    score: int = 0
    attempts: int = 0
    deaths: int = 0
    token: int = 0
    revision: bool = False
    since: int = 0
    payload: bool = True
    edited: str = ""
    # How often it was refused in a way that may be true for all, and when last.
    refusals: int = 0
    refused_at: int = -1
    # Delivered, and Roark did not name the call.
    unconfirmed: bool = False
    # Its history tells that another report took the place of the one that was sent.
    changed: bool = False
    beside: Version | None = None
    recorded: Version | None = None
    # Ready reports whose audio links end; `promote` tidies away those that have ended.
    perishable: bool = False


@dataclass
class Lane:
    """What stands between reports and Roark. `most_in_flight` is infinite but for a while after a hold."""

    most_in_flight: float = math.inf
    held: bool = False
    by_hand: bool = False
    gap: int = 0
    probe_at: int | None = None
    probe: tuple[str, int] | None = None


@dataclass
class Notice:
    """What retention has announced: reports that came into their state until `to`, at `at`; `cleared` may go."""

    at: int | None = None
    to: int = 0
    cleared: float = -math.inf


@dataclass
class Model:
    """All calls, the lane, and the counters."""

    now: int
    calls: dict[str, Call] = field(default_factory=dict)
    barred: set[str] = field(default_factory=set)
    counters: Counter[str] = field(default_factory=Counter)
    lane: Lane = field(default_factory=Lane)
    delivered: list[str] = field(default_factory=list)
    turn: int = 0
    suspect: str = ""
    suspect_at: int = 0
    notices: dict[str, "Notice"] = field(default_factory=lambda: {"dead": Notice(), "discarded": Notice()})

    def _ready(self, call: Call, score: int, queue: str) -> None:
        call.state, call.score, call.queue, call.token, call.since = "ready", score, queue, 0, self.now
        call.perishable = call.version.expires > self.now

    def _leave(self, call: Call, state: str, score: int = 0) -> None:
        if state in {"dead", "delivered"}:
            call.refusals, call.refused_at = 0, -1
        call.state, call.score, call.token, call.since, call.perishable = state, score, 0, self.now, False

    def _adopt(self, call: Call, version: Version) -> None:
        call.version, call.attempts, call.deaths, call.payload, call.edited = version, 0, 0, True, ""
        call.refusals, call.refused_at = 0, -1
        if call.state == "ready":
            call.perishable = version.expires > self.now

    def _no_longer_delivered(self, call_id: str) -> None:
        if call_id in self.delivered:
            self.delivered.remove(call_id)
        self.counters["delivered"] -= 1

    def accept(self, call_id: str, version: Version, *, upload_revisions: bool) -> str:
        result, counter = self._accept(call_id, version, upload_revisions)
        if counter:
            self.counters[counter] += 1
        return result

    def _accept(self, call_id: str, version: Version, upload_revisions: bool) -> tuple[str, str]:
        if call_id in self.barred:
            return "erased", "refused_erased"
        call = self.calls.get(call_id)
        if call is None:
            self.calls[call_id] = call = Call(version, accepted=self.now)
            self._ready(call, self.now, "fresh")
            return "accepted", "accepted"
        kept = {"uploading": call.beside, "delivered": call.recorded}.get(call.state)
        if version.name in {call.version.name, kept.name if kept else None}:
            return "duplicate", "duplicates"
        match call.state:
            case "uploading":
                call.beside = version
                return "replaced", ""
            case "delivered" if upload_revisions:
                self._revise(call_id, call, version)
                return "revision", "revisions"
            case "delivered":
                call.recorded = version
                return "revision", "revisions"
            case "dead":
                self._adopt(call, version)
                self._ready(call, self.now, "fresh")
            case _:
                self._adopt(call, version)
        call.changed = True
        return "replaced", "replaced"

    def _revise(self, call_id: str, call: Call, version: Version) -> None:
        self._no_longer_delivered(call_id)
        self._adopt(call, version)
        call.unconfirmed = False
        call.revision = True
        self._ready(call, self.now, "fresh")

    def in_queue(self, queue: str) -> list[str]:
        found = [(call.score, call_id) for call_id, call in self.calls.items() if is_on(call, queue)]
        return [call_id for _, call_id in sorted(found)]

    def _gate(self, wanted: int) -> tuple[str, int, int]:
        lane = self.lane
        if not lane.held:
            in_flight = sum(1 for call in self.calls.values() if call.state == "uploading")
            return "open", 0, min(wanted, max(0, int(min(lane.most_in_flight, 10**6)) - in_flight))
        if lane.probe_at is None:
            return "held", 0, 0
        is_out = lane.probe is not None and self.holds(*lane.probe)
        lease = self.calls[lane.probe[0]].score - self.now if lane.probe and is_out else 0
        wait_ms = max(lane.probe_at - self.now, lease)
        return ("held", wait_ms, 0) if wait_ms > 0 else ("probing", 0, 1)

    def claim(self, wanted: int, lease_ms: int) -> tuple[str, int, list[str]]:
        """Return what the gate says and the calls that it hands out, in any order."""
        lane = self.lane
        state, wait_ms, granted = self._gate(wanted)
        chosen = self._probe() if state == "probing" else self._choose(granted)
        if chosen:
            self.counters["token"] += 1
            self.turn = (self.turn + len(chosen)) % 8
            for call_id in chosen:
                call = self.calls[call_id]
                self._leave(call, "uploading", self.now + lease_ms)
                call.token = self.counters["token"]
            if state == "probing":
                lane.probe = (chosen[0], self.counters["token"])
                lane.probe_at = self.now + lane.gap
        return state, wait_ms, chosen

    def _probe(self) -> list[str]:
        """Another report each time: one that was never refused, or the one of which that is longest ago."""
        heads = [call_id for queue in QUEUES for call_id in self.in_queue(queue)]
        return sorted(heads, key=lambda call_id: self.calls[call_id].refused_at)[:1]

    def _choose(self, wanted: int) -> list[str]:
        first, last = PERISHES_SOON_MS
        soon = sorted(
            (call.version.expires, call_id)
            for call_id, call in self.calls.items()
            if call.perishable and self.now + first <= call.version.expires <= self.now + last
        )
        chosen = [call_id for _, call_id in soon[: -(-wanted // 2)]]
        left = wanted - len(chosen)
        queues = {queue: [call_id for call_id in self.in_queue(queue) if call_id not in chosen] for queue in QUEUES}
        turns = [TURNS[(self.turn + number) % 8] for number in range(left)]
        shares = {queue: min(turns.count(queue), len(queues[queue])) for queue in QUEUES}
        for queue in QUEUES:
            shares[queue] += min(left - sum(shares.values()), len(queues[queue]) - shares[queue])
        return chosen + [call_id for queue in QUEUES for call_id in queues[queue][: shares[queue]]]

    def holds(self, call_id: str, token: int) -> bool:
        call = self.calls.get(call_id)
        return call is not None and call.state == "uploading" and call.token == token

    def deliver(self, call_id: str, token: int, *, named: bool = True) -> bool:
        if not self.holds(call_id, token):
            late = self.calls.get(call_id)
            if named and late and not (late.revision or late.changed):
                self._settle_unconfirmed(call_id, late)
            return False
        call = self.calls[call_id]
        call.attempts += 1
        self._leave(call, "delivered")
        call.unconfirmed = True
        if named:
            self._settle_unconfirmed(call_id, call)
        self.counters["delivered"] += 1
        self._take_beside(call_id, call)
        self._probe_was_good(call_id, token)
        self.lane.most_in_flight += 1
        return True

    def _settle_unconfirmed(self, call_id: str, call: Call) -> bool:
        if not (call.state == "delivered" and call.unconfirmed):
            return False
        call.unconfirmed = call.payload = False
        call.edited = ""
        self.delivered.append(call_id)
        return True

    def confirm(self, call_id: str) -> str:
        call = self.calls.get(call_id)
        if call is None:
            return "unknown"
        return "confirmed" if self._settle_unconfirmed(call_id, call) else call.state

    def defer(self, call_id: str, token: int, delay_ms: int) -> bool:
        if not self.holds(call_id, token):
            return False
        call = self.calls[call_id]
        call.attempts += 1
        call.deaths = 0
        self._leave(call, "waiting", self.now + delay_ms)
        self._take_beside(call_id, call)
        self._probe_told_nothing(call_id, token)
        return True

    def refuse(self, call_id: str, token: int, *, is_dead: bool) -> bool:
        """Whether it is dead of it the ledger says: that depends on what became of others, and when."""
        if not self.holds(call_id, token):
            return False
        call = self.calls[call_id]
        sends = call.refusals + 1
        if is_dead:
            call.attempts += sends
            self._leave(call, "dead", self.now)
        else:
            call.deaths = 0
            self._leave(call, "waiting", self.now + min(3_000 * sends, 10_000))
            call.refusals, call.refused_at = sends, self.now
        self._take_beside(call_id, call)
        return True

    def bury(self, call_id: str, token: int) -> bool:
        if not self.holds(call_id, token):
            return False
        call = self.calls[call_id]
        call.attempts += 1
        self._leave(call, "dead", self.now)
        self._take_beside(call_id, call)
        self._probe_was_good(call_id, token)
        return True

    def release(self, call_id: str, token: int) -> bool:
        if not self.holds(call_id, token):
            return False
        call = self.calls[call_id]
        self._ready(call, call.accepted if call.queue == "fresh" else self.now, call.queue)
        self._take_beside(call_id, call)
        self._probe_told_nothing(call_id, token)
        return True

    def renew(self, call_id: str, token: int, lease_ms: int) -> bool:
        if not self.holds(call_id, token):
            return False
        self.calls[call_id].score = self.now + lease_ms
        return True

    def _take_beside(self, call_id: str, call: Call) -> None:
        newer, call.beside = call.beside, None
        if newer is None:
            return
        if call.state == "delivered":
            self.counters["revisions"] += 1
            self._revise(call_id, call, newer)
            return
        self.counters["replaced"] += 1
        self._adopt(call, newer)
        call.changed = True
        if call.state == "dead":
            self._ready(call, self.now, "fresh")

    def _probe_was_good(self, call_id: str, token: int) -> None:
        if self.lane.probe == (call_id, token):
            self.lane = Lane(most_in_flight=SLOW_START)

    def _probe_told_nothing(self, call_id: str, token: int) -> None:
        if self.lane.probe == (call_id, token):
            self.lane.probe = None

    def reap(self, deaths: int) -> tuple[int, int]:
        uploading = [(call_id, call) for call_id, call in self.calls.items() if call.state == "uploading"]
        expired = [(call_id, call) for call_id, call in uploading if call.score <= self.now]
        poisoned = put_off = 0
        for call_id, call in sorted(expired, key=lambda one: (one[1].score, one[0].encode())):
            call.deaths += 1
            if call.deaths >= deaths:
                poisoned += 1
                self._leave(call, "dead", self.now)
            elif call.deaths == deaths - 1 and self._is_suspect_out():
                put_off += 1
                self._leave(call, "waiting", self.now + put_off * APART_MS)
            else:
                self._ready(call, self.now, "retry")
                if call.deaths == deaths - 1:
                    self.suspect, self.suspect_at = call_id, self.now
            self._take_beside(call_id, call)
        self.counters["leases_expired"] += len(expired)
        self.counters["poisoned"] += poisoned
        return len(expired) - poisoned, poisoned

    def _is_suspect_out(self) -> bool:
        """Whether a report that would be poison at its next death is out: the others wait for its outcome."""
        call = self.calls.get(self.suspect)
        if call is None or self.now - self.suspect_at > SUSPECT_MS:
            return False
        return call.deaths > 0 and call.state in {"ready", "uploading"}

    def promote(self) -> int:
        found = [(call.score, call_id.encode(), call_id) for call_id, call in self.calls.items()]
        due = [one for one in sorted(found) if self.calls[one[2]].state == "waiting" and one[0] <= self.now]
        for score, _, call_id in due:
            call = self.calls[call_id]
            if call.deaths and self._is_suspect_out():
                call.score = self.now + APART_MS
                continue
            self._ready(call, score, "retry")
            if call.deaths:
                self.suspect, self.suspect_at = call_id, self.now
        for call in self.calls.values():
            call.perishable = call.perishable and call.version.expires > self.now
        return len(due)

    def replay(self, call_id: str) -> str:
        call = self.calls.get(call_id)
        if call is None or call.state != "dead":
            return call.state if call else "unknown"
        return self._again(call)

    def resend(self, call_id: str) -> str:
        call = self.calls.get(call_id)
        if call is None or not call.unconfirmed:
            return call.state if call else "unknown"
        self._no_longer_delivered(call_id)
        call.unconfirmed = False
        return self._again(call)

    def _again(self, call: Call) -> str:
        call.attempts = call.deaths = 0
        self._ready(call, self.now, "replay")
        self.counters["replayed"] += 1
        return "replayed"

    def edit(self, call_id: str, text: str) -> str:
        call = self.calls.get(call_id)
        if call is None or call.state != "dead":
            return call.state if call else "unknown"
        call.changed = True
        call.edited = "" if text == call.version.name else text
        call.version.expires = 0
        return "edited"

    def unedit(self, call_id: str) -> str:
        call = self.calls.get(call_id)
        if call is None or call.state != "dead":
            return call.state if call else "unknown"
        if not call.edited:
            return "unchanged"
        call.edited = ""
        return "unedited"

    def set_aside(self, call_id: str) -> str:
        call = self.calls.get(call_id)
        if call is None or call.state not in {"ready", "waiting"}:
            return call.state if call else "unknown"
        self._leave(call, "dead", self.now)
        self.counters["set_aside"] += 1
        return "set aside"

    def discard(self, call_id: str) -> str:
        call = self.calls.get(call_id)
        if call and self._settle_unconfirmed(call_id, call):
            return "discarded"
        return self._aside(call_id, "dead", "discarded", "discarded")

    def restore(self, call_id: str) -> str:
        return self._aside(call_id, "discarded", "dead", "restored")

    def _aside(self, call_id: str, source: str, target: str, word: str) -> str:
        call = self.calls.get(call_id)
        if call is None or call.state != source:
            return call.state if call else "unknown"
        self._leave(call, target, self.now)
        return word

    def erase(self, call_id: str) -> str:
        was_barred = call_id in self.barred
        self.barred.add(call_id)
        call = self.calls.pop(call_id, None)
        if call is None:
            return "erased" if was_barred else "unknown"
        if call.state == "delivered":
            self._no_longer_delivered(call_id)
        if self.lane.probe and self.lane.probe[0] == call_id:
            self.lane.probe = None
        self.counters["erased"] += 1
        return call.state

    def forget(self, window_ms: int) -> int:
        forgotten = 0
        while self.delivered and self.calls[self.delivered[0]].since <= self.now - window_ms:
            del self.calls[self.delivered.pop(0)]
            forgotten += 1
        self.counters["forgotten"] += forgotten
        return forgotten

    def expire(self, state: str, window_ms: int, notice_ms: int) -> tuple[int, int]:
        """Return how many reports are removed, and how many are announced."""
        notice = self.notices[state]
        if notice.at is not None and self.now - notice.at >= notice_ms:
            notice.cleared, notice.at = notice.to, None
        here = [call for call in self.calls.values() if call.state == state]
        announced = 0
        if notice.at is None:
            until = self.now + 2 * notice_ms - window_ms
            announced = sum(notice.cleared < call.score <= until for call in here)
            if announced:
                notice.at, notice.to = self.now, until
        last = min(self.now - window_ms, notice.cleared)
        gone = [call_id for call_id, call in self.calls.items() if call.state == state and call.score <= last]
        for call_id in gone:
            del self.calls[call_id]
        self.counters["expired"] += len(gone)
        return len(gone), announced

    def hold_by_hand(self) -> bool:
        was_open = not self.lane.held
        self.lane = Lane(self.lane.most_in_flight, held=True, by_hand=True)
        return was_open

    def hold_by_roark(self, witness: tuple[str, int] | None, gap_ms: int, longest_gap_ms: int) -> bool:
        lane = self.lane
        if lane.by_hand:
            return False
        if not lane.held:
            self.lane = Lane(lane.most_in_flight, held=True, gap=gap_ms, probe_at=self.now + gap_ms)
            return True
        if witness is not None and lane.probe == witness:
            lane.gap = min(lane.gap * 2, longest_gap_ms)
            lane.probe_at = self.now + lane.gap
            lane.probe = None
        return False

    def resume(self) -> bool:
        was_held = self.lane.held
        if was_held:
            self.lane = Lane(most_in_flight=SLOW_START)
        return was_held

    def states(self) -> Counter[str]:
        """How many reports are in each state, of all that were ever accepted."""
        found = Counter(call.state for call in self.calls.values() if call.state != "delivered")
        found["delivered"] = self.counters["delivered"]
        found["expired"] = self.counters["expired"]
        found["erased"] = self.counters["erased"]
        return found


def is_on(call: Call, queue: str) -> bool:
    return call.state == "ready" and call.queue == queue
