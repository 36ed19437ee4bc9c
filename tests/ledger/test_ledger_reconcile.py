"""The comparison with Vapi in the ledger: what is missing is kept, brought in once, and never over what is known."""

import pytest
from workbench import Workbench, acceptable

from roark_ledger.moves import reconcile as reconciled
from roark_ledger.moves.reconcile import Stand
from roark_worker.upkeep.audit import audit

FROM = b'{"source":"vapi-list"}'


def look(bench: Workbench, *call_ids: str) -> list[reconciled.Whereabouts]:
    return bench.run(reconciled.reconcile_look(call_ids))


def backfill(bench: Workbench, *call_ids: str, version: str = "made") -> list[str]:
    return bench.run(reconciled.backfill([acceptable(call_id, version) for call_id in call_ids], detail=FROM))


def note_missing(bench: Workbench, *calls: tuple[str, int], oldest_ms: int = 0, first: int = 0) -> tuple[int, int]:
    return bench.run(reconciled.note_missing(calls, oldest_ms=oldest_ms, first=first, most=100))


def in_state(bench: Workbench, state: str) -> str:
    """Bring a call into a state; return its id."""
    call_id = f"call-{state}"
    if state in {"unknown", "erased"}:
        if state == "erased":
            bench.erase(call_id)
        return call_id
    bench.accept(call_id)
    if state == "ready":
        return call_id
    held = bench.take(call_id)
    match state:
        case "delivered":
            bench.deliver(held, "roark-1")
        case "unconfirmed":
            bench.deliver(held, "")
        case "waiting":
            bench.defer(held)
        case "dead" | "discarded" | "expired":
            bench.bury(held)
            if state == "discarded":
                bench.discard(call_id)
            if state == "expired":
                bench.expire("dead", 1000, 1000)
                bench.clock.advance(2000)
                assert bench.expire("dead", 1000, 1000).removed == 1
    return call_id


KNOWN = ("ready", "uploading", "waiting", "delivered", "unconfirmed", "dead", "discarded", "erased", "expired")


@pytest.mark.parametrize("state", [*KNOWN, "unknown"])
def test_each_call_is_where_its_report_is(bench: Workbench, state: str) -> None:
    assert [one.state for one in look(bench, in_state(bench, state), "never-seen")] == [state, "unknown"]


@pytest.mark.parametrize("state", KNOWN)
def test_a_backfill_never_touches_a_call_that_the_ledger_knows(bench: Workbench, state: str) -> None:
    call_id = in_state(bench, state)
    before = bench.look(call_id)

    answer = backfill(bench, call_id)

    assert answer == [state if state in {"erased", "expired"} else "known"]
    assert bench.look(call_id) == before
    assert bench.snapshot().total("backfilled") == 0


def test_a_backfill_is_stored_once_in_the_replay_queue_and_says_where_it_is_from(bench: Workbench) -> None:
    note_missing(bench, ("call-1", bench.clock.now_ms))

    assert backfill(bench, "call-1", "call-2", "call-1") == ["accepted", "accepted", "known"]

    snapshot = bench.snapshot()
    assert snapshot.queues["replay"] == 2
    assert (snapshot.total("accepted"), snapshot.total("backfilled")) == (2, 2)
    assert snapshot.reconciled
    assert snapshot.reconciled.missing == 0
    entry = bench.look("call-1")
    assert entry
    assert [(event.name, event.detail) for event in entry.history] == [("backfilled", {"source": "vapi-list"})]
    assert bench.deliver(bench.take("call-1"), "roark-1")
    assert audit(bench.ledger, sleep=lambda _: None).holds


def test_live_reports_go_ahead_of_backfilled_ones(bench: Workbench) -> None:
    backfill(bench, *(f"old-{n}" for n in range(40)))
    for n in range(40):
        bench.accept(f"new-{n}")

    first = bench.claimed_ids(16)

    assert sum(call_id.startswith("old") for call_id in first) == 2


def test_the_webhooks_own_report_takes_the_place_of_a_backfill_that_is_not_delivered(bench: Workbench) -> None:
    backfill(bench, "call-1")

    assert bench.accept("call-1", "original") == "replaced"

    (report,) = bench.claim().reports
    assert report.packed == acceptable("call-1", "original").packed


def test_beside_a_delivered_backfill_it_is_counted_and_kept(bench: Workbench) -> None:
    backfill(bench, "call-1")
    bench.deliver(bench.take("call-1"), "roark-1")

    assert bench.accept("call-1", "original") == "revision"
    assert bench.accept("call-1", "original") == "duplicate"

    snapshot = bench.snapshot()
    assert (snapshot.total("late_originals"), snapshot.total("revisions"), snapshot.revisions_kept) == (1, 1, 1)
    assert bench.state("call-1") == "delivered"


@pytest.mark.parametrize("how", ["delivered", "deferred", "worker died"])
def test_one_that_comes_while_a_backfill_is_uploading_is_kept_or_takes_its_place(bench: Workbench, how: str) -> None:
    backfill(bench, "call-1")
    held = bench.take("call-1")
    assert [bench.accept("call-1", "own"), bench.accept("call-1", "own")] == ["replaced", "duplicate"]
    match how:
        case "delivered":
            bench.deliver(held)
        case "deferred":
            bench.defer(held)
        case "worker died":
            bench.clock.advance(60_000)
            bench.reap()

    entry = bench.entry("call-1")
    assert entry.record
    assert not entry.has_newer
    if how == "delivered":
        assert (entry.record.state, entry.has_revision) == ("delivered", True)
        assert (bench.count("revisions"), bench.count("late_originals")) == (1, 1)
        assert bench.accept("call-1", "own") == "duplicate"
    else:
        assert (entry.record.fingerprint, bench.count("replaced"), bench.count("late_originals")) == ("print-own", 1, 0)
    assert audit(bench.ledger).holds


def test_a_revision_of_the_webhooks_own_report_is_no_late_original(bench: Workbench) -> None:
    backfill(bench, "call-1")
    bench.accept("call-1", "original")
    bench.deliver(bench.take("call-1"), "roark-1")

    bench.accept("call-1", "final")

    assert bench.snapshot().total("late_originals") == 0


def test_missing_calls_are_kept_until_they_come_are_erased_or_are_too_old(bench: Workbench) -> None:
    now = bench.clock.now_ms
    calls = [("came", now), ("erased", now), ("old", now - 5000), ("left", now)]

    assert note_missing(bench, *calls) == (4, 0)
    bench.accept("came")
    bench.erase("erased")
    assert note_missing(bench, oldest_ms=now - 1000) == (1, 0)

    found = bench.snapshot()
    assert found.reconciled
    assert found.reconciled.missing == 1
    assert found.total("missing_given_up") == 1


def test_what_came_in_the_meantime_is_not_noted_as_missing(bench: Workbench) -> None:
    bench.accept("call-1")

    assert note_missing(bench, ("call-1", bench.clock.now_ms)) == (0, 0)


def test_many_missing_calls_are_looked_at_by_pages(bench: Workbench) -> None:
    now = bench.clock.now_ms
    note_missing(bench, *((f"call-{n:03}", now + n) for n in range(250)))
    for n in range(0, 250, 2):
        bench.accept(f"call-{n:03}")

    first, pages = 0, 0
    while True:
        number, first = note_missing(bench, first=first)
        pages += 1
        if not first:
            break

    assert (number, pages) == (125, 3)


def test_memory_that_runs_short_refuses_a_backfill(real_bench: Workbench) -> None:
    real_bench.ledger.client.hset(real_bench.ledger.calls.keys.lane, "memory_short", "1")

    with pytest.raises(Exception, match="out of memory"):
        backfill(real_bench, "call-1")


class TestTheTurn:
    def ask(self, bench: Workbench, who: str) -> Stand | None:
        return bench.run(reconciled.reconcile_turn(who=who, every_ms=900_000, patience_ms=90_000))

    def note(self, bench: Workbench, who: str, **noted: object) -> bool:
        return bench.run(reconciled.reconcile_note(who=who, **noted))  # type: ignore[arg-type]

    def test_one_worker_at_a_time_has_it_and_keeps_it_by_its_notes(self, bench: Workbench) -> None:
        assert self.ask(bench, "a") == Stand()
        bench.clock.advance(60_000)
        assert self.note(bench, "a", stand={"watermark": 123})
        bench.clock.advance(60_000)

        assert self.ask(bench, "b") is None
        assert self.ask(bench, "a") == Stand(watermark_ms=123)

    def test_one_that_died_loses_it_and_the_next_goes_on_where_it_was(self, bench: Workbench) -> None:
        self.ask(bench, "a")
        self.note(bench, "a", stand={"watermark": 123, "full_next": 77})
        bench.clock.advance(90_000)

        assert self.ask(bench, "b") == Stand(watermark_ms=123, full_next_ms=77)
        assert not self.note(bench, "a", stand={"watermark": 999})
        assert self.note(bench, "b", phase="done", stand={"swept": 5})
        found = bench.snapshot().reconciled
        assert found
        assert (found.watermark_ms, found.at_ms, found.running) == (123, bench.clock.now_ms, False)

    def test_after_a_pass_the_next_one_waits_its_time_also_when_it_failed(self, bench: Workbench) -> None:
        self.ask(bench, "a")
        self.note(bench, "a", phase="failed", error="key")

        assert self.ask(bench, "b") is None
        found = bench.snapshot().reconciled
        assert found
        assert (found.error, found.at_ms, found.tried_ms) == ("key", 0, bench.clock.now_ms)
        bench.clock.advance(900_000)
        assert self.ask(bench, "b") == Stand()

    def test_a_clock_that_was_set_back_stops_nothing(self, bench: Workbench) -> None:
        self.ask(bench, "a")
        self.note(bench, "a", phase="done")
        bench.clock.advance(-3_600_000)

        assert self.ask(bench, "b") == Stand()

    def test_what_was_found_is_kept(self, bench: Workbench) -> None:
        self.ask(bench, "a")
        self.note(bench, "a", phase="done", result={"vapi": 7})

        found = bench.snapshot().reconciled
        assert found
        assert (found.result, found.every_ms, found.first_ms) == ({"vapi": 7}, 900_000, bench.clock.now_ms)


def test_a_ledger_that_was_never_compared_says_so(bench: Workbench) -> None:
    bench.accept()

    assert bench.snapshot().reconciled is None
