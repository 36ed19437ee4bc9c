"""`roark-ingest partition`, killed again and again while reports come in: each call is in one place, none twice."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from servers import Server, running

from roark_ledger.ids import CallId
from roark_ledger.lifecycle import State
from roark_ledger.moves import delivery, desk, intake, watch
from roark_ledger.moves.delivery import Bury, Defer, Deliver, Held
from roark_ledger.moves.intake import Acceptable, Result
from roark_ledger.packing import pack
from roark_ledger.partitions.ledger import PartedLedger
from roark_ledger.partitions.opening import open_ledger
from roark_worker.upkeep.audit import audit

pytestmark = pytest.mark.chaos
# A thousand are moved at once, and each kill waits for some: there must be enough for all of them.
CALLS, KILLS, PARTS, LEASE_MS = 8000, 5, 4, 600_000


@pytest.fixture
def server() -> Iterator[Server]:
    with running(appendonly="yes") as server:
        yield server


def accepted(ledger: PartedLedger, *call_ids: str) -> list[Result]:
    reports = [Acceptable(CallId(each), f"print-{each}", pack(b'{"id":"%b"}' % each.encode())) for each in call_ids]
    return list(ledger.run_durably(intake.accept(reports, revisions="record", per_wakeup=64)).results)


def claimed(ledger: PartedLedger, wanted: int) -> list[Held]:
    found: list[Held] = []
    while len(found) < wanted:
        claim = ledger.run(
            delivery.claim(wanted=min(100, wanted - len(found)), lease_ms=LEASE_MS, listen_ms=0, most_bytes=10**9)
        )
        found += [Held(report.call_id, report.token) for report in claim.reports]
    return found


def filled(ledger: PartedLedger) -> dict[str, str]:
    """Make calls of all states; return the state of each."""
    call_ids = [f"call-{number}" for number in range(CALLS)]
    for first in range(0, CALLS, 100):
        accepted(ledger, *call_ids[first : first + 100])
    held = claimed(ledger, CALLS - CALLS // 5)
    share = len(held) // 5
    ledger.run(
        delivery.deliver([Deliver(each, f"r-{each.call_id}", b"{}") for each in held[:share]], keep_payloads=False)
    )
    ledger.run(delivery.defer([Defer(each, 600_000, "status-503", b"{}") for each in held[share : 2 * share]]))
    ledger.run(delivery.bury([Bury(each, "status-422", b"{}") for each in held[2 * share : 4 * share]]))
    for each in held[3 * share : 4 * share]:
        ledger.run(desk.erase(each.call_id, who=b'{"by":"ada"}', key=bytes(64)))
    states = dict.fromkeys(call_ids, "ready")
    for state, some in zip(
        ("delivered", "waiting", "dead", "erased", "uploading"),
        (
            held[:share],
            held[share : 2 * share],
            held[2 * share : 3 * share],
            held[3 * share : 4 * share],
            held[4 * share :],
        ),
        strict=True,
    ):
        states |= {each.call_id: state for each in some}
    return states


class Intake(threading.Thread):
    """Takes new reports in until it is told to stop, and known ones again."""

    def __init__(self, ledger: PartedLedger, known: str) -> None:
        super().__init__(daemon=True)
        self.ledger, self.known, self.over = ledger, known, threading.Event()
        self.results: list[Result] = []
        self.known_ones: set[Result] = set()
        self.new: list[str] = []

    def run(self) -> None:
        while not self.over.is_set():
            call_id = f"new-{len(self.new)}"
            new, known = accepted(self.ledger, call_id, self.known)
            self.new.append(call_id)
            self.results.append(new)
            self.known_ones.add(known)


class Delivery(threading.Thread):
    """Delivers what is ready until it is told to stop, and counts how often each report was sent."""

    def __init__(self, ledger: PartedLedger) -> None:
        super().__init__(daemon=True)
        self.ledger, self.over = ledger, threading.Event()
        self.sent: Counter[str] = Counter()
        self.refused: list[str] = []

    def run(self) -> None:
        while not self.over.is_set() or self.any_ready():
            claim = self.ledger.run(delivery.claim(wanted=20, lease_ms=LEASE_MS, listen_ms=0, most_bytes=10**9))
            held = [Held(report.call_id, report.token) for report in claim.reports]
            self.sent.update(each.call_id for each in held)
            if held:
                outcomes = [Deliver(each, f"r-{each.call_id}", b"{}") for each in held]
                kept = self.ledger.run(delivery.deliver(outcomes, keep_payloads=False))
                self.refused += [each.call_id for each, is_kept in zip(held, kept, strict=False) if not is_kept]

    def any_ready(self) -> bool:
        return bool(self.ledger.run(watch.snapshot()).states[State.READY])


def start(server: Server, prefix: str) -> "subprocess.Popen[bytes]":
    env = {**os.environ, "ROARK_INGEST_REDIS_URL": server.url, "ROARK_INGEST_PREFIX": prefix}
    command = [sys.executable, "-m", "roark_ops.cli", "partition", str(PARTS), "--one-server", "--yes", "--json"]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_killed_again_and_again_all_calls_are_in_one_place_and_none_is_taken_twice(server: Server, prefix: str) -> None:
    ledger = open_ledger(server.url, prefix, after_write=("WAITAOF", 1, 0, 5000))
    states = filled(ledger)
    delivered = next(call_id for call_id, state in states.items() if state == "delivered")
    intake_thread = Intake(open_ledger(server.url, prefix, after_write=("WAITAOF", 1, 0, 5000)), delivered)
    delivering = Delivery(open_ledger(server.url, prefix))
    intake_thread.start()
    delivering.start()
    chance, killed_while = random.Random(4), []
    keys = ledger.home.calls.keys.promises

    def left() -> int:
        return int(ledger.client.hlen(f"{{{prefix}}}:v1:one:records"))

    for kill in range(KILLS):
        before, command = left(), start(server, prefix)
        while command.poll() is None and (left() == before if kill else not ledger.client.hexists(keys, "moving")):
            time.sleep(0.001)  # noqa: TID251 it is to be killed soon after
        time.sleep(chance.uniform(0, 0.02))  # noqa: TID251 … at any moment
        command.send_signal(signal.SIGKILL)
        command.communicate()
        killed_while.append(left())
    output, errors = start(server, prefix).communicate(timeout=120)
    intake_thread.over.set()
    intake_thread.join(20)
    delivering.over.set()
    delivering.join(60)

    assert b'"holds": true' in output or b'"holds":true' in output, (output, errors)
    assert set(intake_thread.results) == {Result.ACCEPTED}
    assert intake_thread.known_ones == {Result.DUPLICATE}
    assert not delivering.is_alive()
    assert set(delivering.sent.values()) == {1}
    assert delivering.refused == []
    assert len({each for each in killed_while if each}) > 1, killed_while
    now = open_ledger(server.url, prefix)
    assert audit(now, share=1.0).accounts.findings == ()
    assert {part.run(watch.snapshot()).balanced for part in now.parts} == {True}
    # What was ready, and what came since, went out meanwhile.
    went_out = {call_id for call_id, state in states.items() if state == "ready"} | set(intake_thread.new)
    assert set(delivering.sent) == went_out
    states |= dict.fromkeys(went_out, "delivered")
    for call_id, state in states.items():
        entry = now.run(watch.look(call_id))
        found = entry.record.state.value if entry and entry.record else "erased" if entry else "unknown"
        assert found == state, call_id
    by_state = {state: [call_id for call_id, of in states.items() if of == state] for state in set(states.values())}
    assert set(accepted(now, *by_state["delivered"][:1000])) == {Result.DUPLICATE}
    assert set(accepted(now, *by_state["erased"])) == {Result.ERASED}
    assert now.run(watch.snapshot()).total("accepted") == CALLS + len(intake_thread.new)
