"""Replay jobs with a real worker, a real sandbox and the command as people start it."""

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from pipeline import Pipeline, Sandbox, kill, wait_until

from roark_ledger.lifecycle import State
from roark_ledger.records.replays import Job, JobState, Plan
from roark_ops import Replays
from roark_ops.desk.finding import Filter
from roark_worker.upkeep.audit import audit

pytestmark = [
    pytest.mark.acceptance,
    # The standard library warns of a fork in a process with threads; this child execs at once.
    pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning"),
]

REFUSING = ["422:1"]


class Floor:
    """A pipeline in which reports die, and are replayed."""

    def __init__(self, line: Pipeline, roark: Sandbox) -> None:
        self.line = line
        self.roark = roark
        self.replays = Replays(line.ledger, by="ada")

    def bury(self, *call_ids: str) -> None:
        """Have reports refused until they are dead."""
        self.roark.behave(fail=REFUSING)
        dead = self.line.count(State.DEAD)
        self.line.submit([body(call_id) for call_id in call_ids])
        self.line.wait_for(State.DEAD, dead + len(call_ids))
        self.roark.behave(fail=[])
        self.roark.forget()

    def replay(self, plan: Plan) -> int:
        """Make a job of all that is dead."""
        job = self.replays.create(self.replays.preview(Filter()), reason="a test", plan=plan).job
        assert job
        return job.number

    def job(self, number: int) -> Job:
        found = self.replays.show(number)
        assert found
        return found

    def wait_for(self, number: int, state: JobState) -> Job:
        wait_until(lambda: self.job(number).state is state, f"job {number} is {state}")
        return self.job(number)

    def received(self) -> dict[str, int]:
        """How often each call was uploaded."""
        return {call_id: seen["received"] for call_id, seen in self.roark.calls().items()}

    def command(self, *arguments: str, **options: Any) -> "subprocess.Popen[bytes]":
        environment = self.line.environment | options.pop("env", {})
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        command = [sys.executable, "-m", "roark_ops.cli", *arguments]
        return subprocess.Popen(command, env=environment, cwd=self.line.folder, **pipes)


def body(call_id: str) -> bytes:
    return json.dumps({"type": "end-of-call-report", "call": {"id": call_id}, "transcript": "hello"}).encode()


def names(prefix: str, number: int) -> list[str]:
    return [f"{prefix}-{place:03}" for place in range(number)]


def assert_that_the_books_balance(line: Pipeline) -> None:
    assert line.snapshot().balanced
    assert audit(line.ledger).holds


@pytest.fixture
def floor() -> Iterator[Floor]:
    with Pipeline() as line:
        roark = line.start_sandbox()
        line.start_worker()
        yield Floor(line, roark)


def test_a_job_delivers_each_letter_once_step_by_step(floor: Floor) -> None:
    floor.bury(*names("c", 200))
    number = floor.replay(Plan())

    job = floor.wait_for(number, JobState.ENDED)

    assert (job.delivered, job.failed, job.sent) == (200, 0, 200)
    assert floor.received() == dict.fromkeys(names("c", 200), 1)
    assert_that_the_books_balance(floor.line)


def test_the_canary_stops_the_job_by_itself(floor: Floor) -> None:
    floor.bury(*names("c", 200))
    floor.roark.behave(fail=REFUSING)
    number = floor.replay(Plan())

    job = floor.wait_for(number, JobState.PAUSED)

    assert (job.stopped_itself, job.sent, job.failed, job.unsent) == (True, 1, 1, 199)
    assert [(group.reason, group.count) for group in job.failed_groups] == [("http_422", 1)]
    floor.roark.behave(fail=[])
    floor.replays.resume(number)
    assert floor.wait_for(number, JobState.ENDED).delivered == 199
    assert_that_the_books_balance(floor.line)


def test_cancelling_mid_way_leaves_every_letter_sent_or_dead(floor: Floor) -> None:
    floor.bury(*names("c", 100))
    number = floor.replay(Plan(ramp=(), per_second=20))
    wait_until(lambda: floor.job(number).sent > 5, "some are sent")

    floor.replays.cancel(number)
    job = floor.wait_for(number, JobState.ENDED)
    floor.line.wait_until_settled()

    assert job.was_cancelled
    assert 5 < job.sent < 100
    assert job.given_back == 100 - job.sent == floor.line.count(State.DEAD)
    assert sum(floor.received().values()) == job.sent == floor.line.count(State.DELIVERED)
    assert_that_the_books_balance(floor.line)


def test_letters_that_arrive_meanwhile_stay_untouched(floor: Floor) -> None:
    floor.bury(*names("c", 60))
    number = floor.replay(Plan(ramp=(), per_second=20))
    wait_until(lambda: floor.job(number).sent > 0, "the job has begun")
    # While all is refused for a moment, what the job sends then dies again, and so does what is new.
    floor.roark.behave(fail=REFUSING)
    floor.line.submit([body(call_id) for call_id in names("later", 20)])
    wait_until(lambda: all(is_dead(floor, call_id) for call_id in names("later", 20)), "the new ones have died")
    floor.roark.behave(fail=[])

    def goes_on() -> bool:
        floor.replays.resume(number)
        return floor.job(number).state is JobState.ENDED

    wait_until(goes_on, "the job has ended")

    job = floor.job(number)
    assert job.sent == 60
    assert floor.line.count(State.DEAD) == 20 + job.failed
    assert {floor.received()[call_id] for call_id in names("later", 20)} == {1}, "the one upload that they died of"
    assert_that_the_books_balance(floor.line)


def is_dead(floor: Floor, call_id: str) -> bool:
    record = floor.line.look(call_id).record
    return record is not None and record.state is State.DEAD


def test_two_operators_at_once_upload_each_report_once(floor: Floor) -> None:
    floor.bury(*names("c", 80))
    command = ("dlq", "replay", "--all", "--yes", "--json", "--no-ramp", "--reason", "both of us")

    both = [floor.command(*command, "--as", who) for who in ("ada", "grace")]
    ended = [process.communicate(timeout=60) for process in both]

    made = [json.loads(stdout)["job"] for stdout, _ in ended if stdout]
    assert made, ended
    for number in made:
        floor.wait_for(number, JobState.ENDED)
    assert sum(floor.job(number).sent for number in made) == 80
    assert floor.received() == dict.fromkeys(names("c", 80), 1)
    assert_that_the_books_balance(floor.line)


def test_a_terminal_that_is_closed_does_not_end_the_job(floor: Floor) -> None:
    floor.bury(*names("c", 40))
    options = ("--all", "--yes", "--delay", "0", "--rate", "20/s")
    command = [sys.executable, "-m", "roark_ops.cli", "dlq", "replay", *options]
    pid, terminal = pty.fork()
    if pid == 0:  # pragma: no cover another process
        os.chdir(floor.line.folder)
        # Whoever runs the tests under nohup hands on that hanging up is ignored.
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        os.execve(sys.executable, command, floor.line.environment | {"TERM": "xterm"})
    wait_until(lambda: floor.line.snapshot().replays.running, "the job was made")

    os.close(terminal)

    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) in {-signal.SIGHUP, 1, 130}
    job = floor.wait_for(1, JobState.ENDED)
    assert job.delivered == 40
    assert floor.received() == dict.fromkeys(names("c", 40), 1)


def test_a_rehearsal_tells_what_would_become_of_each_group_and_changes_nothing(floor: Floor) -> None:
    floor.bury(*names("c", 40))
    before = {call_id: floor.line.look(call_id) for call_id in names("c", 40)}
    staging = floor.line.start("staging", "-m", "roark_sandbox", "--port", "0", "--token", "of-staging")
    staging.wait_for_line("listening on")
    url = staging.log.split("listening on ")[1].split()[0]

    refused = run(floor, "dlq", "replay", "--all", "--to", url)
    assert refused["outcomes"] == {"fails differently": 40}, "our own token did not go there"
    assert next(iter(refused["fails_now"])).startswith("http_401")
    there = Sandbox(url)
    there.behave(fail=["422:0.5"])
    there.close()
    told = run(floor, "dlq", "replay", "--all", "--to", url, ROARK_INGEST_REPLAY_TO_TOKEN="of-staging")

    assert set(told["outcomes"]) == {"would be delivered", "fails the same"}
    assert sum(told["outcomes"].values()) == 40
    assert {call_id: floor.line.look(call_id).record for call_id in before} == {
        call_id: entry.record for call_id, entry in before.items()
    }
    assert floor.received() == {}
    production = floor.command("dlq", "replay", "--all", "--to", floor.roark.url)
    assert b"this would not be a rehearsal" in production.communicate(timeout=60)[1]
    assert production.returncode == 1
    staging.end()


def run(floor: Floor, *arguments: str, **environment: str) -> Any:
    stdout, stderr = floor.command(*arguments, "--json", env=environment).communicate(timeout=60)
    assert stdout, stderr
    return json.loads(stdout)


def test_a_job_survives_the_death_of_all_workers() -> None:
    with Pipeline() as line:
        roark = line.start_sandbox("--latency-ms", "20")
        floor = Floor(line, roark)
        worker = line.start_worker()
        floor.bury(*names("c", 150))
        number = floor.replay(Plan(ramp=(), per_second=100, stop_share=1.0))
        wait_until(lambda: floor.job(number).sent > 20, "the job is under way")

        kill(worker.pid)
        assert floor.job(number).unsent
        line.start_worker()

        job = floor.wait_for(number, JobState.ENDED)
        assert (job.delivered, job.sent, job.failed) == (150, 150, 0)
        received = floor.received()
        assert set(received) == set(names("c", 150))
        # What was in flight when it was killed may come twice, and nothing else.
        assert sum(received.values()) <= 150 + 100
        assert_that_the_books_balance(line)
