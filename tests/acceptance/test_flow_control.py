"""Roark's bad days with real processes: two workers and the sandbox, as in the simulations but shorter."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pipeline import TOKEN, Pipeline, Sandbox, wait_until

from roark_ledger.lifecycle import State
from roark_ledger.records.snapshot import Snapshot
from roark_samples import sample_reports

pytestmark = pytest.mark.acceptance

PLENTY = 2_000


@pytest.fixture(scope="module")
def bodies() -> list[bytes]:
    """Reports without oddities and duplicates."""
    return [sample.body(wrap=True) for sample in sample_reports(PLENTY, odd=0, dup=0)]


@pytest.fixture
def line() -> Iterator[Pipeline]:
    with Pipeline() as line:
        yield line


def assert_that_all_arrived_once(line: Pipeline, roark: Sandbox, number: int) -> Snapshot:
    snapshot = line.snapshot()
    assert snapshot.balanced, snapshot
    assert snapshot.states[State.DELIVERED] == number, snapshot
    assert snapshot.states[State.DEAD] == 0, snapshot
    calls = roark.calls()
    assert len(calls) == number
    assert {call["imported"] for call in calls.values()} == {1}
    return snapshot


def wait_for_lane(line: Pipeline, *states: str) -> None:
    wait_until(lambda: line.snapshot().lane.state in states, f"the lane is {' or '.join(states)}")


@pytest.mark.sweep
def test_two_workers_hold_a_rate_to_within_two_percent(line: Pipeline, bodies: list[bytes]) -> None:
    roark = line.start_sandbox("--latency-ms", "50")
    line.start_supervisor(2, ROARK_INGEST_RATE="50/s")
    line.submit(bodies[:1300])
    wait_until(lambda: roark.stats()["requests"] > 100, "the first burst is over")

    before = roark.stats()
    wait_until(lambda: roark.stats()["seconds_up"] >= before["seconds_up"] + 20, "20 s have passed")
    after = roark.stats()

    per_second = (after["requests"] - before["requests"]) / (after["seconds_up"] - before["seconds_up"])
    assert per_second == pytest.approx(50, rel=0.02)
    line.wait_until_settled()
    assert_that_all_arrived_once(line, roark, 1300)


def test_while_the_breaker_is_half_open_two_workers_send_one_probe_at_a_time(
    line: Pipeline, bodies: list[bytes]
) -> None:
    # Each answer takes so long that a second probe would be seen beside the first.
    roark = line.start_sandbox("--latency-ms", "400", "--scenario", "outage:10m")
    line.start_supervisor(2)
    line.submit(bodies[:300])
    wait_for_lane(line, "breaker-open", "half-open")
    wait_until(lambda: roark.stats()["in_flight"] == 0, "what was in flight is answered")

    roark.forget()
    line.submit(bodies[300:400])
    wait_until(lambda: roark.stats()["requests"] >= 5, "five probes")

    assert roark.stats()["in_flight_max"] == 1
    assert "attempts" in line.snapshot().lane.reason, "the breaker says why it is open"
    roark.behave(scenario=None, latency_ms=20)
    line.wait_until_settled()
    assert_that_all_arrived_once(line, roark, 400)


def test_a_token_that_is_mended_in_its_file_opens_the_lane_without_a_restart(
    line: Pipeline, bodies: list[bytes], tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("a-token-of-yesterday", encoding="utf-8")
    roark = line.start_sandbox("--token", TOKEN)
    line.start_supervisor(2, ROARK_API_BEARER_TOKEN="", ROARK_API_BEARER_TOKEN_FILE=str(token))
    line.submit(bodies[:500])
    wait_for_lane(line, "held")
    lane = line.snapshot().lane
    assert (lane.by, lane.reason.split()[0]) == ("roark", "http_401")
    refused = roark.stats()["by_status"]["401"]
    wait_until(lambda: roark.stats()["by_status"]["401"] >= refused + 2, "two more probes are refused")
    on_the_way = (State.READY, State.UPLOADING, State.WAITING)
    states = line.snapshot().states
    assert sum(states[state] for state in on_the_way) == 500, "nothing is dead"

    token.write_text(TOKEN, encoding="utf-8")

    line.wait_until_settled()
    snapshot = assert_that_all_arrived_once(line, roark, 500)
    assert snapshot.lane.state == "open"


def test_an_outage_of_15_seconds_costs_few_attempts_and_no_report(line: Pipeline, bodies: list[bytes]) -> None:
    roark = line.start_sandbox("--latency-ms", "20")
    line.start_supervisor(2)
    line.submit(bodies[:200])
    line.wait_until_settled()

    roark.behave(scenario="outage:15s")
    before = roark.stats()
    for second in range(15):
        line.submit(bodies[200 + 100 * second : 300 + 100 * second])
        until = before["seconds_up"] + second + 1
        wait_until(lambda until=until: roark.stats()["seconds_up"] >= until, "the next second")
    failed = roark.stats()["faults"]["503"]
    line.wait_until_settled()

    assert failed < 400, "a few tries of the first 100 within half a second, then about one probe a second"
    assert roark.stats()["faults"]["503"] <= failed + 2
    snapshot = assert_that_all_arrived_once(line, roark, 1700)
    assert snapshot.total("breaker_opened") >= 1
