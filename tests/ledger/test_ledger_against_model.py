"""The whole ledger against a small model: two workers, leases that run out, replays, replacements, erasures, holds.

Hypothesis makes up the story. After each step both must tell the same, each call must stand in exactly one place
(read from the keys, past the scripts), and the accounting equation must hold.
"""

import pytest
import redis
from clocks import Clock
from fakeredis import FakeStrictRedis
from fakes import ScriptingFakeServer
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from model import Model, Version
from servers import Server
from workbench import Inventory, Workbench, all_held, packed

from roark_ledger.ids import CallId
from roark_ledger.ledger import Ledger
from roark_ledger.moves import intake, watch
from roark_ledger.moves.delivery import Held
from roark_ledger.moves.intake import Acceptable
from roark_ledger.records.record import Record
from roark_ledger.records.snapshot import Snapshot
from roark_ledger.server.connection import connect

LEASE_MS, DELAY_MS, GAP_MS, LONGEST_GAP_MS, WINDOW_MS = 1_000, 1_000, 300, 1_000, 3_000
COUNTERS = ["accepted", "duplicates", "replaced", "revisions", "refused_erased", "delivered", "erased"]
COUNTERS += ["leases_expired", "poisoned", "replayed", "forgotten", "expired"]
PRIORITIES = {"fresh": "f", "retry": "r", "replay": "p"}

CALLS = [f"call-{number}" for number in range(6)]

calls = st.sampled_from(CALLS)
endings = st.sampled_from(["deliver", "deliver unnamed", "bury", "defer"])
verbs = st.sampled_from(["replay", "resend", "set_aside", "discard", "restore", "confirm"])
outcomes = st.sampled_from(["deliver", "deliver unnamed", "defer", "bury", "release", "renew"])
fates = st.sampled_from(["unknown", "ready", "renew", "deliver", "defer", "bury"])
# Only these are ever erased: nothing more happens to a call that is.
erasable = st.sampled_from(["call-4", "call-5"])
versions = st.sampled_from("abc")
# Ended already, about to end, soon, and much later; most reports name no end.
links_end_in = st.sampled_from([None, None, None, None, -1, 1_000, 60_000, 3_000_000])
workers = st.integers(0, 1)


class LedgerMachine(RuleBasedStateMachine):
    """One story. `client` and `numbers` are set by the test that tells it."""

    client: "redis.Redis"

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.bench = Workbench(Ledger(self.client, prefix="story", clock=self.clock), self.clock)
        self.client.delete(*self.bench.ledger.calls.keys.in_order())
        self.model = Model(now=self.clock.now_ms)
        # What each worker believes to hold; it learns of a lost lease only when it settles.
        self.hands: tuple[list[Held], list[Held]] = ([], [])

    @initialize(fates=st.lists(fates, min_size=len(CALLS), max_size=len(CALLS)))
    def begin_in_the_middle(self, fates: list[str]) -> None:
        """Each call has come so far already; stories that begin with nothing seldom come far."""
        by_fate = sorted(zip(fates, CALLS, strict=True), key=lambda one: one[0] == "ready")
        for fate, call_id in by_fate:
            if fate != "unknown":
                self._accept([(call_id, "a", None)], upload_revisions=False)
            if fate not in {"unknown", "ready"}:
                (one,) = self._claim(0, 1)
                self._settle(fate, one)

    @rule(
        reports=st.lists(st.tuples(calls, versions, links_end_in), min_size=1, max_size=3),
        upload_revisions=st.booleans(),
    )
    def accept(self, reports: list[tuple[str, str, int | None]], *, upload_revisions: bool) -> None:
        self._accept(reports, upload_revisions=upload_revisions)

    def _accept(self, reports: list[tuple[str, str, int | None]], *, upload_revisions: bool) -> None:
        ends = [0 if end is None else self.clock.now_ms + end for *_, end in reports]
        whole = [
            Acceptable(CallId(call_id), f"print-{version}", packed(call_id, version), end)
            for (call_id, version, _), end in zip(reports, ends, strict=True)
        ]
        mode = "upload" if upload_revisions else "record"

        results = self.bench.run(intake.accept(whole, revisions=mode, per_wakeup=64)).results

        assert list(results) == [
            self.model.accept(call_id, Version(version, end), upload_revisions=upload_revisions)
            for (call_id, version, _), end in zip(reports, ends, strict=True)
        ]

    @rule(worker=workers, wanted=st.integers(1, 4))
    def claim(self, worker: int, wanted: int) -> None:
        self._claim(worker, wanted)

    def _claim(self, worker: int, wanted: int) -> list[Held]:
        claim = self.bench.claim(wanted, lease_ms=LEASE_MS)

        state, wait_ms, chosen = self.model.claim(wanted, LEASE_MS)
        assert (claim.lane, claim.wait_ms) == (state, wait_ms)
        assert sorted(report.call_id for report in claim.reports) == sorted(chosen)
        for report in claim.reports:
            call = self.model.calls[report.call_id]
            assert report.packed == packed(report.call_id, call.edited or call.version.name)
            assert (report.token, report.revision) == (call.token, call.revision)
            assert (report.attempts, report.priority) == (call.attempts, PRIORITIES[call.queue])
        leases = all_held(claim.reports)
        self.hands[worker].extend(leases)
        return leases

    def _settle(self, how: str, one: Held) -> None:
        bench, model, name, token = self.bench, self.model, one.call_id, one.token
        match how:
            case "deliver":
                assert bench.deliver(one) == model.deliver(name, token)
            case "deliver unnamed":
                assert bench.deliver(one, "") == model.deliver(name, token, named=False)
            case "defer":
                assert bench.defer(one, DELAY_MS) == model.defer(name, token, DELAY_MS)
            case "bury":
                assert bench.bury(one) == model.bury(name, token)
            case "release":
                assert bench.release(one) == model.release(name, token)
            case "renew":
                assert bench.renew(one, LEASE_MS) == model.renew(name, token, LEASE_MS)

    @precondition(lambda self: any(self.hands))
    @rule(data=st.data(), how=outcomes)
    def settle(self, data: st.DataObject, how: str) -> None:
        self._settle(how, self._some_lease(data))

    def _some_lease(self, data: st.DataObject) -> Held:
        everything = [one for hand in self.hands for one in hand]
        alive = [one for one in everything if self.model.holds(one.call_id, one.token)]
        # Mostly leases that hold; the others were lost or settled, and a worker may not know it yet.
        of_these = alive if alive and data.draw(st.sampled_from([True, True, True, False])) else everything
        return data.draw(st.sampled_from(of_these))

    @rule(worker=workers, wanted=st.integers(1, 4), how=endings)
    def a_worker_does_its_work(self, worker: int, wanted: int, how: str) -> None:
        for one in self._claim(worker, wanted):
            self._settle(how, one)

    @rule(worker=workers, version=versions, how=outcomes)
    def a_newer_report_comes_meanwhile(self, worker: int, version: str, how: str) -> None:
        leases = self._claim(worker, 2)
        if leases:
            self._accept([(one.call_id, version, None) for one in leases], upload_revisions=False)
        for one in leases:
            self._settle(how, one)

    @rule(worker=workers, how=outcomes)
    def a_worker_is_too_slow(self, worker: int, how: str) -> None:
        leases = self._claim(worker, 2)
        self._tick(LEASE_MS, deaths=3)
        self._claim(1 - worker, 4)
        for one in leases:
            self._settle(how, one)

    @rule(worker=workers)
    def a_worker_dies(self, worker: int) -> None:
        self.hands[worker].clear()

    @rule(ms=st.sampled_from([1, 100, LEASE_MS, WINDOW_MS]), deaths=st.integers(1, 3))
    def a_tick(self, ms: int, deaths: int) -> None:
        self._tick(ms, deaths=deaths)

    def _tick(self, ms: int, *, deaths: int) -> None:
        self.clock.advance(ms)
        self.model.now = self.clock.now_ms
        assert self.bench.promote() == self.model.promote()
        reaped = self.bench.reap(deaths=deaths)
        assert (reaped.reclaimed, len(reaped.poisoned)) == self.model.reap(deaths)
        assert self.bench.forget(WINDOW_MS) == self.model.forget(WINDOW_MS)

    @rule(ms=st.sampled_from([1, 50, GAP_MS]))
    def a_moment_passes(self, ms: int) -> None:
        self.clock.advance(ms)
        self.model.now = self.clock.now_ms

    @precondition(
        lambda self: any(c.state in {"dead", "discarded"} or c.unconfirmed for c in self.model.calls.values())
    )
    @rule(ids=st.lists(calls, min_size=3, max_size=6), verb=verbs)
    def someone_sees_to_the_dead_letters(self, ids: list[str], verb: str) -> None:
        # A job has a letter once, however often it is named; the scripts of the others answer for each time.
        ids = list(dict.fromkeys(ids)) if verb == "replay" else ids
        answers = getattr(self.bench, verb)(*ids)

        assert answers == [getattr(self.model, verb)(call_id) for call_id in ids]

    @precondition(lambda self: any(call.state == "dead" for call in self.model.calls.values()))
    @rule(call_id=calls, text=st.sampled_from(["a", "edited", "once more"]))
    def someone_edits(self, call_id: str, text: str) -> None:
        assert self.bench.edit(call_id, text) == self.model.edit(call_id, text)

    @precondition(lambda self: any(call.edited for call in self.model.calls.values()))
    @rule(data=st.data())
    def someone_thinks_better_of_it(self, data: st.DataObject) -> None:
        call_id = data.draw(st.sampled_from([name for name, call in self.model.calls.items() if call.edited]))

        assert self.bench.unedit(call_id) == self.model.unedit(call_id)

    @precondition(lambda self: any(call.state in {"dead", "discarded"} for call in self.model.calls.values()))
    @rule(state=st.sampled_from(["dead", "discarded"]), window_ms=st.sampled_from([0, LEASE_MS, WINDOW_MS]))
    def retention_acts(self, state: str, window_ms: int) -> None:
        told = self.bench.expire(state, window_ms, GAP_MS)

        assert (told.removed, told.announced) == self.model.expire(state, window_ms, GAP_MS)

    @rule(call_id=erasable)
    def erase(self, call_id: str) -> None:
        assert self.bench.erase(call_id) == self.model.erase(call_id)

    @precondition(lambda self: not self.model.lane.by_hand)
    @rule()
    def hold_by_hand(self) -> None:
        assert self.bench.hold_by_hand() == self.model.hold_by_hand()

    @precondition(lambda self: any(self.hands) and not self.model.lane.by_hand)
    @rule(data=st.data())
    def roark_refuses_all_of_us(self, data: st.DataObject) -> None:
        one = self._some_lease(data)

        was_open = self.bench.hold_by_roark(one, gap_ms=GAP_MS, longest_gap_ms=LONGEST_GAP_MS)

        assert was_open == self.model.hold_by_roark((one.call_id, one.token), GAP_MS, LONGEST_GAP_MS)

    @precondition(lambda self: any(self.hands) and not self.model.lane.held)
    @rule(data=st.data())
    def roark_refuses_this_one_or_all(self, data: st.DataObject) -> None:
        """What that makes of the lane has tests of its own: here it is opened again."""
        one = self._some_lease(data)
        holds = self.model.holds(one.call_id, one.token)
        sends = self.model.calls[one.call_id].refusals + 1 if holds else 0

        recorded = self.bench.refuse(one)

        assert list(recorded) == [self.model.refuse(one.call_id, one.token, is_dead=bool(recorded.buried))]
        assert sends >= 3 or not recorded.buried
        if self.bench.snapshot().lane.state == "held":
            self.model.hold_by_roark(None, GAP_MS, LONGEST_GAP_MS)
        assert self.bench.resume() == self.model.resume()

    @precondition(lambda self: self.model.lane.held)
    @rule()
    def resume(self) -> None:
        assert self.bench.resume() == self.model.resume()

    @invariant()
    def both_tell_the_same(self) -> None:
        snapshot, inventory = self.bench.snapshot(), self.bench.inventory()
        assert snapshot.balanced
        assert self.bench.run(watch.verify(CALLS)) == []
        inventory.check(now_ms=self.clock.now_ms)
        self._compare_totals(snapshot)
        self._compare_lane(snapshot)
        self._compare_records(inventory.records())
        self._compare_places(inventory)

    def _compare_totals(self, snapshot: Snapshot) -> None:
        assert {state.value: number for state, number in snapshot.states.items() if number} == dict(
            +self.model.states()
        )
        for name in COUNTERS:
            assert snapshot.total(name) == self.model.counters[name], name
        assert snapshot.unconfirmed == sum(call.unconfirmed for call in self.model.calls.values())
        assert snapshot.besides == sum(1 for call in self.model.calls.values() if call.beside)
        assert snapshot.revisions_kept == sum(1 for call in self.model.calls.values() if call.recorded)

    def _compare_lane(self, snapshot: Snapshot) -> None:
        assert snapshot.lane.state == ("held" if self.model.lane.held else "open")
        assert snapshot.lane.next_ms == (self.model.lane.probe_at or 0)

    def _compare_records(self, records: dict[str, Record]) -> None:
        assert set(records) == set(self.model.calls)
        for call_id, call in self.model.calls.items():
            record = records[call_id]
            assert (record.state, record.fingerprint) == (call.state, f"print-{call.version.name}")
            assert (record.attempts, record.deaths, record.token) == (call.attempts, call.deaths, call.token)
            assert (record.accepted_ms, record.since_ms) == (call.accepted, call.since)
            assert (record.priority, record.revision) == (call.queue, call.revision)

    def _compare_places(self, inventory: Inventory) -> None:
        scores = {name: {member.decode(): score for member, score in rows} for name, rows in inventory.zsets.items()}
        for call_id, call in self.model.calls.items():
            place = call.queue if call.state == "ready" else call.state
            if call.unconfirmed:
                assert scores["unconfirmed"][call_id] == call.since
            if call.state != "delivered":
                assert scores[place][call_id] == call.score
            wanted = packed(call_id, call.edited or call.version.name) if call.payload else None
            assert inventory.hashes["payloads"].get(call_id.encode()) == wanted
            original = packed(call_id, call.version.name) if call.edited else None
            assert inventory.hashes["originals"].get(call_id.encode()) == original
        perishable = {call_id: call.version.expires for call_id, call in self.model.calls.items() if call.perishable}
        assert scores["perishable"] == perishable
        assert [call_id.decode() for call_id in inventory.delivered] == self.model.delivered


def tell_stories(client: "redis.Redis", *, share: float, steps: int) -> None:
    """Tell as many stories as that share of the profile's examples."""
    machine = type("Story", (LedgerMachine,), {"client": client})
    number = max(1, round(settings().max_examples * share))
    run_state_machine_as_test(machine, settings=settings(max_examples=number, stateful_step_count=steps))


# A story that fails is worth the minutes that it takes to tell it shorter.
@pytest.mark.servers
@pytest.mark.timeout(600)
def test_the_ledger_on_fakeredis_tells_what_the_model_tells() -> None:
    with FakeStrictRedis(server=ScriptingFakeServer()) as client:
        tell_stories(client, share=0.5, steps=30)


@pytest.mark.timeout(600)
def test_the_ledger_on_valkey_tells_what_the_model_tells(valkey: Server) -> None:
    with connect(valkey.url) as client:
        tell_stories(client, share=0.9, steps=30)


@pytest.mark.parametrize("wrong", ["a lost report", "a doubled report", "a lost payload"])
def test_a_ledger_that_breaks_the_rules_would_be_found(wrong: str) -> None:
    with FakeStrictRedis(server=ScriptingFakeServer()) as client:
        machine = type("Story", (LedgerMachine,), {"client": client})()
        machine.begin_in_the_middle(["ready", "ready", "deliver", "bury", "defer", "renew"])
        machine.both_tell_the_same()
        keys = machine.bench.ledger.calls.keys

        match wrong:
            case "a lost report":
                client.zrem(keys.fresh, "call-1")
            case "a doubled report":
                client.zadd(keys.waiting, {"call-1": 1})
            case "a lost payload":
                client.hdel(keys.payloads, "call-1")

        with pytest.raises(AssertionError):
            machine.both_tell_the_same()
