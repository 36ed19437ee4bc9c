"""A process dies at each place of a report's way: what is left is picked up, and nothing is lost or done thrice."""

import pytest
from chaos_line import MAX_IN_FLIGHT, Line

from roark_ledger.lifecycle import State

pytestmark = pytest.mark.chaos

SUBMIT_AND_DIE = """
import os, sys
from roark_producer import Producer

producer = Producer.from_env()
producer._wake = lambda: os._exit(137)
producer.submit(sys.stdin.buffer.read())
"""


def dead_worker(line: Line, crash_at: str) -> None:
    """Have a worker die there; another one goes on."""
    victim = line.start_worker("crashing_app", CRASH_AT=crash_at)
    assert victim.exit_code() == 137
    line.workers.remove(victim)


@pytest.mark.parametrize(
    "crash_at", ["with the wake-up in hand", "after claim", "during the upload", "after the answer", "after settle"]
)
def test_a_worker_dies(crash_at: str) -> None:
    with Line(f"worker dies {crash_at}", seed=80) as line:
        line.start(number=150, workers=0)
        dead_worker(line, crash_at)
        line.in_flight = line.snapshot().states[State.UPLOADING]
        assert (line.in_flight == 0) == (crash_at == "with the wake-up in hand") or crash_at == "after settle"
        with line.fault():
            line.start_workers(1)
        row = line.prove()
        if crash_at in {"with the wake-up in hand", "after claim"}:
            assert row.duplicated == 0, "Roark had not heard of them"


def test_a_worker_dies_before_a_refusal_is_recorded() -> None:
    with Line("worker dies before a refusal is recorded", seed=81) as line:
        line.start("--latency-ms", "20", "--fail", "401:1", number=100, workers=0)
        dead_worker(line, "before a refusal is recorded")
        line.in_flight = line.snapshot().states[State.UPLOADING]
        assert line.in_flight > 0
        with line.fault():
            line.sandbox.behave(fail=[])
            line.start_workers(1)
        line.prove(duplicates_at_most=0)


def test_the_probe_of_a_held_lane_dies_with_its_worker() -> None:
    with Line("worker dies with the probe of a held lane", seed=82) as line:
        line.start("--latency-ms", "20", "--fail", "401:1", number=100, workers=0)
        dead_worker(line, "with the probe of a held lane")
        assert line.snapshot().lane.state == "held"
        with line.fault():
            line.sandbox.behave(fail=[])
            line.start_workers(1)
        line.prove(duplicates_at_most=MAX_IN_FLIGHT)


def test_the_breakers_probe_dies_with_its_worker() -> None:
    with Line("worker dies with the breaker's probe", seed=83) as line:
        line.start("--latency-ms", "20", "--fail", "503:1", number=100, workers=0)
        dead_worker(line, "with the breaker's probe")
        with line.fault():
            line.sandbox.behave(fail=[])
            line.start_workers(1)
        line.prove(duplicates_at_most=MAX_IN_FLIGHT)


def test_a_producer_dies_after_accept_and_before_the_wake_up() -> None:
    with Line("producer dies after accept, before the wake-up", seed=84) as line:
        line.start(number=1)
        line.settle()
        lane = line.ledger.calls.keys.lane
        # While a worker listens, a producer wakes nobody.
        line.until(lambda: not line.ledger.client.hget(lane, "listening_until"), "no worker listens")
        one = line.wanted[0].body.replace(b"chaos-", b"other-")
        (line.folder / "report").write_bytes(one)
        code = f"import sys; sys.stdin = open('report')\n{SUBMIT_AND_DIE}"
        producer = line.run("producer", "-W", "ignore", "-c", code)
        assert producer.exit_code() == 137
        line.until(lambda: line.delivered() == 2, "the tick has replaced the wake-up", 15)
