"""The pipeline from end to end, with real processes: what is handed in arrives, whoever is killed on the way."""

import asyncio
import hashlib
import json
import os
import signal
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from pipeline import CELERY_WORKER, QUICK, TOKEN, Pipeline, Process, Sandbox, children_of, kill, wait_until
from pyreqwest.compatibility.httpx import HttpxTransport
from replaying import replay_at_once

from roark_ledger.lifecycle import State
from roark_ledger.moves import desk
from roark_producer.taking import Receipt
from roark_samples import Sample, sample_reports

pytestmark = pytest.mark.acceptance

EX_CONFIG = 78
SHUTDOWN_BOUND_SECONDS = float(QUICK["ROARK_INGEST_SHUTDOWN_SECONDS"]) + 20


@dataclass
class Corpus:
    """Generated messages as Vapi sends them, and what must become of them."""

    samples: list[Sample] = field(default_factory=list)

    def bodies(self) -> list[bytes]:
        return [sample.body(wrap=True) for sample in self.samples]

    def reports(self) -> dict[str, list[Sample]]:
        """The usable reports, by call."""
        found: dict[str, list[Sample]] = defaultdict(list)
        for sample in self.samples:
            if sample.label != "other" and sample.call_id:
                found[sample.call_id].append(sample)
        return found

    def count(self, label: str) -> int:
        return sum(sample.label == label for sample in self.samples)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    """1 000 reports and as many other messages; one report in twenty comes with a second one of its call."""
    return Corpus(list(sample_reports(1000, mix=0.5, dup=0.05)))


@pytest.fixture(scope="module")
def small() -> list[bytes]:
    """400 reports without oddities and duplicates."""
    return [sample.body(wrap=True) for sample in sample_reports(400, odd=0, dup=0)]


@pytest.fixture
def line() -> Iterator[Pipeline]:
    with Pipeline() as line:
        yield line


def sha256(sample: Sample) -> str:
    return hashlib.sha256(sample.body(wrap=False)).hexdigest()


def call_ids(bodies: list[bytes]) -> list[str]:
    return [json.loads(body)["message"]["call"]["id"] for body in bodies]


def assert_that_all_arrived(corpus: Corpus, roark: Sandbox) -> None:
    """Every call is there, with the very bytes of one of its reports, and none was imported without need."""
    calls, reports = roark.calls(), corpus.reports()
    assert calls.keys() == reports.keys()
    for call_id, samples in reports.items():
        seen = calls[call_id]
        differ = any(sample.label == "dup:preliminary" for sample in samples)
        assert set(seen["sha256"]) <= set(map(sha256, samples)), call_id
        assert seen["imported"] == 1 or (differ and seen["imported"] == 2), (call_id, seen)
        assert seen["received"] == seen["imported"], (call_id, seen)


def assert_that_the_books_balance(line: Pipeline, delivered: int) -> None:
    snapshot = line.snapshot()
    assert snapshot.balanced, snapshot
    assert snapshot.states[State.DELIVERED] == delivered, snapshot
    assert snapshot.total("accepted") == delivered, snapshot


class TestTheWholeWay:
    def test_a_thousand_reports_from_python_arrive_exactly_once(self, line: Pipeline, corpus: Corpus) -> None:
        roark = line.start_sandbox()
        line.start_supervisor(2)

        receipts = line.submit(corpus.bodies())
        line.wait_until_settled()

        assert_that_all_arrived(corpus, roark)
        assert_that_the_books_balance(line, len(corpus.reports()))
        self.assert_that_the_newer_report_won(corpus, receipts, roark)
        results = Counter(receipt.result for receipt in receipts)
        assert results["accepted"] == len(corpus.reports())
        assert results["duplicate"] == corpus.count("dup:redelivery")
        assert results["replaced"] + results["revision"] == corpus.count("dup:final")
        self.assert_that_the_rest_is_counted(line, corpus)

    def test_a_thousand_reports_over_http_arrive_exactly_once(self, line: Pipeline, corpus: Corpus) -> None:
        roark = line.start_sandbox()
        line.start_supervisor(2)
        webhook = line.start("webhook", "-m", "roark_ops.cli", "webhook", "--port", "0")
        webhook.wait_for_line("webhook listening on")
        address = webhook.log.split("webhook listening on ")[1].split()[0]

        statuses = asyncio.run(post_all(address, corpus))
        line.wait_until_settled()

        assert_that_all_arrived(corpus, roark)
        assert_that_the_books_balance(line, len(corpus.reports()))
        assert statuses == {
            200: len(corpus.samples) - corpus.count("odd:no-call-id"),
            422: corpus.count("odd:no-call-id"),
        }
        webhook.terminate()
        assert webhook.exit_code() == 0
        self.assert_that_the_rest_is_counted(line, corpus)

    def assert_that_the_newer_report_won(self, corpus: Corpus, receipts: list[Receipt], roark: Sandbox) -> None:
        calls = roark.calls()
        for sample, receipt in zip(corpus.samples, receipts, strict=True):
            if sample.label == "dup:final" and receipt.result == "replaced":
                assert calls[str(sample.call_id)]["sha256"][-1] == sha256(sample)

    def assert_that_the_rest_is_counted(self, line: Pipeline, corpus: Corpus) -> None:
        snapshot = line.snapshot()
        assert snapshot.total("duplicates") == corpus.count("dup:redelivery")
        unknown = sum(sample.message["type"] == "some-future-type" for sample in corpus.samples)
        assert snapshot.total("ignored") == corpus.count("other") - unknown
        kept = corpus.count("odd:no-call-id") + unknown
        assert snapshot.total("rejected") == kept
        rejected = line.ledger.run(desk.rejected_page(first=0, most=kept + 1))
        assert len(rejected) == kept
        assert {one.field for one in rejected} == {"call.id", "type"}


async def post_all(address: str, corpus: Corpus) -> Counter[int]:
    """Post every message as Vapi does; reports of one call one after the other."""
    groups: dict[object, list[bytes]] = defaultdict(list)
    for number, sample in enumerate(corpus.samples):
        groups[sample.call_id if sample.label != "other" else number].append(sample.body(wrap=True))
    statuses: Counter[int] = Counter()
    gate = asyncio.Semaphore(32)
    async with httpx.AsyncClient(transport=HttpxTransport(), timeout=30) as client:

        async def post(bodies: list[bytes]) -> None:
            async with gate:
                for body in bodies:
                    answer = await client.post(address, content=body, headers={"content-type": "application/json"})
                    statuses[answer.status_code] += 1

        await asyncio.gather(*(post(bodies) for bodies in groups.values()))
    return statuses


class TestAnUpstreamThatFails:
    def test_with_503_and_429_everything_is_delivered_and_the_attempts_can_be_seen(
        self, line: Pipeline, small: list[bytes]
    ) -> None:
        roark = line.start_sandbox("--fail", "503:0.3", "--fail", "429:0.05:retry-after=0.5", "--seed", "1")
        line.start_worker(ROARK_INGEST_MAX_ATTEMPTS="50")

        # A lane that meets so many 429s slows down by itself, so there are not many.
        line.submit(small[:120])
        line.wait_until_settled(120)

        assert_that_the_books_balance(line, 120)
        stories = [line.look(call_id).history for call_id in call_ids(small[:120])]
        told = Counter(event.detail["status"] for story in stories for event in story if event.name == "deferred")
        answered = roark.stats()["by_status"]
        assert told == {503: answered["503"], 429: answered["429"]}
        waits = [event.detail for story in stories for event in story if event.detail.get("status") == 429]
        assert all(wait["retry_after"] == 0.5 and wait["next_seconds"] >= 0.5 for wait in waits)
        assert all(call["imported"] == 1 for call in roark.calls().values())

    def test_refused_reports_are_dead_letters_that_can_be_replayed_when_roark_is_mended(
        self, line: Pipeline, small: list[bytes]
    ) -> None:
        chosen = sorted(call_ids(small))[:7]
        roark = line.start_sandbox("--fail", f"400:calls={'+'.join(chosen)}:message=Recording is missing")
        line.start_worker()

        line.submit(small)
        line.wait_until_settled()

        # then exactly those are dead, with Roark's reason
        dead = line.ledger.run(desk.page(most=100)).letters
        assert sorted(letter.call_id for letter in dead) == chosen
        assert {(letter.last.detail["status"], letter.last.detail["message"]) for letter in dead if letter.last} == {
            (400, "Recording is missing")
        }
        assert line.count(State.DELIVERED) == len(small) - len(chosen)

        # and when Roark takes them and somebody sends them again, they are delivered
        roark.behave(fail=[])
        replay_at_once(line.ledger, chosen)
        line.wait_until_settled()
        assert_that_the_books_balance(line, len(small))
        assert all(call["imported"] == 1 for call in roark.calls().values())

    def test_a_wrong_token_holds_the_lane_until_the_file_is_mended(self, line: Pipeline, small: list[bytes]) -> None:
        file = line.folder / "token"
        file.write_text("wrong")
        roark = line.start_sandbox("--token", TOKEN)
        worker = line.start_worker(ROARK_API_BEARER_TOKEN="", ROARK_API_BEARER_TOKEN_FILE=str(file))

        line.submit(small)
        worker.wait_for_line("lane_held")
        wait_until(lambda: line.count(State.UPLOADING) == 0, "the first uploads are refused")
        refusals = roark.stats()["by_status"]["401"]
        wait_until(lambda: roark.stats()["by_status"]["401"] >= refusals + 2, "two probes")

        snapshot = line.snapshot()
        assert snapshot.lane.state == "held"
        assert "401" in snapshot.lane.reason
        assert snapshot.states[State.DEAD] == 0

        file.write_text(TOKEN + "\n")
        line.wait_until_settled()
        assert_that_the_books_balance(line, len(small))
        assert line.snapshot().lane.state == "open"
        assert "wrong" not in worker.log
        assert TOKEN not in worker.log


class TestAWorkerThatDies:
    def test_a_kill_in_mid_upload_loses_nothing_and_repeats_no_more_than_was_in_flight(
        self, line: Pipeline, small: list[bytes]
    ) -> None:
        roark = line.start_sandbox("--latency-ms", "150", "--no-dedup")
        victim, other = line.start_worker(), line.start_worker()
        line.submit(small)
        wait_until(lambda: roark.stats()["imported"] >= 50 and roark.stats()["in_flight"] >= 10, "uploads under way")

        victim.kill()
        in_flight = line.count(State.UPLOADING)
        line.wait_until_settled()

        assert other.runs
        assert_that_the_books_balance(line, len(small))
        imports = Counter(call["imported"] for call in roark.calls().values())
        assert imports.keys() <= {1, 2}
        assert imports[2] <= in_flight
        assert line.snapshot().states[State.DEAD] == 0

    def test_the_supervisor_starts_another_one(self, line: Pipeline, small: list[bytes]) -> None:
        roark = line.start_sandbox("--latency-ms", "50")
        supervisor = line.start_supervisor(1)
        (victim,) = children_of(supervisor.pid)
        line.submit(small)
        wait_until(lambda: roark.stats()["imported"] >= 50, "some uploads")

        kill(victim)
        line.wait_until_settled()

        assert_that_the_books_balance(line, len(small))
        assert children_of(supervisor.pid) not in ([], [victim])
        supervisor.terminate()
        assert supervisor.exit_code(SHUTDOWN_BOUND_SECONDS) == 0

    def test_a_worker_that_was_frozen_for_longer_than_its_lease_records_nothing_over_the_new_holder(
        self, line: Pipeline, small: list[bytes]
    ) -> None:
        roark = line.start_sandbox("--latency-ms", "300", "--no-dedup")
        frozen = line.start_worker(ROARK_INGEST_LEASE_SECONDS="1")
        line.submit(small)
        wait_until(lambda: roark.stats()["in_flight"] >= 10, "uploads under way")
        frozen.freeze()
        held = line.count(State.UPLOADING)

        # when another worker delivers everything, and the frozen one wakes up with its answers
        line.start_worker(ROARK_INGEST_LEASE_SECONDS="1")
        line.wait_until_settled()
        delivered = {call_id: line.look(call_id).record for call_id in call_ids(small)}
        frozen.thaw()
        frozen.wait_for_line("lease_lost")

        # then its outcomes change nothing
        frozen.terminate()
        assert frozen.exit_code(SHUTDOWN_BOUND_SECONDS) == 0
        assert {call_id: line.look(call_id).record for call_id in delivered} == delivered
        assert_that_the_books_balance(line, len(small))
        imports = Counter(call["imported"] for call in roark.calls().values())
        assert imports.keys() <= {1, 2}
        assert imports[2] <= held


class TestAWorkerThatIsStopped:
    @pytest.mark.parametrize("told_by", [signal.SIGTERM, signal.SIGHUP])
    def test_in_the_middle_of_a_backlog_it_exits_in_time_and_another_one_finishes(
        self, line: Pipeline, small: list[bytes], told_by: signal.Signals
    ) -> None:
        roark = line.start_sandbox("--latency-ms", "200")
        worker = line.start_worker()
        line.submit(small)
        wait_until(lambda: roark.stats()["in_flight"] >= 10, "uploads under way")

        os.kill(worker.pid, told_by)
        assert worker.exit_code(SHUTDOWN_BOUND_SECONDS) == 0

        # then nothing is left under a lease, and nothing was uploaded in vain
        states = line.snapshot().states
        assert states[State.UPLOADING] == 0
        assert states[State.READY] + states[State.DELIVERED] == len(small)
        assert states[State.READY] > 0
        line.start_worker()
        line.wait_until_settled()
        assert_that_the_books_balance(line, len(small))
        assert all(call["received"] == 1 for call in roark.calls().values())

    def test_uploads_that_hang_do_not_hold_it_up(self, line: Pipeline, small: list[bytes]) -> None:
        roark = line.start_sandbox("--fail", "timeout:1")
        worker = line.start_worker(ROARK_INGEST_SHUTDOWN_SECONDS="1")
        line.submit(small)
        wait_until(lambda: roark.stats()["in_flight"] >= 10, "uploads under way")

        worker.terminate()
        assert worker.exit_code(20) == 0

        states = line.snapshot().states
        assert states[State.UPLOADING] == 0
        assert states[State.READY] == len(small)

    @pytest.mark.parametrize("told_by", [signal.SIGTERM, signal.SIGHUP])
    def test_the_supervisor_ends_all_of_them(self, line: Pipeline, small: list[bytes], told_by: signal.Signals) -> None:
        line.start_sandbox("--latency-ms", "100")
        supervisor = line.start_supervisor(2)
        workers = children_of(supervisor.pid)
        line.submit(small)
        line.wait_for(State.DELIVERED, 20)

        os.kill(supervisor.pid, told_by)
        assert supervisor.exit_code(SHUTDOWN_BOUND_SECONDS) == 0

        assert len(workers) == 2
        assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
        assert line.count(State.UPLOADING) == 0


class TestARedisThatGoes:
    def test_killed_and_started_again_it_finds_all_reports_and_the_workers_resume_by_themselves(
        self, line: Pipeline, small: list[bytes]
    ) -> None:
        roark = line.start_sandbox("--latency-ms", "150")
        # So slowly that a busy machine does not have all uploaded before the server is killed.
        workers = [line.start_worker(ROARK_INGEST_RATE="80/s"), line.start_worker(ROARK_INGEST_RATE="80/s")]
        line.submit(small)
        wait_until(lambda: roark.stats()["imported"] >= 50, "some uploads")

        line.valkey.kill()
        wait_until(lambda: all("redis_away" in worker.log for worker in workers), "both have noticed")
        wait_until(lambda: roark.stats()["in_flight"] == 0, "uploads have ended")
        imported = roark.stats()["imported"]
        line.valkey.start()

        wait_until(lambda: roark.stats()["imported"] > imported, "uploads go on")
        line.wait_until_settled()
        assert all(worker.runs for worker in workers)
        assert_that_the_books_balance(line, len(small))
        assert all(call["imported"] == 1 for call in roark.calls().values())

    def test_a_worker_that_starts_before_it_waits_for_it(self, line: Pipeline, small: list[bytes]) -> None:
        line.start_sandbox()
        line.submit(small[:50])
        line.valkey.stop()
        worker = line.start("worker", *CELERY_WORKER)
        worker.wait_for_line("redis_away")

        line.valkey.start()

        line.wait_until_settled()
        assert_that_the_books_balance(line, 50)


REFUSALS: dict[str, tuple[dict[str, str], str]] = {
    "no token": (
        {"ROARK_API_BEARER_TOKEN": ""},
        "neither ROARK_API_BEARER_TOKEN nor ROARK_API_BEARER_TOKEN_FILE is set",
    ),
    "a token of two words": (
        {"ROARK_API_BEARER_TOKEN": "two words"},
        "ROARK_API_BEARER_TOKEN is not a valid header value",
    ),
    "a time that is none": ({"ROARK_INGEST_UPLOAD_SECONDS": "soon"}, "ROARK_INGEST_UPLOAD_SECONDS: "),
    "a token in the clear": ({"ROARK_BASE_URL": "http://roark.example.com"}, "ROARK_BASE_URL: "),
    "an unknown scheme": ({"ROARK_INGEST_REDIS_URL": "mailto:redis"}, "must start with redis://"),
    "no Redis": ({"ROARK_INGEST_REDIS_URL": ""}, "no Redis: ROARK_INGEST_REDIS_URL is not set"),
    "a broken promise": ({"ROARK_INGEST_DURABILITY": "replicated:1"}, "has 0 replicas; replicated:1 needs 1"),
}
SUPERVISED = """
import sys
from roark_ops.access import Access
from roark_worker.settings import WorkerSettings
from roark_worker.process.supervisor import Supervisor
sys.exit(Supervisor(WorkerSettings(), Access.from_env().ledger).run())
"""


@pytest.fixture(scope="module")
def refused() -> Iterator[dict[str, Process]]:
    """Workers whose settings cannot work, started together; one of them by the supervisor."""
    with Pipeline(ROARK_BASE_URL="http://127.0.0.1:9") as line:
        yield {
            **{what: line.start("worker", *CELERY_WORKER, **wrong) for what, (wrong, _) in REFUSALS.items()},
            "supervised": line.start(
                "supervisor", "-c", SUPERVISED, ROARK_API_BEARER_TOKEN="", ROARK_INGEST_PROCESSES="1"
            ),
        }


class TestAWorkerThatRefusesToStart:
    @pytest.mark.parametrize("what", REFUSALS)
    def test_over_a_setting_that_cannot_work_it_says_one_line_and_exits_with_78(
        self, refused: dict[str, Process], what: str
    ) -> None:
        worker, (_, reason) = refused[what], REFUSALS[what]

        assert worker.exit_code() == EX_CONFIG

        (said,) = [line for line in worker.log.splitlines() if line.strip()]
        assert "worker_refused" in said
        assert reason in said

    def test_the_supervisor_does_not_try_again(self, refused: dict[str, Process]) -> None:
        assert refused["supervised"].exit_code() == EX_CONFIG
        assert refused["supervised"].log.count("worker_refused") == 1

    def test_a_file_in_its_folder_is_none_of_its_modules(self) -> None:
        with Pipeline(ROARK_BASE_URL="http://127.0.0.1:9") as line:
            (line.folder / "http.py").write_text("raise SystemExit(1)")
            without_token = {"ROARK_API_BEARER_TOKEN": "", "ROARK_INGEST_PROCESSES": "1"}
            supervised = line.start("supervisor", "-P", "-c", SUPERVISED, **without_token)

            assert supervised.exit_code() == EX_CONFIG
            assert supervised.log.count("worker_refused") == 1


class TestWhatAWorkerSays:
    def test_its_log_is_one_json_object_a_line_without_payload_token_or_httpx(
        self, line: Pipeline, small: list[bytes]
    ) -> None:
        line.start_sandbox("--fail", "503:0.2")
        worker = line.start_worker(ROARK_INGEST_LOG_FORMAT="json", ROARK_INGEST_MAX_ATTEMPTS="50")
        line.submit(small[:100])
        line.wait_until_settled()

        worker.terminate()
        assert worker.exit_code(SHUTDOWN_BOUND_SECONDS) == 0

        lines = [line for line in worker.log.splitlines() if line.strip()]
        told: list[dict[str, Any]] = [
            json.loads(line) for line in lines if line != "worker: Warm shutdown (MainProcess)"
        ]
        assert {"worker_started", "deliver", "defer"} <= {entry.get("action") for entry in told}
        assert not any(entry["logger"].startswith(("httpx", "httpcore")) for entry in told)
        assert not any(entry["level"] in {"error", "critical"} for entry in told)
        assert TOKEN not in worker.log
        assert "+1555" not in worker.log
