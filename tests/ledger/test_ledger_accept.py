"""Taking reports in: the same call seen again, and when a worker is woken."""

import pytest
from workbench import Workbench, all_held, packed

from roark_ledger.ids import CallId
from roark_ledger.lifecycle import State
from roark_ledger.moves import desk, intake
from roark_ledger.moves.intake import Acceptable


class TestTheSameCallSeenAgain:
    """The table of what becomes of a second report of one call, cell by cell."""

    @pytest.mark.parametrize("state", ["ready", "uploading", "waiting", "delivered", "dead", "discarded"])
    def test_the_same_report_again_is_a_counted_duplicate_and_changes_nothing(
        self, bench: Workbench, state: str
    ) -> None:
        bench.bring("call-1", state)
        before = bench.inventory()

        assert bench.accept("call-1", "a") == "duplicate"

        after = bench.inventory()
        before.hashes["counters"][b"duplicates"] = b"1"
        assert after == before

    def test_a_newer_report_replaces_a_ready_one_in_its_place(self, bench: Workbench) -> None:
        bench.accept("call-1", "a")
        bench.clock.advance(10)
        bench.accept("call-2")

        assert bench.accept("call-1", "b") == "replaced"

        assert bench.entry("call-1").packed == packed("call-1", "b")
        assert bench.record("call-1").fingerprint == "print-b"
        assert bench.claimed_ids() == ["call-1", "call-2"]
        assert bench.count("replaced") == 1

    def test_a_newer_report_replaces_a_waiting_one_which_goes_on_waiting_with_its_tries_counted_anew(
        self, bench: Workbench
    ) -> None:
        bench.bring("call-1", "waiting")
        due = bench.entry().score_ms

        assert bench.accept("call-1", "b") == "replaced"

        assert bench.state() == "waiting"
        assert bench.entry().score_ms == due
        assert bench.record().attempts == 0
        assert bench.entry().packed == packed("call-1", "b")
        assert bench.events() == ["deferred", "replaced"]

    def test_a_newer_report_is_kept_beside_one_that_is_uploading(self, bench: Workbench) -> None:
        one = bench.bring("call-1", "uploading")

        assert bench.accept("call-1", "b") == "replaced"

        assert bench.state() == "uploading"
        assert bench.entry().has_newer
        assert bench.entry().packed == packed("call-1", "a")
        assert bench.snapshot().besides == 1
        assert one is not None
        assert bench.renew(one)

    def test_the_report_beside_seen_again_is_a_duplicate(self, bench: Workbench) -> None:
        bench.bring("call-1", "uploading")
        bench.accept("call-1", "b")

        assert bench.accept("call-1", "b") == "duplicate"

    def test_the_newest_of_several_reports_stays_beside(self, bench: Workbench) -> None:
        one = bench.bring("call-1", "uploading")
        bench.accept("call-1", "b")

        assert bench.accept("call-1", "c") == "replaced"

        assert one is not None
        bench.deliver(one)
        assert bench.entry().packed == packed("call-1", "c")

    def test_a_repeat_of_the_uploading_report_does_not_push_out_the_newer_one_beside(self, bench: Workbench) -> None:
        one = bench.bring("call-1", "uploading")
        bench.accept("call-1", "b")

        assert bench.accept("call-1", "a") == "duplicate"

        assert one is not None
        bench.deliver(one)
        assert bench.entry().packed == packed("call-1", "b")

    def test_a_revision_of_a_delivered_call_is_kept_counted_and_not_uploaded(self, bench: Workbench) -> None:
        bench.bring("call-1", "delivered")

        assert bench.accept("call-1", "b") == "revision"

        assert bench.state() == "delivered"
        assert bench.entry().has_revision
        assert bench.claimed_ids() == []
        assert bench.snapshot().revisions_kept == 1
        assert bench.count("revisions") == 1
        assert bench.events() == ["revision"]

    def test_the_revision_seen_again_is_a_duplicate(self, bench: Workbench) -> None:
        bench.bring("call-1", "delivered")
        bench.accept("call-1", "b")

        assert bench.accept("call-1", "b") == "duplicate"
        assert bench.count("revisions") == 1

    def test_a_revision_is_uploaded_where_the_setting_says_so(self, bench: Workbench) -> None:
        bench.bring("call-1", "delivered")

        assert bench.accept("call-1", "b", revisions="upload") == "revision"

        (report,) = bench.claim().reports
        assert report.packed == packed("call-1", "b")
        assert report.revision
        assert report.attempts == 0
        assert bench.snapshot().balanced

    def test_an_uploaded_revision_seen_again_is_a_duplicate(self, bench: Workbench) -> None:
        bench.bring("call-1", "delivered")
        bench.accept("call-1", "b", revisions="upload")
        bench.deliver(bench.take())

        assert bench.accept("call-1", "b", revisions="upload") == "duplicate"

    def test_a_newer_report_of_a_dead_call_replaces_it_and_is_ready(self, bench: Workbench) -> None:
        bench.bring("call-1", "dead")

        assert bench.accept("call-1", "b") == "replaced"

        (report,) = bench.claim().reports
        assert report.packed == packed("call-1", "b")
        assert report.attempts == 0
        assert bench.events() == ["buried", "replaced"]

    def test_a_newer_report_of_a_discarded_call_does_not_bring_it_back(self, bench: Workbench) -> None:
        bench.bring("call-1", "discarded")

        assert bench.accept("call-1", "b") == "replaced"
        assert bench.state() == "discarded"

    def test_a_newer_report_of_a_discarded_call_is_the_one_that_is_restored(self, bench: Workbench) -> None:
        bench.bring("call-1", "discarded")
        bench.accept("call-1", "b")

        bench.run(desk.restore(["call-1"], detail=b"{}"))
        bench.replay("call-1")

        (report,) = bench.claim().reports
        assert report.packed == packed("call-1", "b")

    @pytest.mark.parametrize("version", ["a", "b"])
    def test_any_report_of_an_erased_call_is_refused_and_counted(self, bench: Workbench, version: str) -> None:
        bench.bring("call-1", "erased")

        assert bench.accept("call-1", version) == "erased"

        assert bench.state() == "erased"
        assert bench.claimed_ids() == []
        assert bench.count("refused_erased") == 1
        assert bench.snapshot().balanced


class TestManyAtOnce:
    def test_results_come_in_the_order_of_the_reports(self, bench: Workbench) -> None:
        bench.accept("call-1")

        results = bench.accept_all("call-1", "call-2", ("call-2", "b"), ("call-2", "b")).results

        assert results == ("duplicate", "accepted", "replaced", "duplicate")

    def test_every_report_of_a_batch_is_queued_in_the_script_that_stores_it(self, bench: Workbench) -> None:
        bench.accept_all(*(f"call-{number}" for number in range(100)))

        bench.inventory().check()
        assert bench.snapshot().states[State.READY] == 100
        assert bench.snapshot().balanced

    def test_any_bytes_come_back_as_they_were_from_beside_too(self, bench: Workbench) -> None:
        every_byte = bytes(range(256)) * 400
        one = bench.bring("call-1", "uploading")
        newer = Acceptable(CallId("call-1"), "print-b", every_byte)
        bench.run(intake.accept([newer], revisions="record", per_wakeup=64))

        assert one is not None
        bench.deliver(one)

        (report,) = bench.claim().reports
        assert report.packed == every_byte


class TestWakeUps:
    def test_the_first_report_of_an_empty_ledger_wakes_a_worker(self, bench: Workbench) -> None:
        assert bench.accept_all("call-1").wake

    def test_the_next_one_does_not(self, bench: Workbench) -> None:
        bench.accept_all("call-1")

        assert not bench.accept_all("call-2").wake

    def test_a_duplicate_wakes_nobody(self, bench: Workbench) -> None:
        bench.bring("call-1", "delivered")

        assert not bench.accept_all("call-1").wake

    def test_another_worker_is_woken_each_time_the_backlog_doubles(self, bench: Workbench) -> None:
        wakes = [bench.accept_all(f"call-{number}", per_wakeup=4).wake for number in range(1, 40)]

        assert [number for number, wake in enumerate(wakes, start=1) if wake] == [1, 4, 8, 16, 32]

    def test_a_batch_that_passes_several_marks_wakes_once(self, bench: Workbench) -> None:
        bench.accept_all("call-0", per_wakeup=4)

        assert bench.accept_all(*(f"call-{number}" for number in range(1, 20)), per_wakeup=4).wake

    def test_retries_and_replays_count_as_reports_behind(self, bench: Workbench) -> None:
        bench.bring("call-1", "dead")
        bench.replay("call-1")

        assert not bench.accept_all("call-2").wake

    def test_nobody_is_woken_while_a_worker_listens(self, bench: Workbench) -> None:
        bench.claim(8, listen_ms=1_000)
        bench.clock.advance(999)

        assert not bench.accept_all("call-1").wake

    def test_a_worker_is_woken_once_the_listener_has_fallen_silent(self, bench: Workbench) -> None:
        bench.claim(8, listen_ms=1_000)
        bench.clock.advance(1_000)

        assert bench.accept_all("call-1").wake

    def test_a_worker_that_leaves_ends_its_promise_to_listen(self, bench: Workbench) -> None:
        bench.claim(8, listen_ms=1_000)
        bench.claim(8, listen_ms=0)

        assert bench.accept_all("call-1").wake

    def test_a_worker_that_got_all_it_wanted_promises_nothing(self, bench: Workbench) -> None:
        bench.accept_all("call-1", "call-2")
        bench.claim(2, listen_ms=1_000)

        assert bench.accept_all("call-3").wake

    def test_a_growing_backlog_wakes_more_workers_even_while_one_listens(self, bench: Workbench) -> None:
        bench.claim(8, listen_ms=1_000)

        assert bench.accept_all("call-1", "call-2", "call-3", per_wakeup=3).wake

    def test_the_promise_to_listen_is_written_again_only_when_half_of_it_is_over(self, bench: Workbench) -> None:
        bench.claim(8, listen_ms=1_000)
        written = bench.inventory().hashes["lane"]
        bench.clock.advance(500)
        bench.claim(8, listen_ms=1_000)
        assert bench.inventory().hashes["lane"] == written

        bench.clock.advance(1)
        bench.claim(8, listen_ms=1_000)

        assert bench.inventory().hashes["lane"] != written


def test_a_report_accepted_while_others_upload_takes_its_own_lease(bench: Workbench) -> None:
    bench.accept("call-1")
    first = all_held(bench.claim().reports)
    bench.accept("call-2")

    second = all_held(bench.claim().reports)

    assert [one.call_id for one in first + second] == ["call-1", "call-2"]
    assert first[0].token != second[0].token
