"""Replay jobs under any interleaving: made, stepped, paused, cancelled and abandoned, while letters die, are settled,
replaced, moved by hand and erased, and workers die. Nothing is lost, and nothing is sent more often than it was meant.

Hypothesis makes up the story. The accounts that must hold after each step stand in `the_accounts_hold`.
"""

from collections import Counter

import pytest
import redis
from clocks import Clock
from fakeredis import FakeStrictRedis
from fakes import ScriptingFakeServer
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from servers import Server
from workbench import LEASE_MS, SILENCE_MS, Workbench, all_held

from roark_ledger.ledger import Ledger
from roark_ledger.moves import replay as replay_jobs
from roark_ledger.moves import watch
from roark_ledger.moves.delivery import Held
from roark_ledger.records.record import Record
from roark_ledger.records.replays import Job, JobNumber, JobState, Plan
from roark_ledger.server.connection import connect
from roark_worker.upkeep.audit import audit

CALLS = [f"call-{number}" for number in range(8)]
# Only these are ever erased: nothing more happens to a call that is.
ERASABLE = CALLS[-2:]
PLANS = [Plan(), Plan(ramp=(), stop_share=1.0), Plan(ramp=(2,)), Plan(ramp=(1,), per_second=1, stop_share=0.5)]

some_calls = st.lists(st.sampled_from(CALLS), min_size=1, max_size=8, unique=True)
outcomes = st.sampled_from(["deliver", "deliver", "bury", "bury", "defer", "release"])


class ReplayMachine(RuleBasedStateMachine):
    """One story. `client` is set by the test that tells it."""

    client: "redis.Redis"

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.bench = Workbench(Ledger(self.client, prefix="replays", clock=self.clock), self.clock)
        self.client.delete(*self.bench.ledger.calls.keys.in_order())
        self.jobs: list[JobNumber] = []
        self.hands: list[Held] = []
        # How often each call was meant to be sent: by the jobs that selected it.
        self.meant: Counter[str] = Counter()
        self.versions = 0

    @initialize()
    def all_are_dead(self) -> None:
        self.bench.accept_all(*CALLS)
        for one in all_held(self.bench.claim().reports):
            self.bench.bury(one)

    @rule(call_ids=some_calls, plan=st.sampled_from(PLANS), delay_ms=st.sampled_from([0, 0, 2_000]))
    def a_job_is_made(self, call_ids: list[str], plan: Plan, delay_ms: int) -> None:
        job = self._open(call_ids)
        if self.bench.run(replay_jobs.start(job, plan, delay_ms=delay_ms, who=b'{"by":"ada"}', spec=b"{}")):
            self.jobs.append(job)

    @rule(call_ids=some_calls)
    def a_creator_dies(self, call_ids: list[str]) -> None:
        self.jobs.append(self._open(call_ids))

    def _open(self, call_ids: list[str]) -> JobNumber:
        job = self.bench.run(replay_jobs.open_job(most_open=1000))
        assert job
        letters = {call_id: found.since_ms for call_id in call_ids if (found := self._record(call_id))}
        words = self.bench.run(replay_jobs.select(job, letters.items()))
        selected = [call_id for call_id, word in zip(letters, words, strict=True) if word == "selected"]
        assert self.bench.job(job).unsent == len(selected)
        self.meant.update(selected)
        return job

    def _record(self, call_id: str) -> Record | None:
        entry = self.bench.look(call_id)
        return entry.record if entry else None

    @rule(most=st.sampled_from([1, 3, 100]), queue_most=st.sampled_from([2, 100]))
    def a_worker_ticks(self, most: int, queue_most: int) -> None:
        self.bench.promote()
        self.bench.reap(deaths=2)
        self.bench.step(most=most, queue_most=queue_most)

    @rule(data=st.data(), verb=st.sampled_from(["pause", "resume", "resume", "cancel"]), most=st.sampled_from([1, 500]))
    def a_person_changes_a_job(self, data: st.DataObject, verb: str, most: int) -> None:
        if self.jobs:
            self.bench.change_job(data.draw(st.sampled_from(self.jobs)), verb, most=most)  # type: ignore[arg-type]

    @rule(wanted=st.integers(1, 4))
    def a_worker_claims(self, wanted: int) -> None:
        self.hands += all_held(self.bench.claim(wanted).reports)

    @rule(data=st.data(), how=outcomes)
    def a_worker_settles(self, data: st.DataObject, how: str) -> None:
        if self.hands:
            getattr(self.bench, how)(data.draw(st.sampled_from(self.hands)))

    @rule(how=outcomes)
    def a_worker_settles_all(self, how: str) -> None:
        for one in all_held(self.bench.claim().reports):
            getattr(self.bench, how)(one)

    @rule()
    def all_workers_die(self) -> None:
        self.hands.clear()

    @rule(ms=st.sampled_from([1, 1_000, LEASE_MS, SILENCE_MS + 1]))
    def time_passes(self, ms: int) -> None:
        self.clock.advance(ms)

    @rule(call_ids=some_calls)
    def newer_reports_come(self, call_ids: list[str]) -> None:
        self.versions += 1
        self.bench.accept_all(*((call_id, f"v{self.versions}") for call_id in call_ids))

    @rule(call_ids=some_calls, verb=st.sampled_from(["set_aside", "discard", "restore"]))
    def a_person_moves_letters_by_hand(self, call_ids: list[str], verb: str) -> None:
        getattr(self.bench, verb)(*call_ids)

    @rule(call_id=st.sampled_from(ERASABLE), is_sent=st.booleans())
    def a_call_is_erased(self, call_id: str, is_sent: bool) -> None:
        if is_sent:
            self.a_job_is_made([call_id], PLANS[1], delay_ms=0)
            self.bench.step()
        self.bench.erase(call_id)
        assert set(self.bench.inventory().mentions(f"{call_id}")) <= {"erased"}

    @invariant()
    def the_accounts_hold(self) -> None:
        inventory, snapshot = self.bench.inventory(), self.bench.snapshot()
        inventory.check()
        assert snapshot.balanced
        assert self.bench.run(watch.verify(CALLS)) == []
        found = [self.bench.job(number) for number in self.jobs]
        for job in found:
            self._check_job(job)
        assert snapshot.replays.sent == sum(job.outstanding for job in found)
        assert snapshot.replays.selected == sum(job.unsent for job in found)
        for call_id in set(CALLS) - set(ERASABLE):
            sent = self.bench.events(call_id).count("replayed")
            assert sent <= self.meant[call_id], f"{call_id} was sent {sent} times"

    def _check_job(self, job: Job) -> None:
        assert job.sent == job.delivered + job.failed + job.erased + job.outstanding, job
        gone = job.sent + job.unsent + sum(job.left.values())
        assert job.selected == gone + job.given_back if job.was_cancelled else job.selected == gone, job
        assert job.failed == sum(group.count for group in job.failed_groups), job
        if job.state is JobState.ENDED:
            assert (job.unsent, job.outstanding) == (0, 0), job

    def teardown(self) -> None:
        """Whatever happened, every job comes to its end, and the ledger is sound."""
        for _ in range(60):
            self.clock.advance(LEASE_MS + 1)
            self.a_worker_ticks(100, 100)
            self.a_worker_settles_all("deliver")
            for number in self.jobs:
                self.bench.change_job(number, "resume")
        self.the_accounts_hold()
        assert {self.bench.job(number).state for number in self.jobs} <= {JobState.ENDED}
        assert audit(self.bench.ledger, sleep=lambda _: None).holds
        super().teardown()


def tell_stories(client: "redis.Redis", *, share: float, steps: int) -> None:
    machine = type("Story", (ReplayMachine,), {"client": client})
    number = max(1, round(settings().max_examples * share))
    run_state_machine_as_test(machine, settings=settings(max_examples=number, stateful_step_count=steps))


@pytest.mark.servers
@pytest.mark.timeout(600)
def test_replay_jobs_on_fakeredis_lose_and_double_nothing() -> None:
    with FakeStrictRedis(server=ScriptingFakeServer()) as client:
        tell_stories(client, share=0.05, steps=20)


@pytest.mark.timeout(600)
def test_replay_jobs_on_valkey_lose_and_double_nothing(valkey: Server) -> None:
    with connect(valkey.url) as client:
        tell_stories(client, share=0.3, steps=25)
