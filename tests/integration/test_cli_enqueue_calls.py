"""`enqueue` takes Call objects of Vapi's API as a backfill: never over what is known, and without their secrets."""

import json
from pathlib import Path

import pytest
from call_objects import SECRET, call_object
from commands import CommandLine, report
from servers import Server

from roark_ledger.packing import unpack


@pytest.fixture
def line(valkey: Server, prefix: str, tmp_path: Path) -> CommandLine:
    made = CommandLine(valkey.url, prefix, tmp_path)
    made.environment["ROARK_INGEST_DURABILITY"] = "memory"
    return made


def test_calls_of_a_page_become_reports_and_known_ones_stay_what_they_are(line: CommandLine) -> None:
    line.accept("known")
    before = line.entry("known")
    page = [call_object("known"), call_object("new"), call_object("going-on", status="in-progress")]

    told = line.run("enqueue", "--json", "--property", "ticket=4711", "-", stdin=json.dumps(page).encode())

    assert [(one["call_id"], one["result"]) for one in told.documents] == [
        ("known", "duplicate"),
        ("new", "accepted"),
        (None, "rejected"),
    ]
    after = line.entry("known")
    assert (after.record, after.packed, after.history) == (before.record, before.packed, before.history)
    entry = line.entry("new")
    assert [(event.name, event.detail) for event in entry.history] == [("backfilled", {"source": "call-object"})]
    unpacked = unpack(entry.packed)
    assert json.loads(unpacked.properties) == {"ticket": "4711", "ingest_source": "backfill"}
    assert SECRET.encode() not in unpacked.payload
    assert line.snapshot().total("backfilled") == 1


def test_a_report_of_the_same_call_further_on_takes_the_calls_place(line: CommandLine) -> None:
    lines = b"\n".join([json.dumps(call_object("c-1")).encode(), report("c-1"), report("c-2")])

    told = line.run("enqueue", "--json", "-", stdin=lines)

    assert [one["result"] for one in told.documents] == ["accepted", "replaced", "accepted"]
    assert line.entry("c-1").history[-1].name == "replaced"


def test_calls_of_odd_shapes_become_reports_and_nothing_odd_ends_the_command(line: CommandLine) -> None:
    made = call_object("")
    whole = {
        "no-status": {name: value for name, value in made.items() if name != "status"},
        "null-status": made | {"status": None},
        "sends-reports": made | {"assistant": {"serverMessages": ["end-of-call-report"], "server": {"secret": SECRET}}},
        "null-content": made | {"artifact": None, "messages": None, "analysis": None},
        "wrong-kinds": made | {"artifact": "x", "analysis": [1], "customer": "+15550100124", "costs": "x", "cost": "1"},
        "odd-times": made | {"endedAt": "9999-12-31T23:59:59Z", "startedAt": 5, "createdAt": None, "type": "webCall"},
        "half-a-pair": made | {"endedReason": "x\ud83d"},
    }
    bodies = [json.dumps(call | {"id": name}).encode() for name, call in whole.items()]
    broken = [
        json.dumps(made | {"id": "a blank"}).encode(),
        json.dumps(made | {"id": None}).encode(),
        json.dumps(made | {"id": "going-on", "status": "in-progress"}).encode(),
        b'{"id":"latin","type":"webCall","status":"ended","name":"\xe9","createdAt":"2026-11-01T10:00:00Z"}',
        b'{"id":"nan","type":"webCall","status":"ended","cost":NaN,"createdAt":"2026-11-01T10:00:00Z"}',
        b'{"id":"deep","type":"webCall","status":"ended","squad":' + b'{"a":' * 500 + b'{"secret":1}' + b"}" * 501,
    ]

    told = line.run("enqueue", "--json", "-", stdin=b"\n".join([*bodies, *broken]))

    assert told.exit_code == 3
    assert [one["result"] for one in told.documents] == ["accepted"] * len(bodies) + ["rejected"] * len(broken)
    assert [one["call_id"] for one in told.documents[: len(bodies)]] == list(whole)
    assert line.snapshot().total("backfilled") == len(bodies)
    assert SECRET.encode() not in b"".join(unpack(line.entry(name).packed).payload for name in whole)
    assert SECRET not in told.stdout + told.stderr
    assert "15550100124" not in told.stdout + told.stderr


def test_an_erased_call_is_not_brought_back(line: CommandLine) -> None:
    line.accept("erased")
    assert line.run("erase", "erased", "--yes").exit_code == 0

    told = line.run("enqueue", "--json", "-", stdin=json.dumps([call_object("erased"), call_object("other")]).encode())

    assert [(one["call_id"], one["result"]) for one in told.documents] == [("erased", "erased"), ("other", "accepted")]
