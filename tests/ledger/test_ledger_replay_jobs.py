"""Replay jobs: a frozen selection is sent bit by bit, stops by itself, can be taken back, and loses nothing."""

import pytest
from workbench import LEASE_MS, PATIENCE_MS, SILENCE_MS, Workbench, held

from roark_ledger.moves import delivery, desk
from roark_ledger.moves import replay as replay_jobs
from roark_ledger.moves.delivery import Bury, Claimed, Signal
from roark_ledger.records.logbook import Action
from roark_ledger.records.replays import Job, JobNumber, Plan
from roark_ledger.records.snapshot import ReplayCounts
from roark_worker.upkeep.audit import audit

AT_ONCE = Plan(ramp=(), stop_share=1.0)


def names(number: int, start: int = 0) -> list[str]:
    return [f"call-{place:04}" for place in range(start, start + number)]


def bury_all(bench: Workbench, *call_ids: str, cause: bytes = b'{"status":422}') -> None:
    bench.accept_all(*call_ids)
    for report in bench.claim(len(call_ids)).reports:
        assert bench.run(delivery.bury([Bury(held(report), "http_422", cause)]))[0]


def settle(bench: Workbench, how: str = "deliver", most: int = 500) -> list[str]:
    """Claim what is ready and settle it; return the ids."""
    reports = bench.claim(most).reports
    for report in reports:
        assert getattr(bench, how)(held(report))
    return sorted(report.call_id for report in reports)


def ready(bench: Workbench) -> int:
    return bench.snapshot().queues["replay"]


def by_step(bench: Workbench, number: int, how: str = "deliver") -> list[int]:
    """Step and settle so many times; return how many were sent each time."""
    sent = []
    for _ in range(number):
        sent.append(bench.step().sent)
        settle(bench, how)
    return sent


def fail_again(bench: Workbench, reports: tuple[Claimed, ...], message: str) -> None:
    detail = b'{"status":422,"message":"%b"}' % message.encode()
    bench.run(delivery.bury([Bury(held(report), "http_422", detail) for report in reports]))


class TestSelecting:
    def test_a_selected_letter_stays_a_dead_letter_until_it_is_sent(self, bench: Workbench) -> None:
        bury_all(bench, *names(3))
        job = bench.start_job(*names(3))

        assert bench.snapshot().states["dead"] == 3
        found = bench.job(job)
        assert (found.state, found.selected, found.unsent, found.sent) == ("running", 3, 3, 0)
        bench.inventory().check()

    def test_what_arrives_later_is_not_in_it(self, bench: Workbench) -> None:
        bury_all(bench, *names(2))
        job = bench.start_job(*names(2), plan=AT_ONCE)
        bury_all(bench, "call-later")

        by_step(bench, 3)

        assert bench.state("call-later") == "dead"
        assert bench.job(job).delivered == 2

    def test_what_died_again_since_it_was_seen_is_not_in_it(self, bench: Workbench) -> None:
        bury_all(bench, "call-1")
        seen_ms = bench.record("call-1").since_ms
        bench.replay("call-1")
        bench.clock.advance(5)
        bench.bury(bench.take("call-1"))
        job = bench.open_job()

        assert bench.run(replay_jobs.select(job, [("call-1", seen_ms)])) == ["newer"]

    def test_a_letter_is_in_one_job_at_most(self, bench: Workbench) -> None:
        bury_all(bench, *names(2))
        first = bench.start_job(names(1)[0])
        second = bench.open_job()

        assert bench.select(second, *names(2)) == [f"job {first}", "selected"]
        assert bench.run(replay_jobs.holders(names(2))) == [first, second]

    def test_selecting_twice_does_no_harm(self, bench: Workbench) -> None:
        bury_all(bench, *names(3))
        job = bench.open_job(*names(2))

        assert bench.select(job, *names(3)) == ["selected"] * 3
        assert bench.job(job).selected == 3
        assert bench.job(job).unsent == 3

    @pytest.mark.parametrize("state", ["ready", "uploading", "waiting", "delivered", "discarded", "erased"])
    def test_what_is_no_dead_letter_is_told_by_its_state(self, bench: Workbench, state: str) -> None:
        bench.bring("call-1", state)
        job = bench.open_job()

        told = bench.run(replay_jobs.select(job, [("call-1", bench.clock.now_ms)]))

        assert told == ["unknown" if state == "erased" else state]

    def test_a_job_that_runs_takes_no_more_letters(self, bench: Workbench) -> None:
        bury_all(bench, *names(2))
        job = bench.start_job(names(1)[0])

        assert bench.select(job, *names(2)) == []

    def test_a_job_without_letters_is_dropped(self, bench: Workbench) -> None:
        job = bench.open_job()

        assert not bench.run(replay_jobs.start(job, Plan(), delay_ms=0, who=b"{}", spec=b"{}"))
        assert bench.run(replay_jobs.job(job)) is None
        assert bench.run(replay_jobs.jobs()).jobs == ()

    def test_there_is_a_limit_to_the_jobs_that_are_open(self, bench: Workbench) -> None:
        assert bench.run(replay_jobs.open_job(most_open=1))
        assert bench.run(replay_jobs.open_job(most_open=1)) is None

    def test_a_creator_that_died_holds_nothing_for_long(self, bench: Workbench) -> None:
        bury_all(bench, *names(2))
        job = bench.open_job(*names(2))
        bench.clock.advance(SILENCE_MS)
        bench.step()
        assert bench.job(job).state == "collecting"
        bench.clock.advance(1)

        bench.step()

        found = bench.job(job)
        assert (found.state, found.was_cancelled, found.given_back) == ("ended", True, 2)
        assert bench.run(replay_jobs.holders(names(2))) == [0, 0]
        assert bench.snapshot().states["dead"] == 2


class TestTheRamp:
    def test_each_step_waits_for_the_outcomes_of_the_one_before(self, bench: Workbench) -> None:
        bury_all(bench, *names(400))
        job = bench.start_job(*names(400))

        assert bench.step().sent == 1
        assert bench.step().sent == 0, "its outcome is not there yet"
        settle(bench)
        assert by_step(bench, 3) == [5, 25, 100]
        assert by_step(bench, 3) == [100, 100, 69]
        bench.step()

        found = bench.job(job)
        assert (found.state, found.delivered, found.unsent, found.outstanding) == ("ended", 400, 0, 0)
        assert bench.snapshot().balanced

    @pytest.mark.parametrize(("good", "bad", "stops"), [(20, 5, False), (19, 6, True)])
    def test_a_step_stops_the_job_when_more_than_its_share_fails(
        self, bench: Workbench, good: int, bad: int, stops: bool
    ) -> None:
        bury_all(bench, *names(100))
        job = bench.start_job(*names(100), plan=Plan(ramp=(25,)))
        bench.step()
        settle(bench, "deliver", good)
        settle(bench, "bury", bad)

        bench.step()

        found = bench.job(job)
        assert found.state == ("paused" if stops else "running")
        assert found.stopped_itself == stops
        if stops:
            assert (found.by, found.reason[:23]) == ("roark-ingest", "6 of 25 failed again or")
            assert (found.unsent, bench.snapshot().states["dead"]) == (75, 81)

    def test_a_stop_is_told_once(self, bench: Workbench) -> None:
        bury_all(bench, *names(3))
        job = bench.start_job(*names(3))
        bench.step()
        settle(bench, "bury")

        assert [(what, number) for what, number, _ in bench.step().news] == [("stopped", job)]
        assert bench.step().news == ()

    def test_after_the_ramp_the_share_is_that_of_each_hundred(self, bench: Workbench) -> None:
        bury_all(bench, *names(500))
        job = bench.start_job(*names(500), plan=Plan(ramp=()))
        assert by_step(bench, 2) == [100, 100]
        bench.step()
        settle(bench, "deliver", 79)
        settle(bench, "bury", 21)

        bench.step()

        found = bench.job(job)
        assert (found.state, found.failed) == ("paused", 21)

    def test_a_report_that_waits_for_another_try_holds_the_step_for_a_while_and_then_counts_as_failed(
        self, bench: Workbench
    ) -> None:
        bury_all(bench, *names(10))
        job = bench.start_job(*names(10), plan=Plan(ramp=(4,)))
        bench.step()
        settle(bench, "deliver", 3)
        bench.defer(held(bench.claim(1).reports[0]), 10 * PATIENCE_MS)
        bench.clock.advance(PATIENCE_MS - 1)
        assert bench.step().sent == 0
        assert (bench.job(job).state, bench.job(job).retrying) == ("running", 1)

        bench.clock.advance(1)
        bench.step()

        assert bench.job(job).state == "paused", "one of four is more than a fifth"

    def test_those_that_wait_for_fresh_links_are_no_failures(self, bench: Workbench) -> None:
        bury_all(bench, *names(10))
        job = bench.start_job(*names(10), plan=Plan(ramp=(4,)))
        bench.step()
        for report in bench.claim(4).reports:
            bench.defer(held(report), 10 * PATIENCE_MS, "waits_for_audio", signal=Signal.UNSENT)
        bench.clock.advance(2 * PATIENCE_MS)

        assert bench.step().sent == 0
        assert bench.job(job).state == "running"

        bench.clock.advance(10 * PATIENCE_MS)
        bench.promote()
        settle(bench)
        assert bench.step().sent == 6

    def test_a_few_that_wait_do_not_stop_it(self, bench: Workbench) -> None:
        bury_all(bench, *names(10))
        job = bench.start_job(*names(10), plan=Plan(ramp=(5,)))
        bench.step()
        settle(bench, "deliver", 4)
        bench.defer(held(bench.claim(1).reports[0]), 10 * PATIENCE_MS)
        bench.clock.advance(PATIENCE_MS)

        assert bench.step().sent == 5
        assert settle(bench)
        bench.step()
        assert (bench.job(job).state, bench.job(job).outstanding) == ("running", 1)
        bench.clock.advance(10 * PATIENCE_MS)
        bench.promote()
        settle(bench)
        bench.step()
        assert (bench.job(job).state, bench.job(job).delivered) == ("ended", 10)

    def test_resuming_a_job_that_stopped_begins_the_ramp_anew(self, bench: Workbench) -> None:
        bury_all(bench, *names(20))
        job = bench.start_job(*names(20))
        assert by_step(bench, 2, "bury") == [1, 0]

        assert bench.change_job(job, "resume").was == "paused"

        assert by_step(bench, 4) == [1, 5, 13, 0]
        assert (bench.job(job).state, bench.job(job).delivered, bench.job(job).failed) == ("ended", 19, 1)

    def test_resuming_a_job_that_a_person_paused_goes_on_where_it_was(self, bench: Workbench) -> None:
        bury_all(bench, *names(20))
        job = bench.start_job(*names(20))
        by_step(bench, 1)
        bench.change_job(job, "pause")
        assert by_step(bench, 2) == [0, 0]

        bench.change_job(job, "resume")

        assert by_step(bench, 1) == [5]


class TestPace:
    def test_a_rate_is_kept(self, bench: Workbench) -> None:
        bury_all(bench, *names(300))
        bench.start_job(*names(300), plan=Plan(ramp=(), per_second=20))
        sent = []
        for _ in range(40):
            sent.append(bench.step().sent)
            settle(bench)
            bench.clock.advance(250)

        assert sent[0] == 1
        assert all(number <= 5 for number in sent)
        assert sum(sent) == pytest.approx(200, abs=5)

    def test_any_number_of_workers_keep_the_rate_together(self, bench: Workbench) -> None:
        bury_all(bench, *names(50))
        bench.start_job(*names(50), plan=Plan(ramp=(), per_second=10))
        bench.step()
        bench.clock.advance(1000)

        assert [bench.step().sent for _ in range(3)] == [10, 0, 0]

    def test_what_was_not_used_is_not_saved_up(self, bench: Workbench) -> None:
        bury_all(bench, *names(100))
        bench.start_job(*names(100), plan=Plan(ramp=(), per_second=10))
        bench.clock.advance(60_000)

        assert bench.step().sent == 11

    def test_the_replay_queue_gets_small_slices(self, bench: Workbench) -> None:
        bury_all(bench, *names(100))
        bench.start_job(*names(100), plan=AT_ONCE)

        assert [bench.step(most=10, queue_most=25).sent for _ in range(4)] == [10, 10, 5, 0]
        assert ready(bench) == 25

    def test_jobs_share_the_room(self, bench: Workbench) -> None:
        bury_all(bench, *names(100))
        first, second = (bench.start_job(*names(50, start), plan=AT_ONCE) for start in (0, 50))
        for _ in range(6):
            bench.step(most=5)
            bench.clock.advance(1000)

        assert (bench.job(first).sent, bench.job(second).sent) == (15, 15)

    def test_a_delay_is_waited_for(self, bench: Workbench) -> None:
        bury_all(bench, "call-1")
        bench.start_job("call-1", delay_ms=5000)
        bench.clock.advance(4999)
        assert bench.step().sent == 0
        bench.clock.advance(1)

        assert bench.step().sent == 1

    def test_a_clock_that_is_set_back_does_not_stop_a_job_with_a_rate(self, bench: Workbench) -> None:
        bury_all(bench, *names(10))
        bench.start_job(*names(10), plan=Plan(ramp=(), per_second=1))
        bench.step()
        bench.clock.advance(-3_600_000)

        assert bench.step().sent == 1


class TestOutcomes:
    def job_of(self, bench: Workbench, number: int = 4) -> JobNumber:
        bury_all(bench, *names(number))
        job = bench.start_job(*names(number), plan=AT_ONCE)
        bench.step()
        return job

    def test_deliveries_and_failures_are_counted_by_reason_and_folded_message(self, bench: Workbench) -> None:
        job = self.job_of(bench)
        settle(bench, "deliver", 1)
        reports = bench.claim(3).reports
        fail_again(bench, reports[:1], "call 7f3a is 812.5 s long")
        fail_again(bench, reports[1:2], "call 91bc is 40 s long")
        fail_again(bench, reports[2:], "startedAt is missing")
        bench.step()

        found = bench.job(job)
        assert (found.state, found.delivered, found.failed) == ("ended", 1, 3)
        assert [(group.reason, group.status, group.message, group.count) for group in found.failed_groups] == [
            ("http_422", 422, "call # is # s long", 2),
            ("http_422", 422, "startedAt is missing", 1),
        ]

    def test_the_groups_of_a_job_are_bounded(self, bench: Workbench) -> None:
        job = self.job_of(bench, 40)
        for number, report in enumerate(bench.claim(40).reports):
            fail_again(bench, (report,), "x" * (number + 1))
        bench.step()

        groups = bench.job(job).failed_groups
        assert len(groups) == 21
        assert (groups[0].reason, groups[0].count) == ("other", 20)

    def test_what_roark_had_already_is_told_apart(self, bench: Workbench) -> None:
        job = self.job_of(bench, 2)
        one, two = map(held, bench.claim(2).reports)
        bench.deliver(one, detail=b'{"status":409,"already_there":true}')
        bench.deliver(two, detail=b'{"status":200}')
        bench.step()

        assert (bench.job(job).delivered, bench.job(job).already_there) == (2, 1)

    def test_a_report_that_kills_its_workers_has_failed_again(self, bench: Workbench) -> None:
        job = self.job_of(bench, 1)
        bench.claim()
        bench.clock.advance(LEASE_MS)
        bench.reap(deaths=1)
        bench.step()

        assert [(group.reason, group.count) for group in bench.job(job).failed_groups] == [("poison", 1)]

    def test_a_report_whose_payload_is_gone_has_failed_again(self, bench: Workbench) -> None:
        bury_all(bench, "call-1")
        bench.ledger.client.hdel(bench.ledger.calls.keys.payloads, "call-1")
        job = bench.start_job("call-1", plan=AT_ONCE)
        bench.step()
        bench.claim()
        bench.step()

        assert [group.reason for group in bench.job(job).failed_groups] == ["payload_lost"]

    def test_a_report_that_is_put_off_is_counted_when_it_ends(self, bench: Workbench) -> None:
        job = self.job_of(bench, 1)
        bench.defer(bench.take("call-0000"), 1000)
        bench.step()
        assert (bench.job(job).state, bench.job(job).outstanding) == ("running", 1)
        bench.clock.advance(1000)
        bench.promote()
        settle(bench)
        bench.step()

        assert (bench.job(job).state, bench.job(job).delivered) == ("ended", 1)

    def test_reports_of_no_job_are_not_counted(self, bench: Workbench) -> None:
        job = self.job_of(bench, 1)
        one = bench.take("call-0000")
        bury_all(bench, "call-1")
        bench.accept("call-2")
        assert settle(bench) == ["call-2"]
        bench.bury(one)
        bench.step()

        assert (bench.job(job).delivered, bench.job(job).failed) == (0, 1)

    def test_what_an_older_version_settled_is_found_by_the_tick(self, bench: Workbench) -> None:
        job = self.job_of(bench, 3)
        keys = bench.ledger.calls.keys
        kept = bench.ledger.client.zrange(keys.replay_sent, 0, -1, withscores=True)
        one, two, three = map(held, bench.claim(3).reports)
        bench.deliver(one)
        bench.bury(two)
        bench.deliver(three)
        # As if the scripts of another version had done that: they know of no jobs.
        for name in (b"delivered", b"failed", b"step_good", b"step_bad"):
            bench.ledger.client.hdel(keys.replay_live, b"%d %b" % (job, name))
        bench.ledger.client.zadd(keys.replay_sent, dict(kept))

        bench.step()

        found = bench.job(job)
        assert (found.state, found.delivered, found.failed, found.outstanding) == ("ended", 2, 1, 0)

    def test_every_report_tells_in_its_history_who_sent_it(self, bench: Workbench) -> None:
        self.job_of(bench, 1)

        last = bench.entry("call-0000").history[-1]
        assert (last.name, last.detail) == ("replayed", {"by": "ada"})
        assert bench.count("replayed") == 1


class TestOtherWays:
    def test_a_newer_report_takes_a_letter_out_of_its_job(self, bench: Workbench) -> None:
        bury_all(bench, *names(2))
        job = bench.start_job(*names(2), plan=AT_ONCE)
        bench.accept("call-0000", "b")

        settle(bench)
        by_step(bench, 2)

        found = bench.job(job)
        assert (found.state, found.sent, found.delivered, dict(found.left)) == ("ended", 1, 1, {"replace": 1})

    @pytest.mark.parametrize("verb", ["discard", "erase"])
    def test_a_letter_that_a_person_takes_out_is_not_sent_by_its_job(self, bench: Workbench, verb: str) -> None:
        bury_all(bench, *names(2))
        job = bench.start_job(*names(2), delay_ms=1, plan=AT_ONCE)
        getattr(bench, verb)("call-0000")
        bench.clock.advance(1)
        bench.inventory().check()

        by_step(bench, 2)

        found = bench.job(job)
        assert (found.state, found.sent, dict(found.left)) == ("ended", 1, {verb: 1})

    def test_erasing_a_report_that_is_on_its_way_takes_it_out_of_the_job(self, bench: Workbench) -> None:
        bury_all(bench, "call-1")
        job = bench.start_job("call-1", plan=AT_ONCE)
        bench.step()
        bench.erase("call-1")
        assert bench.inventory().mentions("call-1") == []
        bench.step()

        assert (bench.job(job).state, bench.job(job).erased) == ("ended", 1)

    def test_a_newer_report_of_one_that_is_on_its_way_is_delivered_in_its_place(self, bench: Workbench) -> None:
        bury_all(bench, "call-1")
        job = bench.start_job("call-1", plan=AT_ONCE)
        bench.step()
        bench.accept("call-1", "b")
        settle(bench)
        bench.step()

        assert (bench.job(job).state, bench.job(job).delivered) == ("ended", 1)


class TestCancelling:
    def test_everything_unsent_is_a_dead_letter_as_before(self, bench: Workbench) -> None:
        bury_all(bench, *names(10))
        before = bench.record("call-0009")
        job = bench.start_job(*names(10))
        by_step(bench, 1)

        assert bench.change_job(job, "cancel") == replay_jobs.Changed("running", 0)

        assert bench.step().sent == 0
        found = bench.job(job)
        assert (found.state, found.was_cancelled, found.sent, found.given_back) == ("ended", True, 1, 9)
        assert bench.record("call-0009") == before
        assert bench.snapshot().states["dead"] == 9

    def test_before_it_starts_it_takes_all_back(self, bench: Workbench) -> None:
        bury_all(bench, *names(3))
        job = bench.start_job(*names(3), delay_ms=5000)
        bench.change_job(job, "cancel")
        bench.clock.advance(10_000)
        bench.step()

        assert (bench.job(job).sent, bench.job(job).given_back) == (0, 3)

    def test_many_are_given_back_bit_by_bit_and_are_free_at_once(self, bench: Workbench) -> None:
        bury_all(bench, *names(700))
        job = bench.start_job(*names(700))

        assert bench.change_job(job, "cancel", most=100).remaining == 600

        other = bench.open_job()
        assert bench.select(other, "call-0650", "call-0001") == ["selected", "selected"]
        assert bench.run(replay_jobs.holders(["call-0651"])) == [0]
        for _ in range(2):
            bench.step()
        assert (bench.job(job).state, bench.job(job).given_back) == ("ended", 700)
        assert bench.job(other).unsent == 2

    def test_what_is_on_its_way_is_still_counted(self, bench: Workbench) -> None:
        bury_all(bench, *names(3))
        job = bench.start_job(*names(3))
        bench.step()
        bench.change_job(job, "cancel")
        bench.step()
        assert (bench.job(job).state, bench.job(job).outstanding) == ("cancelled", 1)
        settle(bench)
        bench.step()

        assert (bench.job(job).state, bench.job(job).delivered, bench.job(job).given_back) == ("ended", 1, 2)

    def test_a_job_that_has_ended_or_never_was_says_so(self, bench: Workbench) -> None:
        bury_all(bench, "call-1")
        job = bench.start_job("call-1")
        by_step(bench, 2)

        assert bench.change_job(job, "cancel").was == "ended"
        assert bench.change_job(JobNumber(99), "pause").was == "unknown"

    def test_a_running_job_cannot_be_resumed_nor_a_paused_one_paused(self, bench: Workbench) -> None:
        bury_all(bench, *names(2))
        job = bench.start_job(*names(2))
        assert bench.change_job(job, "resume").was == "running"
        bench.change_job(job, "pause")
        found = bench.job(job)
        assert (found.state, found.by, found.reason) == ("paused", "ada", "because")
        assert bench.change_job(job, "pause").was == "paused"


class TestJobsAsAWhole:
    def test_ended_ones_are_listed_behind_the_open_ones_the_youngest_first(self, bench: Workbench) -> None:
        bury_all(bench, *names(4))
        jobs = []
        for call_id in names(3):
            jobs.append(bench.start_job(call_id))
            by_step(bench, 2)
            bench.clock.advance(1000)
        jobs.append(bench.start_job(names(4)[3], delay_ms=9000))

        found = bench.run(replay_jobs.jobs(most=2))

        assert [job.number for job in found.jobs] == [jobs[3], jobs[2], jobs[1]]
        assert found.ended == 3
        assert [job.number for job in bench.run(replay_jobs.jobs(first=2, most=5)).jobs] == [jobs[3], jobs[0]]

    def test_an_ended_one_remembers_who_why_and_what_became_of_it(self, bench: Workbench) -> None:
        bury_all(bench, *names(2))
        job = bench.start_job(*names(2), plan=Plan(ramp=(1, 5), per_second=7, stop_share=0.5))
        live = bench.job(job)
        by_step(bench, 2)
        bench.clock.advance(1)
        bench.step()

        found: Job = bench.job(job)
        assert found.spec == live.spec == {"why": "mended"}
        assert found.plan == live.plan
        assert (found.plan.ramp, found.plan.stop_share) == ((1, 5), 0.5)
        assert found.plan.per_second == pytest.approx(7, rel=0.01)
        assert (found.created_ms, found.selected) == (live.created_ms, 2)

    def test_an_ended_one_takes_no_place_but_its_own_text(self, bench: Workbench) -> None:
        bury_all(bench, *names(50))
        job = bench.start_job(*names(50), plan=AT_ONCE)
        by_step(bench, 2)
        assert bench.job(job).state == "ended"

        left = bench.inventory()
        assert (left.hashes["replay_live"], left.zsets["replay_selected"], left.zsets["replay_sent"]) == ({}, [], [])
        assert len(left.hashes["replay_past"][b"%d" % job]) < 1000

    def test_ended_ones_are_kept_for_good_unless_a_time_is_set(self, bench: Workbench) -> None:
        bury_all(bench, "call-1")
        job = bench.start_job("call-1")
        by_step(bench, 2)
        bench.clock.advance(10**10)
        bench.step()
        assert bench.job(job).state == "ended"
        assert bench.step(keep_ms=10**10 + 1).news == ()

        assert bench.step(keep_ms=10**10).news == (("forgotten", job, ""),)

        assert bench.run(replay_jobs.job(job)) is None
        assert bench.run(replay_jobs.jobs()).ended == 0

    def test_the_snapshot_counts_them_by_state(self, bench: Workbench) -> None:
        bury_all(bench, *names(10))
        bench.start_job(*names(2))
        by_step(bench, 1)
        bench.change_job(bench.start_job(*names(2, 2)), "pause")
        bench.open_job(names(1, 4)[0])
        bench.start_job(*names(3, 5), plan=AT_ONCE)
        bench.step()

        assert bench.snapshot().replays == ReplayCounts(collecting=1, running=2, paused=1, selected=3, sent=4)

    def test_a_tick_without_jobs_changes_nothing(self, bench: Workbench) -> None:
        bury_all(bench, *names(3))
        before = bench.inventory()

        assert bench.step().sent == 0
        assert bench.inventory() == before


class TestTheLogbook:
    def test_what_people_do_to_jobs_is_written_down(self, bench: Workbench) -> None:
        bury_all(bench, *names(3))
        job = bench.start_job(*names(3))
        bench.change_job(job, "pause")
        bench.change_job(job, "pause")
        bench.change_job(job, "resume")
        bench.change_job(job, "cancel")
        bench.change_job(job, "cancel")

        deeds = bench.run(desk.deeds_page(most=100))
        assert [(deed.action, deed.by, deed.count) for deed in deeds] == [
            ("replay", "ada", 3),
            ("replay-pause", "ada", 3),
            ("replay-resume", "ada", 3),
            ("replay-cancel", "ada", 3),
        ]
        assert {deed.action for deed in deeds} <= set(Action)
        assert deeds[-1].about == {"job": job}


class TestAudit:
    @pytest.mark.parametrize("state", ["ready", "uploading", "waiting", "delivered", "discarded"])
    def test_a_selected_call_that_is_not_dead_is_found_and_mended(self, bench: Workbench, state: str) -> None:
        bury_all(bench, "call-2")
        job = bench.start_job("call-2", delay_ms=10**6)
        bench.bring("call-1", state)
        keys = bench.ledger.calls.keys
        bench.ledger.client.zadd(keys.replay_selected, {"call-1": job * 10**8 + 7})

        found = audit(bench.ledger, sleep=lambda _: None)
        assert [(one.call_id, one.faults) for one in found.broken] == [("call-1", ("also:selected",))]

        assert audit(bench.ledger, repair=True, sleep=lambda _: None).holds
        bench.inventory().check()

    @pytest.mark.parametrize("state", ["dead", "delivered", "discarded", "erased"])
    def test_a_job_that_waits_for_what_has_ended_is_found_and_mended(self, bench: Workbench, state: str) -> None:
        bury_all(bench, "call-2")
        job = bench.start_job("call-2", plan=AT_ONCE)
        bench.step()
        bench.defer(bench.take("call-2"))
        bench.bring("call-1", state)
        bench.ledger.client.zadd(bench.ledger.calls.keys.replay_sent, {"call-1": job * 10**8 + 7})

        found = audit(bench.ledger, sleep=lambda _: None)
        assert [(one.call_id, one.faults) for one in found.broken] == [("call-1", ("also:sent",))]

        assert audit(bench.ledger, repair=True, sleep=lambda _: None).holds
        assert bench.job(job).outstanding == 1

    def test_running_jobs_are_sound(self, bench: Workbench) -> None:
        bury_all(bench, *names(20))
        bench.start_job(*names(20))
        by_step(bench, 2)
        bench.step()

        assert audit(bench.ledger, sleep=lambda _: None).holds


def test_two_workers_that_step_and_settle_at_once_send_each_letter_once(bench: Workbench) -> None:
    bury_all(bench, *names(60))
    job = bench.start_job(*names(60), plan=AT_ONCE)
    sent = 0
    deliveries: list[str] = []
    while bench.job(job).state != "ended":
        sent += bench.step(most=7).sent + bench.step(most=7).sent
        deliveries += settle(bench, most=5)

    assert sent == 60
    assert sorted(deliveries) == names(60)
