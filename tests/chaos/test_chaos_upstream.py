"""Roark is down, drops connections, answers with half an answer; and everything at once."""

import time

import pytest
from chaos_line import MAX_IN_FLIGHT, Line


@pytest.mark.parametrize("seconds", [pytest.param(3, id="short"), pytest.param(10, marks=pytest.mark.chaos)])
def test_roark_is_down_for_a_while(seconds: int) -> None:
    with Line(f"Roark down for {seconds} s", seed=60 + seconds) as line:
        line.start(number=400 if seconds < 5 else 1500)
        with line.fault():
            line.sandbox.behave(scenario=f"outage:{seconds}s")
            line.some_time(seconds, seconds)
        line.prove(duplicates_at_most=0)


@pytest.mark.chaos
def test_roark_drops_connections_and_breaks_off_answers() -> None:
    with Line("Roark resets 10 % and cuts off 3 % of its answers", seed=62) as line:
        line.start(number=900)
        with line.fault():
            line.sandbox.behave(fail=["reset:0.1", "cut:0.03"])
            line.some_time(4, 5)
            line.sandbox.behave(fail=[])
        line.settle()
        # A cut answer is one that Roark had taken already: each extra request may be a second upload.
        again = sum(call["received"] - 1 for call in line.sandbox.calls().values())
        line.prove(duplicates_at_most=again)


@pytest.mark.chaos
def test_roark_is_overloaded_and_a_worker_dies() -> None:
    with Line("429 and 503 for half of all uploads, kill -9 of a worker", seed=63) as line:
        line.start(number=900)
        line.sandbox.behave(fail=["429:0.3:retry-after-ms=300", "503:0.2"])
        line.some_time(1, 3)
        with line.fault():
            line.kill(line.workers[0])
            line.start_workers(1)
            line.sandbox.behave(fail=[])
        line.prove()


@pytest.mark.chaos
@pytest.mark.timeout(400)
def test_everything_at_once() -> None:
    with Line("everything at once for 60 s", seed=64) as line:
        line.start("--latency-ms", "60", "--jitter-ms", "60", "--fail", "503:0.05", number=5000, per_second=80)
        deadline = time.monotonic() + 60
        assert line.server
        while time.monotonic() < deadline:
            match line.chance.choice(["worker", "worker", "webhook", "redis", "outage", "stop"]):
                case "worker":
                    # Counted by what it may hold: Redis may be busy with its own restart.
                    victim = line.chance.choice(line.workers)
                    line.in_flight += MAX_IN_FLIGHT
                    victim.kill()
                    line.workers.remove(victim)
                    line.start_worker()
                case "webhook":
                    assert line.webhook
                    line.kill_webhook()
                    line.start_webhook()
                case "redis":
                    line.kill_server()
                    line.some_time(0, 2)
                    line.server.start()
                case "outage":
                    line.sandbox.behave(scenario="outage:2s")
                case "stop":
                    victim = line.chance.choice(line.workers)
                    line.in_flight += MAX_IN_FLIGHT
                    victim.freeze()
                    line.some_time(3, 5)
                    victim.thaw()
            line.some_time(0.5, 3)
        with line.fault():
            line.sandbox.behave(scenario=None, fail=[])
        line.replay_poison()
        line.prove()
