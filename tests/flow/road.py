"""The way to Roark with rules, a clock to turn and uploads to end one by one, so that a test reads as what happens.

road = Road(ledger, clock, FlowRules(ceiling=4))
one, two = road.start(2)
road.fail(one)
road.deliver(two, took_ms=120)
"""

from collections.abc import Iterable

from clocks import Clock

from roark_ledger.flow import FlowRules
from roark_ledger.ids import CallId
from roark_ledger.ledger import Ledger
from roark_ledger.moves import delivery, intake, watch
from roark_ledger.moves.delivery import Bury, Claim, Defer, Deliver, Held, Signal
from roark_ledger.moves.intake import Acceptable
from roark_ledger.records.lane import Lane
from roark_ledger.records.snapshot import Snapshot

LEASE_MS = 15_000
_PLENTY = 10**9


class Road:
    """Uploads on one ledger. Its counters say how many reports were accepted and which uploads are out."""

    def __init__(self, ledger: Ledger, clock: Clock, rules: FlowRules) -> None:
        self.run = ledger.run
        self.clock = clock
        self.rules = rules
        self.accepted = 0
        self.out: list[Held] = []

    def accept(self, number: int = 1) -> None:
        ids = [CallId(f"call {self.accepted + place}") for place in range(number)]
        self.accepted += number
        reports = [Acceptable(one, "print", b"packed") for one in ids]
        self.run(intake.accept(reports, revisions="record", per_wakeup=64))

    def claim(self, wanted: int = 100, *, listen_ms: int = 0) -> Claim:
        found = self.run(
            delivery.claim(wanted=wanted, lease_ms=LEASE_MS, listen_ms=listen_ms, most_bytes=_PLENTY, rules=self.rules)
        )
        self.out += [Held(one.call_id, one.token) for one in found.reports]
        return found

    def start(self, wanted: int = 1) -> list[Held]:
        """Claim exactly so many."""
        found = self.claim(wanted)
        assert len(found.reports) == wanted, found
        return self.out[-wanted:]

    def deliver(self, *held: Held, took_ms: int = 100, pause_ms: int = 0) -> None:
        outcomes = [Deliver(one, "roark-1", b"{}", took_ms, pause_ms) for one in held]
        self._ended(held, self.run(delivery.deliver(outcomes, keep_payloads=False, rules=self.rules)))

    def fail(self, *held: Held, signal: Signal = Signal.FAULT, pause_ms: int = 0) -> None:
        outcomes = [Defer(one, 60_000, "reason", b"{}", signal, pause_ms) for one in held]
        self._ended(held, self.run(delivery.defer(outcomes, rules=self.rules)))

    def bury(self, *held: Held, signal: Signal = Signal.NONE) -> None:
        self._ended(
            held, self.run(delivery.bury([Bury(one, "reason", b"{}", signal) for one in held], rules=self.rules))
        )

    def release(self, *held: Held) -> None:
        self._ended(held, self.run(delivery.release(held)))

    def refuse(self, held: Held, *, gap_ms: int = 10_000, longest_gap_ms: int = 300_000) -> None:
        """Roark refuses all of us: what a worker does with a 401."""
        self.run(
            delivery.hold(by="roark", reason="http_401", gap_ms=gap_ms, longest_gap_ms=longest_gap_ms, witness=held)
        )
        self.release(held)

    def _ended(self, held: Iterable[Held], recorded: list[bool]) -> None:
        assert all(recorded)
        for one in held:
            self.out.remove(one)

    def break_open(self) -> None:
        """Fail as often as opens the breaker."""
        self.accept(self.rules.least)
        self.fail(*self.start(self.rules.least))
        assert self.lane.state == "breaker-open"

    def probe(self) -> Held:
        """Wait until the breaker lets its probe through, and start it."""
        self.clock.advance(max(0, self.lane.next_ms - self.clock.now_ms))
        self.accept()
        return self.start()[0]

    @property
    def snapshot(self) -> Snapshot:
        return self.run(watch.snapshot())

    @property
    def lane(self) -> Lane:
        return self.snapshot.lane
