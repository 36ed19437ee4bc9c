"""Retention as a person meets it: the tick announces it, `status` and `dlq list` say so, then it acts and is told."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clocks import Clock
from commands import CommandLine
from delivering import worker_settings
from servers import Server

from roark_ledger.ledger import Ledger
from roark_ledger.moves import watch
from roark_ledger.server.connection import connect
from roark_worker.upkeep.tick import Tick

HOUR_MS = 3_600_000


@pytest.fixture
def line(valkey: Server, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CommandLine]:
    monkeypatch.chdir(tmp_path)
    made = CommandLine(valkey.url, prefix, tmp_path)
    yield made
    made.ledger.close()


def tick(url: str, prefix: str, clock: Clock, **values: Any) -> None:
    ledger = Ledger(connect(url), prefix=prefix, clock=clock)
    settings = worker_settings(**values)
    Tick(ledger, settings, wake=lambda: True, is_draining=lambda: False, give_up=lambda: None).once()
    ledger.close()


def told(caplog: pytest.LogCaptureFixture, action: str) -> list[dict[str, Any]]:
    return [record.__dict__["fields"] for record in caplog.records if record.getMessage() == action]


def test_by_default_nothing_is_ever_removed(line: CommandLine, valkey: Server, prefix: str, clock: Clock) -> None:
    line.bury_all("c-1")
    clock.now_ms = line.snapshot().now_ms
    for _ in range(3):
        clock.advance(10 * 365 * 24 * HOUR_MS)
        tick(valkey.url, prefix, clock)

    assert line.state("c-1") == "dead"
    assert "keeps everything" in line.run("status").stdout
    assert line.run("status", "--json").document["retention"] == []


def test_it_is_announced_everywhere_before_it_acts(
    line: CommandLine, valkey: Server, prefix: str, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    # given a discarded report that is older than the setting which somebody makes now
    line.bury_all("c-1", "c-2")
    line.run("dlq", "discard", "c-1", "--yes")
    clock.now_ms = line.snapshot().now_ms
    rules = {"discarded_days": 0.001 / 86_400, "notice_hours": 0.5}

    # when a worker ticks
    with caplog.at_level(logging.INFO):
        tick(valkey.url, prefix, clock, **rules)

    # then it is announced, and nothing is gone
    (announced,) = told(caplog, "retention_announced")
    assert (announced["state"], announced["reports"]) == ("discarded", 1)
    status = line.run("status", "--json")
    (kept,) = status.document["retention"]
    assert (kept["state"], kept["expiring"], status.exit_code) == ("discarded", 1, 3)
    assert "1 discarded report will be permanently removed within 0.5 h" in line.run("status").stdout
    assert "will be permanently removed" in line.run("dlq", "list", "--discarded").stderr
    assert "will be removed" not in line.run("dlq", "list").stderr
    assert line.state("c-1") == "discarded"

    # and when the notice is over it goes, counted and told
    clock.advance(HOUR_MS // 2)
    with caplog.at_level(logging.INFO):
        tick(valkey.url, prefix, clock, **rules)
    assert told(caplog, "retention_removed") == [{"state": "discarded", "reports": 1}]
    assert line.ledger.run(watch.look("c-1")) is None
    assert line.run("status", "--json").document["states"]["expired"] == 1
    (deed,) = line.run("log", "list", "--action", "retention", "--json").documents
    assert (deed["by"], deed["calls"]) == ("retention", ["c-1"])
    assert line.run("audit").exit_code == 0


def test_a_discard_says_how_long_it_can_be_undone_and_is_undone(
    line: CommandLine, valkey: Server, prefix: str, clock: Clock
) -> None:
    line.bury_all("c-1", "c-2")
    told = line.run("dlq", "discard", "c-1", "--yes", "--as", "ada", "--reason", "a test call").stderr
    assert "You can restore them at any time: roark-ingest dlq restore" in told

    clock.now_ms = line.snapshot().now_ms
    tick(valkey.url, prefix, clock, discarded_days=30)
    assert "restore them for 30 d" in line.run("dlq", "discard", "c-2", "--yes").stderr

    assert line.run("dlq", "restore", "c-1", "c-2", "--as", "bob", "--reason", "it was none").exit_code == 0
    assert (line.state("c-1"), line.state("c-2")) == ("dead", "dead")
    first, *_, last = line.run("log", "list", "--json").documents
    assert (first["by"], first["action"], first["reason"]) == ("ada", "discard", "a test call")
    assert (last["by"], last["action"], last["reason"], last["calls"]) == (
        "bob",
        "restore",
        "it was none",
        ["c-1", "c-2"],
    )
    assert line.entry("c-1").history[-1].detail == {"by": "bob", "reason": "it was none"}


def test_the_report_of_an_unconfirmed_delivery_goes_announced_and_the_call_stays_delivered(
    line: CommandLine, valkey: Server, prefix: str, clock: Clock
) -> None:
    line.accept("c-1")
    line.deliver("c-1", "")
    clock.now_ms = line.snapshot().now_ms
    rules = {"unconfirmed_days": 0.001 / 86_400, "notice_hours": 0.5}
    clock.advance(HOUR_MS)

    tick(valkey.url, prefix, clock, **rules)

    assert line.entry("c-1").packed
    status = line.run("status")
    assert "reports of unconfirmed deliveries are dropped after" in status.stdout
    assert "1 unconfirmed report will be dropped within 0.5 h" in status.stdout
    for _ in range(2):
        clock.advance(HOUR_MS)
        tick(valkey.url, prefix, clock, **rules)
    assert not line.entry("c-1").packed
    assert line.state("c-1") == "delivered"
    story = line.run("why", "c-1").stdout
    assert "its report was dropped unconfirmed" in story
    assert "Roark has it" not in story


def test_where_delivered_reports_are_kept_those_of_unconfirmed_deliveries_are_kept_too(
    line: CommandLine, valkey: Server, prefix: str, clock: Clock
) -> None:
    line.accept("c-1")
    line.deliver("c-1", "")
    clock.now_ms = line.snapshot().now_ms
    for _ in range(4):
        clock.advance(HOUR_MS)
        tick(valkey.url, prefix, clock, unconfirmed_days=0.001 / 86_400, notice_hours=0.5, keep_payloads=True)

    assert line.entry("c-1").packed
    assert line.snapshot().unconfirmed == 1
