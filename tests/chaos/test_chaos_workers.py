"""Workers that are killed, stopped, replaced, of two versions, and poisoned."""

import pytest
from chaos_line import Line

from roark_ledger.lifecycle import State
from roark_ledger.moves import watch


def test_a_worker_is_killed_in_the_middle_of_its_uploads() -> None:
    with Line("kill -9 of one of two workers", seed=1) as line:
        line.start()
        line.some_time(0.5, 1.5)
        with line.fault():
            line.kill(line.workers[0])
        assert line.prove().seconds < 15
        assert line.in_flight > 0


@pytest.mark.chaos
def test_both_workers_are_killed_again_and_again() -> None:
    with Line("kill -9 of both workers, four times", seed=2) as line:
        line.start(number=1200)
        for _ in range(4):
            line.some_time(0.3, 2)
            with line.fault():
                line.kill(*line.workers)
                line.start_workers()
        line.replay_poison()
        line.prove()


@pytest.mark.chaos
def test_a_worker_is_stopped_for_longer_than_its_lease_and_goes_on() -> None:
    with Line("SIGSTOP of a worker beyond its lease, SIGCONT", seed=3) as line:
        line.start("--latency-ms", "300", number=900, workers=1)
        stopped = line.workers[0]
        line.until(lambda: line.snapshot().states[State.UPLOADING] > 5, "it has its hands full")
        stopped.freeze()
        line.in_flight = line.snapshot().states[State.UPLOADING]
        line.start_workers(1)
        with line.fault():
            line.some_time(5, 6)
            assert line.snapshot().total("leases_expired") > 0, "others have its reports by now"
            stopped.thaw()
        line.prove()


@pytest.mark.chaos
def test_workers_are_told_to_end_while_roark_is_down() -> None:
    with Line("SIGTERM of all workers while Roark is down", seed=4) as line:
        line.start(number=800)
        line.sandbox.behave(scenario="outage:12s")
        line.some_time(0.5, 2)
        ended = line.workers[:]
        for worker in ended:
            worker.terminate()
        assert [worker.exit_code() for worker in ended] == [0, 0]
        assert line.snapshot().states[State.UPLOADING] == 0, "what was in hand was given back"
        line.workers.clear()
        with line.fault():
            line.start_workers()
            line.sandbox.behave(scenario=None)
        line.prove(duplicates_at_most=0)


@pytest.mark.chaos
def test_new_workers_start_while_the_old_ones_end() -> None:
    with Line("rolling deploy of the workers, three times", seed=5) as line:
        line.start(number=1200)
        for _ in range(3):
            line.some_time(0.2, 1)
            old = line.workers[:]
            with line.fault():
                line.start_workers()
                for worker in old:
                    worker.terminate()
                    line.workers.remove(worker)
                assert [worker.exit_code() for worker in old] == [0, 0]
        line.prove(duplicates_at_most=0)


@pytest.mark.chaos
def test_workers_of_two_versions_share_a_ledger() -> None:
    with Line("two versions of workers at once, one killed", seed=6) as line:
        line.start(number=900)
        (other,) = line.start_workers(1, app="other_version_app")
        line.some_time(1, 2)
        assert line.ledger.client.hget(line.ledger.calls.keys.lane, "of_another_version")
        with line.fault():
            line.kill(other)
        line.start_workers(1, app="other_version_app")
        line.some_time(1, 2)
        line.workers[0].terminate()
        line.workers[0].exit_code()
        line.prove()


@pytest.mark.chaos
def test_a_report_that_kills_its_workers_becomes_a_dead_letter_and_takes_no_other_with_it() -> None:
    with Line("a report that kills each worker that touches it", seed=7) as line:
        line.start(number=600, workers=0)
        poison = line.wanted[100].call_id
        for _ in range(2):
            line.start_worker("poison_app", POISON=poison)

        def poisoned() -> bool:
            # What the supervisor does in production: whoever died is started anew.
            for worker in [one for one in line.workers if not one.runs]:
                line.workers.remove(worker)
                line.in_flight += line.snapshot().states[State.UPLOADING]
                line.start_worker("poison_app", POISON=poison)
            return line.snapshot().states[State.DEAD] > 0

        with line.fault():
            line.until(poisoned, "the poison is a dead letter")
        line.buried = {poison}
        line.prove()
        found = line.ledger.run(watch.look(poison))
        assert found
        assert found.record
        assert found.record.note == "poison"


@pytest.mark.chaos
def test_the_supervisor_is_killed_and_started_again() -> None:
    with Line("kill -9 of the supervisor, its workers with it", seed=8) as line:
        line.start(number=700, workers=0)

        def supervise() -> None:
            supervisor = line.run("supervisor", "-m", "roark_ops.cli", "worker", "--processes", "2")
            line.workers.append(supervisor)
            line.until(lambda: supervisor.log.count("worker_started") == 2, "its workers start")

        supervise()
        line.until(lambda: line.delivered() > 50, "the first reports are delivered")
        with line.fault():
            line.in_flight = 2 * 64
            line.workers.pop().kill()
            supervise()
        line.prove()
