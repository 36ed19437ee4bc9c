"""Reports whose audio links end soon go ahead of their queue; a report whose payload is gone stands in nobody's way."""

import pytest
from workbench import DELAY_MS, LEASE_MS, Workbench, packed

from roark_ledger.ids import CallId
from roark_ledger.moves import intake
from roark_ledger.moves.intake import Acceptable

MINUTE_MS = 60_000


def accept(bench: Workbench, call_id: str, *, ends_in_ms: int, version: str = "a") -> None:
    report = Acceptable(CallId(call_id), f"print-{version}", packed(call_id, version), bench.clock.now_ms + ends_in_ms)
    bench.run(intake.accept([report], revisions="record", per_wakeup=64))


def perishable(bench: Workbench) -> list[str]:
    return [member.decode() for member, _ in bench.inventory().zsets["perishable"]]


class TestLinksThatEnd:
    def test_one_that_ends_soon_goes_ahead(self, bench: Workbench) -> None:
        bench.accept_all("call-1", "call-2")
        bench.clock.advance(1_000)
        accept(bench, "call-soon", ends_in_ms=4 * MINUTE_MS)

        assert bench.claimed_ids(1) == ["call-soon"]

    def test_of_several_the_one_that_ends_first(self, bench: Workbench) -> None:
        accept(bench, "call-1", ends_in_ms=3 * MINUTE_MS)
        accept(bench, "call-2", ends_in_ms=1 * MINUTE_MS)
        accept(bench, "call-3", ends_in_ms=2 * MINUTE_MS)

        assert [bench.claimed_ids(1) for _ in range(3)] == [["call-2"], ["call-3"], ["call-1"]]

    @pytest.mark.parametrize("ends_in_ms", [-MINUTE_MS, 1_000, 6 * MINUTE_MS], ids=["ended", "ends now", "ends later"])
    def test_one_that_cannot_be_helped_or_has_time_waits_for_its_turn(self, bench: Workbench, ends_in_ms: int) -> None:
        bench.accept("call-1")
        bench.clock.advance(1)
        accept(bench, "call-2", ends_in_ms=ends_in_ms)

        assert bench.claimed_ids(1) == ["call-1"]
        assert bench.claimed_ids(1) == ["call-2"]

    def test_they_get_half_of_the_slots_so_that_the_others_move_on(self, bench: Workbench) -> None:
        bench.accept_all(*(f"call-{number}" for number in range(8)))
        bench.clock.advance(1)
        for number in range(8):
            accept(bench, f"soon-{number}", ends_in_ms=MINUTE_MS)

        ids = bench.claimed_ids(8)

        assert sum(call_id.startswith("soon") for call_id in ids) == 4
        assert len(set(ids)) == 8

    def test_a_report_that_took_anothers_place_brings_its_own_end(self, bench: Workbench) -> None:
        bench.accept_all("call-0", "call-1")
        accept(bench, "call-1", ends_in_ms=MINUTE_MS, version="b")
        assert perishable(bench) == ["call-1"]

        bench.accept("call-1", "c")

        assert perishable(bench) == []

    @pytest.mark.parametrize("settle", ["release", "defer"])
    def test_it_counts_again_when_the_report_is_ready_again(self, bench: Workbench, settle: str) -> None:
        accept(bench, "call-1", ends_in_ms=4 * MINUTE_MS)
        one = bench.take()
        assert perishable(bench) == []

        getattr(bench, settle)(one)
        bench.clock.advance(DELAY_MS)
        bench.promote()

        assert perishable(bench) == ["call-1"]

    def test_it_counts_again_when_a_worker_died(self, bench: Workbench) -> None:
        accept(bench, "call-1", ends_in_ms=4 * MINUTE_MS)
        bench.take()
        bench.clock.advance(LEASE_MS)

        bench.reap()

        assert perishable(bench) == ["call-1"]

    def test_the_end_that_came_with_a_newer_report_beside_is_not_forgotten(self, bench: Workbench) -> None:
        one = bench.bring("call-1", "uploading")
        accept(bench, "call-1", ends_in_ms=4 * MINUTE_MS, version="b")

        assert one is not None
        bench.deliver(one)

        assert perishable(bench) == ["call-1"]
        assert bench.entry().packed == packed("call-1", "b")

    def test_it_is_erased_with_its_call(self, bench: Workbench) -> None:
        accept(bench, "call-1", ends_in_ms=MINUTE_MS)

        bench.erase("call-1")

        assert bench.inventory().mentions("call-1") == []
        assert bench.claimed_ids() == []

    def test_what_has_ended_is_tidied_away_and_the_report_stays(self, bench: Workbench) -> None:
        accept(bench, "call-1", ends_in_ms=MINUTE_MS)
        bench.clock.advance(MINUTE_MS)

        bench.promote()

        assert perishable(bench) == []
        assert bench.claimed_ids() == ["call-1"]


def silent(bench: Workbench) -> list[str]:
    return [member.decode() for member, _ in bench.inventory().zsets["silent"]]


class TestAudioThatEnded:
    """What was lost is counted once, and seen until the report is delivered or given up."""

    @pytest.mark.parametrize("state", ["ready", "uploading", "waiting", "dead"])
    def test_while_its_report_was_on_its_way_is_counted_and_seen_until_it_is_delivered(
        self, bench: Workbench, state: str
    ) -> None:
        accept(bench, "call-1", ends_in_ms=MINUTE_MS)
        one = None if state == "ready" else bench.take()
        if one and state == "dead":
            bench.bury(one)
        if one and state == "waiting":
            bench.defer(one, 2 * MINUTE_MS)
        bench.clock.advance(2 * MINUTE_MS)
        if one and state == "uploading":
            bench.release(one)
        bench.promote()

        assert bench.snapshot().audio_ended == 1
        assert bench.count("audio_expired") == 1
        bench.inventory().check()

        if state == "dead":
            bench.replay("call-1")
        bench.deliver(bench.take())

        assert (bench.snapshot().audio_ended, silent(bench)) == (0, [])
        assert (bench.count("audio_expired"), bench.count("delivered_without_audio")) == (1, 1)
        assert bench.record().expires_ms > 0, "it is still seen of the delivered report"
        bench.inventory().check()

    def test_in_the_middle_of_the_last_upload_is_counted(self, bench: Workbench) -> None:
        accept(bench, "call-1", ends_in_ms=MINUTE_MS)
        one = bench.take(lease_ms=5 * MINUTE_MS)
        bench.clock.advance(2 * MINUTE_MS)

        assert bench.deliver(one)

        assert bench.count("delivered_without_audio") == 1

    def test_before_it_came_to_us_is_not_ours(self, bench: Workbench) -> None:
        accept(bench, "call-1", ends_in_ms=-MINUTE_MS)
        bench.clock.advance(1)
        bench.defer(bench.take(), 0)
        bench.promote()
        bench.deliver(bench.take())

        assert (bench.count("audio_expired"), bench.count("delivered_without_audio")) == (0, 0)
        assert bench.record().expires_ms == 0

    def test_is_of_no_account_where_it_was_delivered_in_time(self, bench: Workbench) -> None:
        accept(bench, "call-1", ends_in_ms=MINUTE_MS)
        bench.deliver(bench.take())
        bench.clock.advance(2 * MINUTE_MS)
        bench.promote()

        assert (bench.count("audio_expired"), bench.count("delivered_without_audio")) == (0, 0)
        assert bench.record().expires_ms == 0

    @pytest.mark.parametrize("leave", ["discard", "erase", "newer", "edit", "expire"])
    def test_is_forgotten_with_what_a_person_gives_up_or_brings_anew(self, bench: Workbench, leave: str) -> None:
        accept(bench, "call-1", ends_in_ms=MINUTE_MS)
        bench.bury(bench.take())
        bench.clock.advance(2 * MINUTE_MS)
        bench.promote()
        assert silent(bench) == ["call-1"]

        match leave:
            case "newer":
                accept(bench, "call-1", ends_in_ms=MINUTE_MS, version="b")
            case "expire":
                for _ in range(2):
                    bench.expire("dead", 1, 1)
                    bench.clock.advance(1)
            case _:
                getattr(bench, leave)("call-1")

        assert silent(bench) == []


class TestADeadLetter:
    def test_a_newer_report_without_links_takes_it_off_the_list_of_those_that_fade(self, bench: Workbench) -> None:
        accept(bench, "call-1", ends_in_ms=MINUTE_MS)
        bench.bury(bench.take())

        assert bench.accept("call-1", "b") == "replaced"

        bench.inventory().check()
        assert bench.ledger.client.zcard(bench.ledger.calls.keys.fading) == 0


class TestAPayloadThatIsGone:
    def test_its_report_becomes_a_dead_letter_that_says_so(self, bench: Workbench) -> None:
        bench.accept("call-1")
        lose(bench, "call-1")

        assert bench.claimed_ids() == []

        assert bench.state() == "dead"
        assert bench.record().note == "payload_lost"
        assert bench.record().attempts == 0
        assert bench.events() == ["lost"]
        assert bench.snapshot().balanced

    def test_the_others_are_handed_out_as_if_it_were_not_there(self, bench: Workbench) -> None:
        bench.accept_all("call-1", "call-2", "call-3")
        lose(bench, "call-1")

        assert bench.claimed_ids() == ["call-2", "call-3"]

    def test_as_a_probe_it_tells_nothing(self, bench: Workbench) -> None:
        bench.accept_all("call-1", "call-2")
        lose(bench, "call-1")
        bench.hold_by_roark(gap_ms=1_000)
        bench.clock.advance(1_000)

        assert bench.claim().reports == ()
        assert bench.lane().state == "held"
        assert bench.claimed_ids() == ["call-2"]

    def test_a_newer_report_of_the_call_brings_it_back(self, bench: Workbench) -> None:
        bench.accept("call-1")
        lose(bench, "call-1")
        bench.claim()

        assert bench.accept("call-1", "b") == "replaced"

        assert bench.claimed_ids() == ["call-1"]


def lose(bench: Workbench, call_id: str) -> None:
    bench.ledger.client.hdel(bench.ledger.calls.keys.payloads, call_id)
