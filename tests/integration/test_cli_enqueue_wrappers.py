"""`roark-ingest enqueue` with what databases, queues and logs make of reports, and with what is no report."""

import base64
import gzip
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import PHONE, TRANSCRIPT, CommandLine, report
from servers import Server

from roark_ledger.errors import InvalidReport
from roark_ledger.moves import watch
from roark_ledger.packing import unpack
from roark_ledger.records.snapshot import Snapshot
from roark_producer.settings import IngestSettings
from roark_producer.taking import Intake

CALL = {
    "id": "c-1", "orgId": "o", "type": "inboundPhoneCall", "status": "ended", "endedReason": "customer-ended-call",
    "createdAt": "2026-11-01T10:00:00Z", "endedAt": "2026-11-01T10:01:00Z", "customer": {"number": PHONE},
    "artifact": {"messages": [], "transcript": TRANSCRIPT}, "analysis": {},
}  # fmt: skip


@pytest.fixture
def line(valkey: Server, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CommandLine]:
    monkeypatch.chdir(tmp_path)
    made = CommandLine(valkey.url, prefix, tmp_path)
    yield made
    made.ledger.close()


def text(call_id: str) -> str:
    return wrapped(call_id).decode()


def wrapped(call_id: str) -> bytes:
    return b'{"message":' + report(call_id) + b"}"


def inner(call_id: str) -> Any:
    return json.loads(wrapped(call_id))


def base64_of(call_id: str) -> str:
    return base64.b64encode(wrapped(call_id)).decode()


def ndjson(*documents: Any) -> bytes:
    return b"".join(json.dumps(document).encode() + b"\n" for document in documents)


WRAPPERS: dict[str, tuple[str, bytes, str]] = {
    # at, content, place that is told without it
    "n8n": (
        "body", json.dumps([{"headers": {"x": "s"}, "body": inner(c)} for c in ("c-1", "c-2")], indent=2).encode(),
        ".body.message",
    ),
    "rows": ("payload", ndjson(*({"id": 1, "payload": inner(c)} for c in ("c-1", "c-2"))), ".payload.message"),
    "rows of text": ("payload", ndjson(*({"payload": text(c)} for c in ("c-1", "c-2"))), ".payload"),
    "Datadog": (
        "data[].attributes.message",
        json.dumps({"data": [{"type": "log", "attributes": {"message": text(c)}} for c in ("c-1", "c-2")]}).encode(),
        ".data[].attributes.message",
    ),
    "SQS": ("Records[].body", ndjson({"Records": [{"body": text(c)} for c in ("c-1", "c-2")]}), ".Records[].body"),
    "Kinesis": (
        "Records[].kinesis.data", ndjson({"Records": [{"kinesis": {"data": base64_of(c)}} for c in ("c-1", "c-2")]}),
        ".Records[].kinesis.data",
    ),
    "one behind the other": ("payload", b"".join(
        json.dumps({"payload": inner(c)}).encode() for c in ("c-1", "c-2")), ".payload.message"),
    "packed": ("json.p", gzip.compress(ndjson(*({"json": {"p": text(c)}} for c in ("c-1", "c-2")))), ".json.p"),
}  # fmt: skip


@pytest.mark.parametrize(("at", "content", "place"), WRAPPERS.values(), ids=WRAPPERS)
def test_a_report_is_taken_out_of_its_wrapper(line: CommandLine, at: str, content: bytes, place: str) -> None:
    (line.folder / "export").write_bytes(content)
    guess = line.run("enqueue", "export")
    assert guess.exit_code == 3
    assert f"an end-of-call report is at {place}" in guess.stderr
    assert f"roark-ingest enqueue --at '{place}' export" in guess.stderr.replace(f"--at {place} ", f"--at '{place}' ")
    assert line.snapshot().total("accepted") == 0
    ended = line.run("enqueue", "--at", at, "export", "--json")
    assert (ended.exit_code, [one["result"] for one in ended.documents]) == (0, ["accepted"] * 2)
    assert json.loads(unpack(line.entry("c-2").packed).payload) == json.loads(report("c-2"))
    again = line.run("enqueue", "--at", place, "export", "--json")
    assert [one["result"] for one in again.documents] == ["duplicate"] * 2


def test_a_table_with_json_in_a_column_is_taken_with_and_without_its_name(line: CommandLine) -> None:
    cells = [text(f"c-{number}").replace('"', '""') for number in range(3)]
    (line.folder / "export.csv").write_bytes(
        b"id,payload\r\n" + b"".join(f'{n},"{cell}"\r\n'.encode() for n, cell in enumerate(cells))
    )
    assert line.run("enqueue", "export.csv").exit_code == 0
    assert line.run("enqueue", "--at", "payload", "export.csv").exit_code == 0
    assert line.snapshot().total("accepted") == 3
    assert unpack(line.entry("c-2").packed).payload == report("c-2")


def test_where_nothing_stands_at_the_place_it_is_told_and_the_right_one_offered(line: CommandLine) -> None:
    ended = line.run("enqueue", "--at", "body", stdin=ndjson({"payload": inner("c-1")}) + report("c-2"))
    assert ended.exit_code == 3
    assert "2 documents had nothing at .body" in ended.stderr
    assert "enqueue --at .payload.message -" in ended.stderr
    assert line.state("c-2") == "ready"


@pytest.mark.parametrize("at", ["", "a[0]", "a..b", "a["])
def test_a_place_that_cannot_be_read_is_a_usage_error(line: CommandLine, at: str) -> None:
    assert line.run("enqueue", "--at", at, stdin=report("c-1")).exit_code == 2


def test_unusable_documents_are_told_with_line_and_column(line: CommandLine) -> None:
    ended = line.run("enqueue", "--json", stdin=report("c-1") + b'{"a":1}\n{"b":2}\n' + report("c-2") + b"nonsense")
    told = [(one["line"], one.get("column"), one["result"]) for one in ended.documents]
    at = len(report("c-1")) + 1
    assert told[:3] == [(1, None, "accepted"), (1, at, "rejected"), (2, None, "rejected")]
    assert f"stdin:1:{at}: rejected: type: is missing" in line.run("enqueue", stdin=report("c-1") + b'{"a":1}').stderr


def test_lines_of_a_wrong_file_leave_the_webhooks_only_copies_alone(
    line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROARK_INGEST_REJECTED_MAX", "5")
    monkeypatch.setattr("roark_producer.settings.is_constant", lambda field: False)
    intake = Intake(IngestSettings(_env_file=None, rejected_max=5))
    only_copy = '{"message":{"type":"end-of-call-report","call":{"id":"café 1"}}}'.encode()
    line.ledger.run(intake.rejection(only_copy, InvalidReport("call.id", "must be"), source="webhook"))
    wrong = ndjson(*({"id": n, "payload": {"message": inner(f"x{n}")["message"]}} for n in range(6)))
    for options in ((), ("--keep-rejected",)):
        ended = line.run("enqueue", *options, stdin=wrong)
        assert ended.exit_code == 3
        assert "stdin:6: rejected: type: is missing; an end-of-call report is at .payload.message" in ended.stderr
    rejected = line.run("rejected", "list", "--json").documents
    assert [one["source"] for one in rejected] == ["webhook", "cli", "cli", "cli", "cli"]
    assert line.run("rejected", "show", rejected[0]["entry"]).stdout.encode() == only_copy


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "contains no usable end-of-call report"),
        (b'{"message":{"type":"status-update"}}\n{"type":"hang"}', "contains no usable end-of-call report, only 2"),
        (b"[]", "contains no usable end-of-call report"),
        (b"{}", "contains no usable end-of-call report"),
    ],
)
def test_a_file_without_a_report_ends_with_3(line: CommandLine, content: bytes, said: str) -> None:
    (line.folder / "good").write_bytes(report("c-1"))
    (line.folder / "empty").write_bytes(content)
    ended = line.run("enqueue", "good", "empty")
    assert ended.exit_code == 3
    assert f"empty {said}" in ended.stderr
    assert "good holds" not in ended.stderr


@pytest.mark.parametrize("kind", ["", "End-Of-Call-Report", " end-of-call-report", "invoice.paid"])
def test_what_is_nearly_a_report_is_no_ignored_message(line: CommandLine, kind: str) -> None:
    document = json.dumps({"message": {"type": kind, "call": {"id": "c-1"}}}).encode()
    ended = line.run("enqueue", "--json", stdin=document)
    assert (ended.exit_code, ended.document["result"]) == (3, "rejected")


CALLS = {
    "one": json.dumps(CALL).encode(),
    "a list": json.dumps([CALL]).encode(),
    "one a line": ndjson(CALL),
    "an export's page": json.dumps({"results": [CALL], "metadata": {"total": 1}}).encode(),
}


@pytest.mark.parametrize("content", CALLS.values(), ids=CALLS)
def test_of_a_call_object_the_report_is_made(line: CommandLine, content: bytes) -> None:
    at = ("--at", "results[]") if b"results" in content else ()
    if at:
        assert (
            "a Call object of Vapi's API, not an end-of-call report, is at .results[]"
            in line.run("enqueue", stdin=content).stderr
        )
    ended = line.run("enqueue", *at, "--json", stdin=content)
    assert (ended.exit_code, ended.document["result"], ended.document["call_id"]) == (0, "accepted", "c-1")
    made = json.loads(unpack(line.entry("c-1").packed).payload)
    assert (made["type"], made["call"]["id"], made["artifact"]["transcript"]) == (
        "end-of-call-report", "c-1", TRANSCRIPT,
    )  # fmt: skip


def test_a_call_object_never_takes_the_place_of_a_report(line: CommandLine) -> None:
    line.accept("c-1", "c-2")
    line.deliver("c-1")
    ended = line.run("enqueue", "--json", stdin=ndjson(CALL, CALL | {"id": "c-2"}, CALL | {"id": "c-3"}))
    assert [one["result"] for one in ended.documents] == ["duplicate", "duplicate", "accepted"]
    assert unpack(line.entry("c-2").packed).payload == report("c-2")


def test_calls_and_reports_may_stand_in_one_file(line: CommandLine) -> None:
    content = report("r-1") + b"\n" + ndjson(CALL) + b"nonsense\n" + report("r-2")
    told = [(one["call_id"], one["result"]) for one in line.run("enqueue", "--json", stdin=content).documents]
    assert told == [("r-1", "accepted"), ("c-1", "accepted"), (None, "rejected"), ("r-2", "accepted")]


@pytest.mark.parametrize("status", ["queued", "in-progress", "ringing", "not-found"])
def test_of_a_call_that_has_not_ended_there_is_no_report(line: CommandLine, status: str) -> None:
    ended = line.run("enqueue", "--json", stdin=json.dumps(CALL | {"status": status}).encode())
    assert (ended.exit_code, ended.document["result"]) == (3, "rejected")
    assert "has not ended" in ended.document["reason"]


def test_a_call_that_was_erased_stays_so(line: CommandLine) -> None:
    line.accept("c-1")
    line.run("erase", "c-1", "--yes")
    assert line.run("enqueue", "--json", stdin=ndjson(CALL)).document["result"] == "erased"


def test_packed_standard_input_is_read(line: CommandLine) -> None:
    joined = gzip.compress(report("c-1")) + gzip.compress(report("c-2"))
    assert [one["result"] for one in line.run("enqueue", "--json", stdin=joined).documents] == ["accepted"] * 2


def test_an_archive_is_named_and_what_takes_it_apart(line: CommandLine) -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        entry = tarfile.TarInfo("a.json")
        entry.size = len(report("c-1"))
        tar.addfile(entry, io.BytesIO(report("c-1")))
    Path(line.folder, "reports.tar.gz").write_bytes(file.getvalue())
    ended = line.run("enqueue", "reports.tar.gz")
    assert ended.exit_code == 1
    assert "it is a tar archive. Queue its contents: tar -xOf reports.tar.gz | roark-ingest enqueue\n" in ended.stderr


def test_an_entry_of_the_bin_is_taken_out_of_its_wrapper(line: CommandLine) -> None:
    line.run("enqueue", "--keep-rejected", stdin=ndjson({"payload": inner("c-1")}, CALL | {"status": "queued"}))
    first, second = line.run("rejected", "list", "--json").documents
    entry = first if "report is at" in first["problem"] else second
    assert entry["explanation"]["command"] == f"roark-ingest rejected retry {entry['entry']} --at .payload.message"
    retried = line.run("rejected", "retry", entry["entry"], "--at", ".payload.message", "--json")
    assert (retried.exit_code, retried.document["result"]) == (0, "accepted")
    assert line.run("rejected", "retry", "--all", "--json").exit_code == 1
    assert line.snapshot().rejected_kept == 1


@pytest.mark.parametrize("body", [b"[%s,%s]", b"%s\n%s", b"%s%s"])
def test_an_entry_of_several_messages_is_retried_message_by_message(line: CommandLine, body: bytes) -> None:
    both = body % (report("c-1"), report("c-2"))
    intake = Intake(IngestSettings(_env_file=None))
    line.ledger.run(intake.rejection(both, InvalidReport("body", "is not a JSON object"), source="webhook"))
    assert line.run("rejected", "retry", "--all", "--json").document["result"] == "accepted"
    assert (line.state("c-1"), line.state("c-2")) == ("ready", "ready")
    assert line.snapshot().rejected_kept == 0


def test_status_and_doctor_tell_how_full_the_bin_is(line: CommandLine) -> None:
    intake = Intake(IngestSettings(_env_file=None, rejected_max=5))
    for number in range(4):
        line.ledger.run(intake.rejection(b"%d" % number, InvalidReport("body", "is not"), source="webhook"))
    status = line.run("status")
    assert "4 kept in the bin (80% full)" in status.stdout
    assert "The rejected bin is 80% full. When full, it drops the oldest entries" in status.stdout
    assert line.run("status", "--json").document["kept"]["rejected_full"] == 0.8
    checks = {check["name"]: check for check in line.run("doctor", "--json").document["checks"]}
    assert checks["rejected bin"]["level"] == "WARN"
    found: Snapshot = line.ledger.run(watch.snapshot())
    assert found.bin.filling


def test_a_packed_file_that_was_cut_short_is_named_and_what_is_there_is_taken(line: CommandLine) -> None:
    whole = gzip.compress(ndjson(*(json.loads(report(f"c-{number}")) for number in range(300))))
    Path(line.folder, "old.gz").write_bytes(whole[: len(whole) // 2])
    ended = line.run("enqueue", "old.gz")
    assert ended.exit_code == 1
    assert "old.gz: the gzip file is damaged or truncated" in ended.stderr
    assert "everything before that point was read" in ended.stderr
    assert line.snapshot().total("accepted") > 0


def test_lines_of_a_log_are_told_with_the_command_that_takes_the_reports_out(line: CommandLine) -> None:
    Path(line.folder, "web.log").write_bytes(b"2026-11-01 10:00:00 INFO body=" + report("c-1") + b"\n")
    ended = line.run("enqueue", "web.log")
    assert ended.exit_code == 3
    assert "text with an end-of-call report in the JSON from byte 31 on" in ended.stderr
    assert "sed 's/^[^{]*//' web.log | roark-ingest enqueue" in ended.stderr


def test_a_page_of_calls_is_taken_from_its_place(line: CommandLine) -> None:
    call = {"id": "c-1", "orgId": "o", "type": "webCall", "status": "ended", "endedReason": "x"}
    Path(line.folder, "page.json").write_text(json.dumps({"results": [call], "metadata": {}}))
    ended = line.run("enqueue", "page.json")
    assert (ended.exit_code, "roark-ingest enqueue --at '.results[]' page.json" in ended.stderr) == (3, True)
    assert line.run("enqueue", "--at", ".results[]", "page.json").exit_code == 0
    assert line.snapshot().total("backfilled") == 1
