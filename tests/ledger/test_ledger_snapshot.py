"""What the ledger tells: the whole at a glance, and all about one call."""

from collections.abc import Callable

import pytest
from workbench import DELAY_MS, Workbench, packed

from roark_ledger.ids import CallId
from roark_ledger.lifecycle import State
from roark_ledger.moves import intake
from roark_ledger.moves.intake import Acceptable

# An expired call is to the ledger as one that was never seen; its count is test_ledger_retention's.
EVERY_STATE = [state.value for state in State if state is not State.EXPIRED]


def one_in_each_state(bench: Workbench) -> None:
    # The ready one last, or bringing the others where they shall be would claim it.
    for state in EVERY_STATE[1:]:
        bench.bring(f"call-{state}", state)
    bench.bring("call-ready", "ready")


class TestSnapshot:
    def test_an_empty_ledger_is_all_zero(self, bench: Workbench) -> None:
        snapshot = bench.snapshot()

        assert snapshot.states == dict.fromkeys(State, 0)
        assert snapshot.counters == {}
        assert (snapshot.oldest_ready_ms, snapshot.earliest_due_ms, snapshot.oldest_dead_ms) == (0, 0, 0)
        assert snapshot.lane.state == "open"
        assert snapshot.balanced

    def test_each_state_is_counted_and_together_they_are_the_accepted(self, bench: Workbench) -> None:
        one_in_each_state(bench)

        snapshot = bench.snapshot()

        assert snapshot.states == dict.fromkeys(State, 1) | {State.EXPIRED: 0}
        assert snapshot.total("accepted") == 7
        assert snapshot.balanced

    def test_a_report_that_got_lost_unbalances_it(self, bench: Workbench) -> None:
        bench.accept_all("call-1", "call-2")

        bench.ledger.client.zpopmin(bench.ledger.calls.keys.fresh)

        assert not bench.snapshot().balanced

    def test_it_says_how_long_the_oldest_have_been_there(self, bench: Workbench) -> None:
        times: dict[str, int] = {}
        for state in ("dead", "waiting"):
            for number in range(2):
                bench.bring(f"call-{state}-{number}", state)
                times.setdefault(state, bench.clock.now_ms)
                bench.clock.advance(1_000)
        times["ready"] = bench.clock.now_ms
        bench.accept("call-ready-0")
        bench.clock.advance(1_000)
        bench.accept("call-ready-1")

        snapshot = bench.snapshot()

        assert snapshot.now_ms == bench.clock.now_ms
        assert snapshot.oldest_ready_ms == times["ready"]
        assert snapshot.oldest_dead_ms == times["dead"]
        assert snapshot.earliest_due_ms == times["waiting"] + DELAY_MS

    @pytest.mark.parametrize("oldest", ["fresh", "replay"])
    def test_the_oldest_ready_one_may_stand_on_any_queue(self, bench: Workbench, oldest: str) -> None:
        bench.bring("call-replay", "dead")
        make_ready: dict[str, Callable[[], object]] = {
            "fresh": lambda: bench.accept("call-fresh"),
            "replay": lambda: bench.replay("call-replay"),
        }
        since = bench.clock.now_ms
        make_ready.pop(oldest)()
        bench.clock.advance(1_000)
        for make_the_other_ready in make_ready.values():
            make_the_other_ready()

        assert bench.snapshot().oldest_ready_ms == since

    def test_it_tells_how_many_newer_reports_and_revisions_are_kept(self, bench: Workbench) -> None:
        bench.bring("call-1", "uploading")
        bench.accept("call-1", "b")
        bench.bring("call-2", "delivered")
        bench.accept("call-2", "b")

        assert bench.snapshot().besides == 1
        assert bench.snapshot().revisions_kept == 1

    def test_it_tells_when_a_claim_was_last_granted(self, bench: Workbench) -> None:
        bench.accept("call-1")
        bench.claim()
        granted = bench.clock.now_ms
        bench.clock.advance(1_000)
        bench.claim()

        assert bench.lane().last_claim_ms == granted

    def test_looking_changes_nothing(self, bench: Workbench) -> None:
        one_in_each_state(bench)
        before = bench.inventory()

        bench.snapshot()
        bench.pulse()
        for state in EVERY_STATE:
            bench.look(f"call-{state}")

        assert bench.inventory() == before


class TestLook:
    def test_a_call_that_was_never_seen_is_nothing(self, bench: Workbench) -> None:
        assert bench.look("call-1") is None

    def test_an_erased_call_is_known_to_be_erased_and_no_more(self, bench: Workbench) -> None:
        bench.bring("call-1", "erased")

        entry = bench.entry()

        assert entry.erased
        assert entry.record is None
        assert entry.packed == b""
        assert entry.history == ()

    @pytest.mark.parametrize("state", ["ready", "uploading", "waiting", "dead", "discarded"])
    def test_it_shows_state_payload_and_times(self, bench: Workbench, state: str) -> None:
        accepted = bench.clock.now_ms
        bench.bring("call-1", state)
        bench.clock.advance(700)

        entry = bench.entry()

        assert entry.record is not None
        assert entry.record.state == state
        assert entry.record.accepted_ms == accepted
        assert entry.record.since_ms == accepted
        assert entry.packed == packed("call-1", "a")
        assert entry.asked_ms == accepted + 700
        assert entry.score_ms > 0

    def test_the_state_began_when_the_move_was_made(self, bench: Workbench) -> None:
        bench.accept("call-1")
        accepted = bench.clock.now_ms
        bench.clock.advance(5_000)

        bench.claim()

        assert bench.record().accepted_ms == accepted
        assert bench.record().since_ms == accepted + 5_000

    def test_neither_payload_nor_detail_is_printed_with_it(self, bench: Workbench) -> None:
        bench.accept("call-1", "transcript")

        assert "transcript of" not in repr(bench.entry())
        assert "transcript of" not in repr(bench.claim())


class TestInflow:
    """What comes in, by which the ledger tells how long its memory lasts; on servers whose scripts may ask for INFO."""

    def come_in(self, bench: Workbench, *, per_second: int, seconds: int, stored: bytes) -> None:
        for _ in range(seconds):
            bench.clock.advance(1000)
            names = [CallId(f"call-{bench.clock.now_ms}-{number}") for number in range(per_second)]
            reports = [Acceptable(name, "print", stored) for name in names]
            bench.run(intake.accept(reports, revisions="record", per_wakeup=64))

    def intake(self, bench: Workbench) -> tuple[float, float]:
        found = bench.snapshot().memory.intake
        assert found is not None
        return found.per_second, found.packed_bytes

    def test_it_is_the_mean_of_what_came_in(self, real_bench: Workbench) -> None:
        assert real_bench.snapshot().memory.intake is None
        self.come_in(real_bench, per_second=4, seconds=10, stored=bytes(600))
        self.come_in(real_bench, per_second=2, seconds=10, stored=bytes(1200))
        assert self.intake(real_bench) == (pytest.approx(3, rel=0.1), pytest.approx(900, rel=0.1))

    def test_after_some_time_it_is_what_comes_in_now(self, real_bench: Workbench) -> None:
        self.come_in(real_bench, per_second=4, seconds=20, stored=bytes(600))
        real_bench.clock.advance(3_600_000)
        assert self.intake(real_bench) == (pytest.approx(4, rel=0.1), 600)
        self.come_in(real_bench, per_second=1, seconds=1, stored=bytes(100))
        assert self.intake(real_bench) == (pytest.approx(0, abs=0.05), pytest.approx(100, rel=0.1))

    def test_a_call_that_brings_none_counts_for_nothing(self, real_bench: Workbench) -> None:
        self.come_in(real_bench, per_second=4, seconds=20, stored=bytes(600))
        before = self.intake(real_bench)
        real_bench.clock.advance(1000)
        real_bench.accept_all()
        assert self.intake(real_bench) == before

    @pytest.mark.parametrize("jump", [-3_600_000, 0])
    def test_a_clock_or_a_count_that_was_set_back_spoils_nothing(self, real_bench: Workbench, jump: int) -> None:
        self.come_in(real_bench, per_second=4, seconds=20, stored=bytes(600))
        real_bench.clock.advance(jump)
        if not jump:
            real_bench.ledger.client.hset(real_bench.ledger.calls.keys.counters, "accepted", 1)
        self.come_in(real_bench, per_second=4, seconds=20, stored=bytes(600))
        assert self.intake(real_bench) == (pytest.approx(4, rel=0.2), pytest.approx(600))
