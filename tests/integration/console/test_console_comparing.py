"""The comparison with Vapi's list, and the way in, started and switched on a page by the functions of the commands."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from call_objects import call_object
from commands import CommandLine
from console_pages import text
from consoles import ConsoleUnderTest, opened
from pipeline import wait_until

from roark_ops.console.access.roles import Role
from roark_ops.desk.comparing import OneComparison
from roark_sandbox.options import SandboxOptions
from roark_sandbox.server import background


@pytest.fixture
def vapi(monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    with (
        background(SandboxOptions(port=0, vapi_key="right")) as url,
        httpx.Client(base_url=url, trust_env=False) as client,
    ):
        monkeypatch.setenv("VAPI_API_KEY", "right")
        monkeypatch.setenv("VAPI_BASE_URL", url)
        yield client


def put(vapi: httpx.Client, *call_ids: str) -> None:
    """Have calls that ended at Vapi an hour ago."""
    time = (datetime.now(UTC) - timedelta(hours=1)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    calls = [call_object(each, createdAt=time, updatedAt=time, startedAt=time, endedAt=time) for each in call_ids]
    vapi.put("/_sandbox/vapi/calls", json=calls).raise_for_status()


def compared(console: ConsoleUnderTest) -> str:
    comparing = console.stage.comparing
    wait_until(lambda: bool(comparing.last and not comparing.last.is_running), "it is compared")
    return console.get("/receipts").text


def test_a_comparison_is_started_on_the_page_and_goes_on_without_it(
    line: CommandLine, vapi: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(vapi, "here", "missing-1", "missing-2")
    line.accept("here")
    go, started = threading.Event(), []
    run = OneComparison.run

    def slowly(self: OneComparison, *args: Any, **kwargs: Any) -> None:
        started.append(kwargs["by"]())
        go.wait(20)
        run(self, *args, **kwargs)

    monkeypatch.setattr(OneComparison, "run", slowly)
    with opened(line, add={"omar": Role.OPERATOR, "vera": Role.VIEWER}) as console:
        console.sign_in("omar")
        page = console.post("/receipts/compare", since="12h").text
        assert "Comparing with Vapi: 0 % of the time is done." in text(page)
        assert 'hx-get="/receipts?part=compared"' in page
        # one at a time, whoever presses
        assert "Started by omar" in text(console.post("/receipts/compare", since="7d").text)
        console.sign_in("vera")
        assert "Comparing with Vapi" in text(console.get("/receipts", part="compared").text)
        go.set()
        page = text(compared(console))
        assert started == ["omar"]
        assert "3 calls ended at Vapi, 2 missing here." in page
        assert "Missing: missing-1 missing-2" in page
        assert "3 Vapi: ended ≠ 1 here" in page
        assert "Rebuild" not in page
        console.sign_in("omar")
        assert "Rebuild 2 reports and queue them" in text(console.get("/receipts").text)


def test_missing_reports_are_brought_in_once_and_that_is_logged(
    line: CommandLine, vapi: httpx.Client, console: ConsoleUnderTest
) -> None:
    put(vapi, "missing-1", "missing-2")
    console.post("/receipts/compare", since="24h")
    compared(console)
    # another one that nobody was shown
    number = console.stage.comparing.last.number  # type: ignore[union-attr]
    for _ in range(2):
        console.post("/receipts/backfill", number=number, reason="webhook was down")
    assert "2 reports rebuilt from Vapi's list and queued." in text(compared(console))
    assert line.state("missing-1") == "ready"
    assert line.snapshot().total("accepted") == 2
    log = text(console.get("/log").text)
    assert log.count("webhook was down") == 1
    assert "tester backfill" in log
    assert console.post("/receipts/backfill", number=number + 7).status_code == 404


def test_a_comparison_that_cannot_begin_or_end_says_why(
    line: CommandLine, vapi: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(line) as console:
        answer = console.post("/receipts/compare", since="yesterdayish")
        assert answer.status_code == 422
        assert "not a valid time" in text(answer.text)
        monkeypatch.setenv("VAPI_API_KEY", "wrong")
        console.post("/receipts/compare")
        page = text(compared(console))
        assert "Incomplete: " in page
        assert "sums agree" not in page
        monkeypatch.delenv("ROARK_API_BEARER_TOKEN", raising=False)
        console.post("/receipts/compare", at_roark="1")
        assert "The comparison ended early." in text(compared(console))
    monkeypatch.delenv("VAPI_API_KEY")
    with opened(line) as console:
        assert "start the console with VAPI_API_KEY" in text(console.get("/receipts").text)
        console.post("/receipts/compare")
        assert "VAPI_API_KEY" in text(compared(console))


def test_the_way_in_is_switched_as_it_was_shown_and_once(line: CommandLine, console: ConsoleUnderTest) -> None:
    assert "No command sets one" in text(console.get("/uploads").text)
    for _ in range(2):
        page = console.post("/uploads/route", was="setting", way="call", reason="Roark says so").text
        assert "POST /v1/call for all workers" in text(page)
    assert line.snapshot().lane.route == "call"
    assert text(console.get("/log").text).count("Roark says so") == 1
    # what somebody else did meanwhile is not undone unseen
    assert console.post("/uploads/route", was="vapi", way="setting", reason="x").status_code == 404
    assert console.post("/uploads/route", was="call", way="setting", reason="").status_code == 404
    assert console.post("/uploads/route", was="call", way="both", reason="x").status_code == 404
    console.post("/uploads/route", was="call", way="setting", reason="over")
    assert line.snapshot().lane.route == ""
