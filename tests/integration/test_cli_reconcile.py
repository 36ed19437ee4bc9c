"""`roark-ingest reconcile`: the sum over all buckets, the missing calls, and how it ends."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from call_objects import call_object
from commands import CommandLine, Ended
from servers import Server

from roark_sandbox.options import SandboxOptions
from roark_sandbox.server import background
from roark_worker.calls.vapi import Vapi


@pytest.fixture
def line(valkey: Server, prefix: str, tmp_path: Path) -> CommandLine:
    return CommandLine(valkey.url, prefix, tmp_path)


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """That Vapi is asked twice a second at most is tested elsewhere, and no sandbox is anybody's Vapi."""
    monkeypatch.setitem(Vapi.__init__.__kwdefaults__, "gap_seconds", 0.01)


@pytest.fixture
def vapi() -> Iterator[httpx.Client]:
    with (
        background(SandboxOptions(port=0, vapi_key="right")) as url,
        httpx.Client(base_url=url, trust_env=False) as client,
    ):
        yield client


def put(vapi: httpx.Client, *call_ids: str, hours_ago: float = 1, **changes: Any) -> None:
    ended = datetime.now(UTC) - timedelta(hours=hours_ago)
    time = ended.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    calls = [
        call_object(call_id, createdAt=time, updatedAt=time, startedAt=time, endedAt=time) | changes
        for call_id in call_ids
    ]
    vapi.put("/_sandbox/vapi/calls", json=calls).raise_for_status()


def reconcile(line: CommandLine, vapi: httpx.Client, *arguments: str, key: str = "right") -> Ended:
    return line.run("reconcile", *arguments, VAPI_API_KEY=key, VAPI_BASE_URL=str(vapi.base_url))


def test_missing_calls_are_named_and_end_with_3(line: CommandLine, vapi: httpx.Client) -> None:
    line.accept("here")
    put(vapi, "here", "missing-1", "missing-2")

    told = reconcile(line, vapi)
    document = reconcile(line, vapi, "--json")

    assert (told.exit_code, document.exit_code) == (3, 3)
    assert "call missing-1 is missing" in told.stdout
    assert "--backfill" in told.stdout
    found = document.document
    assert (found["vapi"], found["missing"], found["backfilled"]) == (3, ["missing-1", "missing-2"], 0)
    assert set(found["buckets"]) == {
        *("delivered", "on_the_way", "dead", "discarded", "expired", "erased", "missing", "odd", "unrecoverable")
    }
    assert sum(found["buckets"].values()) == found["vapi"]
    assert {"since", "until"} <= found.keys()
    assert line.snapshot().reconciled


def test_status_tells_of_missing_calls_and_that_there_is_something_to_do(line: CommandLine, vapi: httpx.Client) -> None:
    assert "no worker has VAPI_API_KEY" in line.run("status").stdout
    put(vapi, "missing-1", "missing-2")
    reconcile(line, vapi)

    told, document = line.run("status"), line.run("status", "--json")

    assert (told.exit_code, document.exit_code) == (3, 3)
    assert "2 reports MISSING" in told.stdout
    assert "Next: roark-ingest reconcile" in told.stdout
    assert document.document["reconcile"]["missing"] == 2
    metrics = line.run("metrics").stdout
    assert "roark_ingest_vapi_calls_missing 2.0" in metrics
    reconcile(line, vapi, "--backfill")
    assert line.run("status", "--json").document["reconcile"]["missing"] == 0


def test_with_backfill_they_are_brought_in_and_the_logbook_says_by_whom(line: CommandLine, vapi: httpx.Client) -> None:
    put(vapi, "missing")

    brought_in = reconcile(line, vapi, "--backfill", "--as", "ada", "--json")
    after = reconcile(line, vapi)

    assert (brought_in.exit_code, after.exit_code) == (0, 0)
    assert brought_in.document["backfilled"] == 1
    assert brought_in.document["buckets"]["on_the_way"] == 1
    assert "No reports are missing." in after.stdout
    told = line.run("why", "missing").stdout
    assert "rebuilt from Vapi's list of calls" in told
    (deed,) = line.run("log", "list", "--json").documents
    assert (deed["action"], deed["by"]) == ("backfill", "ada")


def test_a_window_may_be_chosen(line: CommandLine, vapi: httpx.Client) -> None:
    put(vapi, "new", hours_ago=1)
    put(vapi, "old", hours_ago=50)

    assert reconcile(line, vapi, "--json").document["missing"] == ["new"]
    assert reconcile(line, vapi, "--since", "3d", "--json").document["missing"] == ["new", "old"]
    assert reconcile(line, vapi, "--since", "3d", "--until", "2d", "--json").document["missing"] == ["old"]
    assert reconcile(line, vapi, "--since", "1h", "--until", "2h").exit_code == 2


def test_further_back_than_vapi_keeps_calls_nothing_is_judged(line: CommandLine, vapi: httpx.Client) -> None:
    told = reconcile(line, vapi, "--since", "90d", "--json")

    assert told.exit_code == 0
    assert "14 days" in told.stderr
    since = datetime.fromisoformat(told.document["since"])
    assert datetime.now(UTC) - since < timedelta(days=14, minutes=1)


def test_what_could_not_be_read_ends_with_4_and_what_was_read_is_told(line: CommandLine, vapi: httpx.Client) -> None:
    put(vapi, "read", hours_ago=2.9)
    put(vapi, *(f"c{n:04}" for n in range(1001)), hours_ago=1)

    told = reconcile(line, vapi, "--since", "3h", "--json")

    assert told.exit_code == 4
    assert told.document["missing"] == ["read"]
    assert "same millisecond" in told.document["incomplete"]


def test_a_refused_key_says_what_to_set_and_never_the_key(line: CommandLine, vapi: httpx.Client) -> None:
    told = reconcile(line, vapi, key="wrong-key")

    assert told.exit_code == 4
    assert "Incomplete: " in told.stdout
    assert "VAPI_API_KEY" in told.stdout
    assert "Next: roark-ingest reconcile --since" in told.stdout
    assert "wrong-key" not in told.stdout + told.stderr


def test_without_a_key_it_says_where_to_get_one(line: CommandLine) -> None:
    told = line.run("reconcile")

    assert told.exit_code == 1
    assert "VAPI_API_KEY" in told.stderr


def test_only_named_assistants_are_expected(line: CommandLine, vapi: httpx.Client) -> None:
    put(vapi, "mine", assistantId="a-1")
    put(vapi, "other", assistantId="a-2")

    told = line.run(
        "reconcile",
        "--json",
        VAPI_API_KEY="right",
        VAPI_BASE_URL=str(vapi.base_url),
        ROARK_INGEST_RECONCILE_ASSISTANTS="a-1, a-3",
    )

    assert (told.document["missing"], told.document["vapi"]) == (["mine"], 1)


def at_roark(vapi: httpx.Client, call_id: str) -> str:
    """Upload a report to the sandbox; return what Roark's side named the call."""
    body = {"vapiEndOfCallReportPayload": {"type": "end-of-call-report", "call": {"id": call_id}}}
    answer = vapi.post("/v1/vapi/call", json=body, headers={"authorization": "Bearer any"})
    return str(answer.raise_for_status().json()["data"]["callId"])


def test_with_at_roark_each_delivered_call_is_looked_up_there(line: CommandLine, vapi: httpx.Client) -> None:
    roark = {"ROARK_BASE_URL": str(vapi.base_url), "ROARK_API_BEARER_TOKEN": "any"}
    line.environment |= roark
    put(vapi, "shown", "hidden", "unnamed")
    for call_id, named in (("shown", at_roark(vapi, "shown")), ("hidden", "no-such-call"), ("unnamed", "")):
        line.accept(call_id)
        line.deliver(call_id, named)

    trusting = reconcile(line, vapi, "--since", "2h", "--json")
    asking = reconcile(line, vapi, "--since", "2h", "--at-roark", "--json")
    told = reconcile(line, vapi, "--since", "2h", "--at-roark")
    line.environment |= {"ROARK_BASE_URL": "http://127.0.0.1:9"}
    away = reconcile(line, vapi, "--since", "2h", "--at-roark", "--json")

    assert (trusting.exit_code, asking.exit_code, told.exit_code, away.exit_code) == (0, 3, 3, 4)
    sums = {"vapi": 3, "here": 3, "delivered": 3, "agree": False}
    assert trusting.document["certificate"] == sums | {"roark": 2, "looked_up": False, "not_visible": 0}
    assert asking.document["certificate"] == sums | {"roark": 1, "looked_up": True, "not_visible": 1}
    assert asking.document["not_visible_at_roark"] == ["hidden"]
    assert "call hidden was delivered, but Roark does not show it" in told.stdout
    assert "The three sums do not agree" in told.stdout
    assert "unreachable" in away.document["roark_silent"]
    assert away.document["certificate"]["looked_up"] is False


def test_the_three_sums_agree_where_roark_shows_all(line: CommandLine, vapi: httpx.Client) -> None:
    line.environment |= {"ROARK_BASE_URL": str(vapi.base_url), "ROARK_API_BEARER_TOKEN": "any"}
    put(vapi, "shown")
    line.accept("shown")
    line.deliver("shown", at_roark(vapi, "shown"))

    told = reconcile(line, vapi, "--since", "2h", "--at-roark")

    assert (told.exit_code, "The three sums agree." in told.stdout) == (0, True)
