"""The audit: a report that is in no place, in two, or without its payload is found, named and mended."""

import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from workbench import Workbench

from roark_ledger.ledger import Ledger
from roark_ledger.moves import delivery, upkeep
from roark_ledger.records.accounts import Accounts
from roark_worker.upkeep.audit import AuditVerdict, audit

STATES = ("uploading", "waiting", "delivered", "dead", "discarded", "erased", "ready")
PLACE = {"ready": "fresh", "uploading": "uploading", "waiting": "waiting", "dead": "dead", "discarded": "discarded"}

FOUND = Accounts(2, 1, ("dead: 1 records, 2 expected",), looked_at=70, took_ms=1500)


def look(bench: Workbench, *, repair: bool = False) -> AuditVerdict:
    return audit(bench.ledger, repair=repair, sleep=lambda _: None)


@pytest.fixture
def sound(bench: Workbench) -> Workbench:
    """A ledger with one call in each state."""
    for state in STATES:
        bench.bring(f"a-{state}", state)
    return bench


def faults(verdict: AuditVerdict) -> dict[str, tuple[str, ...]]:
    return {one.call_id: one.faults for one in verdict.broken}


def test_a_sound_ledger_is_sound(sound: Workbench) -> None:
    verdict = look(sound)

    assert verdict.accounts.holds
    assert (verdict.accounts.difference, verdict.broken, verdict.accounts.miscounted) == (0, (), ())
    assert verdict.counted == dict.fromkeys(PLACE, 1) | {"delivered": 1}


def test_an_empty_ledger_is_sound(bench: Workbench) -> None:
    assert look(bench).accounts.holds


def test_forgotten_deliveries_are_accounted_for(sound: Workbench) -> None:
    sound.clock.advance(10_000)
    assert sound.forget(5_000) == 1

    assert look(sound).accounts.holds


@pytest.mark.parametrize("state", PLACE)
class TestOneCall:
    def key(self, bench: Workbench, state: str) -> str:
        return str(getattr(bench.ledger.calls.keys, PLACE[state]))

    def test_that_is_nowhere_is_found_and_put_back(self, sound: Workbench, state: str) -> None:
        sound.ledger.client.zrem(self.key(sound, state), f"a-{state}")

        verdict = look(sound)
        assert faults(verdict) == {f"a-{state}": ("nowhere",)}
        assert verdict.accounts.difference == 1
        assert not verdict.accounts.holds

        mended = look(sound, repair=True)
        assert (mended.accounts.holds, mended.mended, mended.accounts.difference) == (True, 1, 0)
        assert sound.state(f"a-{state}") == state
        assert look(sound).accounts.holds

    def test_that_is_in_two_places_is_found_and_taken_out_of_the_wrong_one(self, sound: Workbench, state: str) -> None:
        other = "waiting" if state != "waiting" else "dead"
        sound.ledger.client.zadd(getattr(sound.ledger.calls.keys, other), {f"a-{state}": 1})

        verdict = look(sound)
        assert faults(verdict) == {f"a-{state}": (f"also:{other}",)}
        assert verdict.accounts.difference == -1

        assert look(sound, repair=True).accounts.holds
        assert sound.state(f"a-{state}") == state

    def test_that_has_lost_its_payload_is_found_and_becomes_a_dead_letter_that_says_so(
        self, sound: Workbench, state: str
    ) -> None:
        call_id = f"a-{state}"
        sound.ledger.client.hdel(sound.ledger.calls.keys.payloads, call_id)

        assert faults(look(sound)) == {call_id: ("no-payload",)}

        assert look(sound, repair=True).accounts.difference == 0
        assert sound.state(call_id) == ("discarded" if state == "discarded" else "dead")
        if state in {"ready", "uploading", "waiting"}:
            assert sound.record(call_id).note == "payload_lost"
            assert look(sound).accounts.holds

    def test_that_has_lost_its_record_is_found_and_taken_out_of_its_place(self, sound: Workbench, state: str) -> None:
        call_id = f"a-{state}"
        sound.ledger.client.hdel(sound.ledger.calls.keys.records, call_id)

        verdict = look(sound)
        assert faults(verdict) == {call_id: ("no-record",)}
        assert any(note.startswith(f"{state}: 0 records") for note in verdict.accounts.miscounted)

        after = look(sound, repair=True)
        assert after.broken == ()
        # It was accepted, and nobody can say what became of it: the accounts show that until a person decides.
        assert after.accounts.difference == 1
        assert not after.accounts.holds


def test_a_delivered_call_that_still_stands_in_a_queue_is_found_and_mended(sound: Workbench) -> None:
    sound.ledger.client.zadd(sound.ledger.calls.keys.fresh, {"a-delivered": 1})

    assert faults(look(sound)) == {"a-delivered": ("also:fresh",)}
    assert look(sound, repair=True).accounts.holds


def test_a_report_that_is_put_back_is_delivered(bench: Workbench) -> None:
    bench.accept("call-1")
    bench.ledger.client.zrem(bench.ledger.calls.keys.fresh, "call-1")
    assert bench.claimed_ids() == []

    look(bench, repair=True)

    assert bench.deliver(bench.take("call-1"))
    assert bench.count("mended") == 1


def test_a_mended_call_tells_so_in_its_history(bench: Workbench) -> None:
    bench.accept("call-1")
    bench.ledger.client.zrem(bench.ledger.calls.keys.fresh, "call-1")
    look(bench, repair=True)

    assert "mended" in bench.events()


def test_mending_what_is_sound_changes_nothing(sound: Workbench) -> None:
    before = sound.inventory()

    words = sound.run(upkeep.mend([f"a-{state}" for state in STATES]))

    assert set(words) == {"sound"}
    assert sound.inventory() == before
    assert sound.count("mended") == 0


def test_many_broken_calls_are_all_named_and_mended(bench: Workbench) -> None:
    names = [f"call-{number}" for number in range(1200)]
    bench.accept_all(*names)
    bench.ledger.client.delete(bench.ledger.calls.keys.fresh)

    verdict = look(bench)
    assert {one.call_id for one in verdict.broken} == set(names)
    assert look(bench, repair=True).accounts.holds


def test_a_ledger_that_moves_is_never_called_broken(bench: Workbench) -> None:
    names = [f"call-{number}" for number in range(1000)]
    bench.accept_all(*names)
    leases = [held for report in [bench.claim(300)] for held in report.reports]

    def move(_: float) -> None:
        """Something happens between any two pages."""
        for one in bench.claim(20).reports:
            bench.deliver(delivery.Held(one.call_id, one.token))
        if leases:
            one = leases.pop()
            bench.defer(delivery.Held(one.call_id, one.token), 0)
        bench.promote()

    verdict = audit(bench.ledger, sleep=move)

    assert (verdict.accounts.difference, verdict.broken, verdict.accounts.miscounted) == (0, (), ())
    assert verdict.counted is None, "what moves is not counted"


def test_the_audit_sleeps_in_proportion_to_what_it_takes(bench: Workbench) -> None:
    bench.accept_all(*(f"call-{number}" for number in range(2000)))
    slept: list[float] = []
    began = time.monotonic()
    audit(bench.ledger, share=0.1, sleep=slept.append)
    busy = time.monotonic() - began

    assert sum(slept) == pytest.approx(9 * busy, rel=0.4)


def test_a_call_that_a_page_names_twice_is_not_one_too_many(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.accept_all(*(f"call-{number}" for number in range(50)))
    once: Callable[[Ledger, int], object] = Ledger.scan_records
    scans: list[int] = []

    def twice(ledger: Ledger, page: int) -> object:
        scans.append(page)
        for found in once(ledger, page):  # type: ignore[attr-defined]
            yield found
            yield dict(list(found.items())[:3])

    monkeypatch.setattr(Ledger, "scan_records", twice)

    assert look(bench).accounts.holds
    assert len(scans) == 2


class TestADeliveredCallWhoseRecordIsGone:
    def test_is_named_and_does_not_hold(self, sound: Workbench) -> None:
        sound.ledger.client.hdel(sound.ledger.calls.keys.records, "a-delivered")

        verdict = look(sound)

        assert faults(verdict) == {"a-delivered": ("no-record",)}
        assert verdict.accounts.miscounted == ("delivered: 0 records, 1 expected",)
        assert not verdict.accounts.holds

    def test_counts_as_forgotten_once_it_is_mended(self, sound: Workbench) -> None:
        sound.ledger.client.hdel(sound.ledger.calls.keys.records, "a-delivered")

        mended = look(sound, repair=True)

        assert (mended.mended, mended.accounts.holds, mended.accounts.miscounted) == (1, True, ())
        assert look(sound).accounts.holds
        assert sound.snapshot().total("forgotten") == 1


class TestTheTurn:
    def ask(self, bench: Workbench, who: str) -> bool:
        return bench.run(upkeep.audit_turn(who=who, every_ms=600_000, patience_ms=60_000))

    def done(self, bench: Workbench) -> None:
        bench.run(upkeep.audit_done(FOUND, who="a"))

    def test_one_worker_at_a_time_has_it(self, bench: Workbench) -> None:
        assert self.ask(bench, "a")
        assert not self.ask(bench, "b")
        assert self.ask(bench, "a"), "its holder asks again to keep it"

    def test_it_comes_around_so_often(self, bench: Workbench) -> None:
        self.ask(bench, "a")
        self.done(bench)
        bench.clock.advance(599_999)
        assert not self.ask(bench, "b")
        bench.clock.advance(1)

        assert self.ask(bench, "b")

    def test_an_audit_by_hand_leaves_it_where_it_is(self, bench: Workbench) -> None:
        self.ask(bench, "a")
        bench.run(upkeep.audit_done(FOUND))

        assert not self.ask(bench, "b")

    def test_a_holder_that_died_loses_it(self, bench: Workbench) -> None:
        self.ask(bench, "a")
        bench.clock.advance(59_999)
        assert not self.ask(bench, "b")
        bench.clock.advance(1)

        assert self.ask(bench, "b")
        assert not self.ask(bench, "a")

    def test_what_was_found_is_shown(self, bench: Workbench) -> None:
        assert bench.snapshot().audited is None
        self.ask(bench, "a")
        self.done(bench)

        assert bench.snapshot().audited == replace(FOUND, at_ms=bench.clock.now_ms)
