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
