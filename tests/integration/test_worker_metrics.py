"""The workers' `/metrics` with real processes: the sums over them are the ledger's, whoever dies."""

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from commands import CommandLine
from pipeline import CELERY_WORKER, Pipeline, Process, children_of, free_port, kill, wait_until
from prometheus_client.parser import text_string_to_metric_families
from servers import Server

from roark_ledger.lifecycle import State

REPORTS = 300


def bodies(number: int, first: int = 0) -> list[bytes]:
    return [
        json.dumps({"type": "end-of-call-report", "call": {"id": f"call-{n}"}, "transcript": "hello"}).encode()
        for n in range(first, first + number)
    ]


class Page:
    """One worker's `/metrics`."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/metrics"

    def text(self) -> str:
        return httpx.get(self.url, trust_env=False, timeout=30).raise_for_status().text

    def answers(self) -> bool:
        try:
            return bool(self.text())
        except httpx.TransportError:
            return False

    def total(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's samples that have these labels."""
        samples = [sample for family in text_string_to_metric_families(self.text()) for sample in family.samples]
        return sum(
            sample.value
            for sample in samples
            if sample.name == f"roark_ingest_{name}" and labels.items() <= sample.labels.items()
        )


@pytest.fixture
def line() -> Iterator[Pipeline]:
    with Pipeline() as line:
        yield line


def test_the_sums_over_two_processes_are_the_ledgers_and_survive_the_death_of_one(line: Pipeline) -> None:
    # given a Roark that refuses some, fails some, and is slow enough for both processes to have a part in it
    line.start_sandbox("--fail", "422:0.1", "--fail", "503:0.1", "--latency-ms", "20")
    port = free_port()
    page = Page(port)
    supervisor = line.start_supervisor(2, ROARK_INGEST_METRICS_PORT=str(port), ROARK_INGEST_MAX_IN_FLIGHT="4")
    wait_until(lambda: page.answers() and page.total("worker_processes") == 2, "two processes count")

    # when all is settled
    line.submit(bodies(REPORTS))
    line.wait_until_settled()

    # then the sums are what the ledger says
    delivered, dead = line.count(State.DELIVERED), line.count(State.DEAD)
    assert (delivered + dead, dead > 0) == (REPORTS, True)
    assert page.total("worker_settled_total", outcome="delivered") == delivered
    assert page.total("worker_settled_total", outcome="buried") == dead
    assert page.total("worker_delivery_seconds_count") == delivered
    assert page.total("worker_upload_seconds_count", result="delivered") == delivered
    assert page.total("worker_failed_attempts_total", reason="http_422") == dead
    deferred = page.total("worker_settled_total", outcome="deferred")
    assert page.total("worker_failed_attempts_total", fault="roark") == deferred > 0
    assert page.total("worker_claim_seconds_count") == REPORTS + deferred
    assert page.total("worker_in_flight_reports") == 0
    assert page.total("worker_in_flight_limit_reports") == 2 * 4
    assert page.total("reports", state="delivered") == delivered
    assert page.total("tick_age_seconds") < 60

    # and when one dies by kill -9, nothing that was counted goes with it
    kill(children_of(supervisor.pid)[0])
    wait_until(lambda: page.total("worker_restarts_total") == 1, "the loss is noticed")
    assert page.total("worker_settled_total", outcome="delivered") == delivered
    wait_until(lambda: page.total("worker_processes") == 2, "another one counts in its place")

    # and what the next ones do is added
    line.submit(bodies(50, first=REPORTS))
    line.wait_until_settled()
    assert page.total("worker_settled_total", outcome="delivered") == line.count(State.DELIVERED) > delivered
    assert not re.search(r"call-\d", page.text())
    supervisor.terminate()
    assert supervisor.exit_code() == 0
    assert not page.answers()


def plain(line: Pipeline, port: int, *options: str, **environment: str) -> Process:
    return line.start("worker", *CELERY_WORKER, *options, ROARK_INGEST_METRICS_PORT=str(port), **environment)


def test_a_plain_celery_worker_serves_its_own(line: Pipeline) -> None:
    line.start_sandbox()
    page = Page(free_port())
    worker = plain(line, httpx.URL(page.url).port or 0)
    wait_until(page.answers, "the page is served")
    line.submit(bodies(20))
    line.wait_for(State.DELIVERED, 20)
    wait_until(lambda: page.total("worker_settled_total", outcome="delivered") == 20, "all are counted")
    assert page.total("worker_processes") == 1
    worker.terminate()
    assert worker.exit_code() == 0


def test_plain_workers_in_one_folder_are_added_up_and_take_the_port_over(line: Pipeline) -> None:
    line.start_sandbox()
    page = Page(free_port())
    port, folder = httpx.URL(page.url).port or 0, str(line.folder / "metrics")
    names = ("-n", "one@test"), ("-n", "two@test")
    one, two = (plain(line, port, *name, ROARK_INGEST_METRICS_FOLDER=folder) for name in names)
    wait_until(lambda: page.answers() and page.total("worker_processes") == 2, "both count")
    line.submit(bodies(100))
    line.wait_for(State.DELIVERED, 100)
    wait_until(lambda: page.total("worker_settled_total", outcome="delivered") == 100, "all are counted")
    server = one if "metrics_served" in one.log else two
    server.kill()
    wait_until(lambda: page.answers() and page.total("worker_processes") == 1, "the other one serves")
    assert page.total("worker_settled_total", outcome="delivered") == 100


def test_preforks_children_count_each_by_itself(line: Pipeline) -> None:
    line.start_sandbox()
    page = Page(free_port())
    plain(line, httpx.URL(page.url).port or 0, "-P", "prefork", "-c", "2")
    wait_until(page.answers, "the page is served")
    line.submit(bodies(100))
    line.wait_for(State.DELIVERED, 100)
    wait_until(lambda: page.total("worker_settled_total", outcome="delivered") == 100, "all are counted")


def test_a_worker_whose_page_cannot_be_served_delivers_all_the_same(line: Pipeline) -> None:
    line.start_sandbox()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        worker = plain(line, taken.getsockname()[1])
        worker.wait_for_line("metrics_wait")
        line.submit(bodies(20))
        line.wait_for(State.DELIVERED, 20)
    worker.wait_for_line("metrics_served")


def test_a_worker_that_finds_no_place_to_count_in_delivers_all_the_same(line: Pipeline) -> None:
    line.start_sandbox()
    worker = plain(line, free_port(), ROARK_INGEST_METRICS_FOLDER="/dev/null/metrics")
    worker.wait_for_line("metrics_unshared")
    line.submit(bodies(20))
    line.wait_for(State.DELIVERED, 20)


def test_without_redis_the_page_says_so(line: Pipeline) -> None:
    line.start_sandbox()
    page = Page(free_port())
    plain(line, httpx.URL(page.url).port or 0)
    wait_until(lambda: page.answers() and page.total("ledger_up") == 1, "the ledger answers")
    line.valkey.stop()
    assert page.total("ledger_up") == 0
    assert "roark_ingest_reports" not in page.text()


def test_the_command_prints_the_ledgers_metrics_once(valkey: Server, prefix: str, tmp_path: Path) -> None:
    line = CommandLine(valkey.url, prefix, tmp_path)
    line.accept("call-1")
    told = line.run("metrics")
    assert told.exit_code == 0
    assert 'roark_ingest_reports{state="ready"} 1.0' in told.stdout
    assert "# HELP roark_ingest_past_due_seconds" in told.stdout
    found = line.run("metrics", "--json").document
    assert {"name": "roark_ingest_reports", "labels": {"state": "ready"}, "value": 1.0} in found[
        "roark_ingest_reports"
    ]["samples"]
    assert found["roark_ingest_audit_age_seconds"]["samples"][0]["value"] is None
    assert "call-1" not in told.stdout
    line.ledger.close()
