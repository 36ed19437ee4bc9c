"""Refusals that may be true for all, beside 100 reports a second: two real workers, the sandbox, usual settings.

One report, or those of one assistant, are always refused, and nobody else waits for them. All are refused for two
minutes, and no report dies of it. Each prints its figures.
"""

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from pipeline import Pipeline, Sandbox, wait_until

from roark_ledger.lifecycle import State
from roark_ops.cli.views.status import document
from roark_ops.desk.story import tell
from roark_producer.disk.segments import Pending
from roark_worker.upkeep.audit import audit

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(600)]

PER_SECOND = 100
USUAL = {
    "ROARK_INGEST_TICK_SECONDS": "1",
    "ROARK_INGEST_LEASE_SECONDS": "15",
    "ROARK_INGEST_PROBE_MAX_SECONDS": "60",
    "ROARK_INGEST_FLOWER_EVENTS": "false",
}


@pytest.fixture
def line() -> Iterator[Pipeline]:
    with Pipeline(**USUAL) as line:
        yield line


def body(number: int) -> bytes:
    """A report; each fiftieth is of one assistant, evenly spread and not in a row."""
    assistant = "a-odd" if number % 50 == 7 else f"a-{number % 9}"
    call = {"id": f"call-{number}", "assistantId": assistant}
    return json.dumps({"type": "end-of-call-report", "call": call, "transcript": "hello " * 2000}).encode()


@dataclass
class Watching:
    """What is seen of the ledger ten times a second: for how long the lane was held, and how late reports were."""

    line: Pipeline
    longest_hold: float = 0.0
    latest: float = 0.0
    events: list[tuple[float, str]] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Watching":
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        held_since, before = 0.0, "open"
        while not self._stop.wait(0.1):
            now, snapshot = time.monotonic(), self.line.snapshot()
            state = snapshot.lane.state
            if state != before:
                self.events.append((now, state))
            held_since, before = (held_since or now) if state == "held" else 0.0, state
            self.longest_hold = max(self.longest_hold, now - held_since if held_since else 0.0)
            self.latest = max(self.latest, snapshot.past_due_seconds)


def arrive(line: Pipeline, seconds: float, *, first: int = 0, meanwhile: Callable[[float], None] | None = None) -> int:
    """Hand reports in evenly; return the number behind the last one."""
    began, done = time.monotonic(), 0
    while (passed := time.monotonic() - began) < seconds:
        due = int(passed * PER_SECOND) - done
        if due:
            line.submit([body(first + done + place) for place in range(due)])
            done += due
        if meanwhile:
            meanwhile(passed)
        threading.Event().wait(0.02)
    return first + done


def lateness(line: Pipeline, numbers: range, dead: set[str]) -> list[float]:
    """How long healthy reports took from accepted to delivered, the longest last."""
    records = (line.look(f"call-{number}").record for number in numbers if f"call-{number}" not in dead)
    found = [record for record in records if record]
    assert all(record.state is State.DELIVERED for record in found)
    return sorted((record.since_ms - record.accepted_ms) / 1000 for record in found)


def sends(roark: Sandbox) -> dict[str, int]:
    return {call: seen["received"] for call, seen in roark.calls().items()}


@pytest.mark.parametrize(
    "fault",
    [
        "403:calls=call-507",
        pytest.param("403:assistants=a-odd", marks=pytest.mark.sweep),
        pytest.param("401:assistants=a-odd", marks=pytest.mark.sweep),
    ],
)
def test_who_is_refused_alone_stops_nobody_and_dies_after_three_sends(line: Pipeline, fault: str) -> None:
    roark = line.start_sandbox("--latency-ms", "50", "--jitter-ms", "50", "--fail", fault)
    line.start_supervisor(2)

    with Watching(line) as seen:
        number = arrive(line, 40)
        line.wait_until_settled(60)

    bad = {f"call-{one}" for one in range(number) if one == 507 or (one % 50 == 7 and "assistants" in fault)}
    took = lateness(line, range(number), bad)
    sent = sends(roark)
    p99 = took[int(len(took) * 0.99)]
    print(
        f"{fault}: {number} reports, {len(bad)} always refused, healthy p50 {took[len(took) // 2]:.2f} s, "
        f"p99 {p99:.2f} s, slowest {took[-1]:.2f} s; held {seen.longest_hold:.1f} s at most, sends of a refused one "
        f"{max(sent[call] for call in bad)} at most"
    )
    assert line.count(State.DEAD) == len(bad)
    assert max(sent[call] for call in bad) <= 3
    assert p99 < 5
    assert seen.longest_hold <= 15
    for call in itertools.islice(bad, 3):
        story = tell(line.look(call), line.snapshot().lane)
        assert [step.event for step in story.steps] == ["refused", "refused", "buried"]
        assert story.steps[-1].status in {401, 403}
        assert story.steps[-1].message
        assert story.explanation
        assert "Other reports succeed with the same token" in story.explanation.what
    assert audit(line.ledger).holds


@pytest.mark.sweep
@pytest.mark.parametrize("status", [403, 401, 404])
def test_two_minutes_of_refusing_all_kill_nobody(line: Pipeline, status: int) -> None:
    roark = line.start_sandbox("--latency-ms", "50", "--jitter-ms", "50")
    line.start_supervisor(2)
    began = time.monotonic()
    refused_at_hold: list[int] = []
    changed: list[float] = []

    def refused() -> int:
        return int(roark.stats()["by_status"].get(str(status), 0))

    def turn(passed: float) -> None:
        if passed >= 10 and not changed:
            roark.behave(fail=[f"{status}:1"])
            changed.append(time.monotonic())
        if changed and not refused_at_hold and line.snapshot().lane.state == "held":
            refused_at_hold.append(refused())
        if passed >= 130 and len(changed) == 1:
            evidence = document(line.snapshot(), Pending(0, 0))["lane"]["evidence"]
            assert evidence["reasons"] == {f"http_{status}": pytest.approx(80, abs=79)}
            assert len(evidence["calls"]) == 3
            assert evidence["url"].startswith(roark.url)
            assert evidence["token_ends"] == "6789"
            roark.behave(fail=[])
            changed.append(time.monotonic())

    with Watching(line) as seen:
        number = arrive(line, 132, meanwhile=turn)
        waiting_since = changed[1]
        wait_until(lambda: line.count(State.DELIVERED) >= number - PER_SECOND, "what was held back is delivered", 60)
        ended = time.monotonic() - waiting_since
        line.wait_until_settled(60)

    held_after = next(at for at, state in seen.events if state == "held") - changed[0]
    print(
        f"{status} for two minutes: {number} reports in {changed[1] - began:.0f} s, held after {held_after:.2f} s and "
        f"{refused_at_hold[0]} refusals, {refused()} in all; delivered {ended:.1f} s after its end"
    )
    assert line.count(State.DEAD) == 0
    assert line.count(State.DELIVERED) == number
    assert refused_at_hold[0] <= 40
    assert ended <= 15
    assert audit(line.ledger).holds


def test_another_reason_is_told_while_the_lane_is_held(line: Pipeline) -> None:
    roark = line.start_sandbox("--fail", "403:1")
    line.start_supervisor(2)
    line.submit(body(number) for number in range(20))
    wait_until(lambda: line.snapshot().lane.reason.startswith("http_403"), "the lane is held for 403")

    roark.behave(fail=["401:1"])

    wait_until(lambda: line.snapshot().lane.reason.startswith("http_401"), "it is held for 401")
    assert line.snapshot().lane.state == "held"
    roark.behave(fail=[])
    line.wait_until_settled()
    assert (line.count(State.DELIVERED), line.count(State.DEAD)) == (20, 0)
