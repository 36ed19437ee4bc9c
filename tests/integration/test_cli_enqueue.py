"""`roark-ingest enqueue` on a real Valkey: every format, every result, and a Redis that goes away in the middle."""

import gzip
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard
from commands import PHONE, TRANSCRIPT, CommandLine, report
from servers import Server, running

from roark_ledger.packing import unpack

DEADLINE_SECONDS = 30.0


@pytest.fixture
def line(valkey: Server, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CommandLine]:
    monkeypatch.chdir(tmp_path)
    made = CommandLine(valkey.url, prefix, tmp_path)
    yield made
    made.ledger.close()


def accepted(line: CommandLine) -> int:
    return line.snapshot().total("accepted")


def hand_over(process: "subprocess.Popen[bytes]", name: str, number: int = 64) -> None:
    """Write a batch of reports to a running `enqueue --json`, and wait until it tells the last one's receipt."""
    assert process.stdin
    assert process.stdout
    process.stdin.write(b"".join(report(f"{name}-{n}") + b"\n" for n in range(number)))
    process.stdin.flush()
    for _ in range(number):
        assert json.loads(process.stdout.readline())["result"] == "accepted"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("one.json", report("c-1")),
        ("pretty.json", json.dumps(json.loads(report("c-1")), indent=2).encode()),
        ("wrapped.json", b'{"message":' + report("c-1") + b"}"),
        ("array.json", b"[" + report("c-1") + b"]"),
        ("lines.ndjson", report("c-1") + b"\n\n"),
        ("lines.ndjson.gz", gzip.compress(report("c-1") + b"\n")),
        ("array.json.zst", zstandard.compress(b"[" + report("c-1") + b"]")),
    ],
)
def test_a_file_of_any_format_is_handed_in_by_its_name(line: CommandLine, name: str, content: bytes) -> None:
    (line.folder / name).write_bytes(content)
    ended = line.run("enqueue", name, "--json")
    assert ended.exit_code == 0
    assert ended.document == {"call_id": "c-1", "result": "accepted", "reason": None, "file": name, "line": 1}
    assert json.loads(unpack(line.entry("c-1").packed).payload) == json.loads(report("c-1"))


def test_reports_reach_the_ledger_byte_for_byte(line: CommandLine) -> None:
    odd = report("c-1", big=1).replace(b'"big": 1', '"big": 12345678901234567890123.00, "u": "\u2028"'.encode())
    assert line.run("enqueue", stdin=b"[" + odd + b",\n" + odd.replace(b"c-1", b"c-2") + b"]").exit_code == 0
    assert unpack(line.entry("c-1").packed).payload == odd


def test_standard_input_is_read_when_no_file_is_named_and_for_a_dash(line: CommandLine) -> None:
    assert line.run("enqueue", "--json", stdin=report("c-1")).document["file"] == "stdin"
    assert line.run("enqueue", "-", "--json", stdin=report("c-1")).document["result"] == "duplicate"


def test_every_result_is_told_in_order_and_rejected_ones_end_with_3(line: CommandLine) -> None:
    line.accept("delivered")
    line.deliver("delivered")
    line.run("erase", "erased", "--yes")
    lines = [
        report("c-1"),
        report("c-1"),
        report("c-1", endedReason="hangup"),
        report("delivered", endedReason="hangup"),
        report("erased"),
        b'{"type":"status-update","status":"ringing"}',
        b'{"type":"end-of-call-report"}',
        b"nonsense",
        report("c-2"),
    ]
    ended = line.run("enqueue", "--json", stdin=b"\n".join(lines))
    assert ended.exit_code == 3
    assert [(one["line"], one["call_id"], one["result"]) for one in ended.documents] == [
        (1, "c-1", "accepted"),
        (2, "c-1", "duplicate"),
        (3, "c-1", "replaced"),
        (4, "delivered", "revision"),
        (5, "erased", "erased"),
        (6, None, "ignored"),
        (7, None, "rejected"),
        (8, None, "rejected"),
        (9, "c-2", "accepted"),
    ]
    assert ended.documents[6]["reason"] == "call: is missing"
    found = line.snapshot()
    assert (found.rejected_kept, found.total("rejected"), found.total("ignored")) == (0, 2, 1)
    assert found.total("accepted") == 3


def test_a_person_is_told_of_bad_lines_and_gets_a_summary(line: CommandLine) -> None:
    (line.folder / "reports.ndjson").write_bytes(report("c-1") + b"\n{\n" + report("c-2") + b"\n")
    ended = line.run("enqueue", "reports.ndjson")
    assert (ended.exit_code, ended.stdout) == (3, "")
    assert "reports.ndjson:2: rejected: body: is not valid JSON" in ended.stderr
    assert "3 read in" in ended.stderr
    assert "2  accepted" in ended.stderr
    assert "1  unusable (not kept; add --keep-rejected" in ended.stderr
    assert TRANSCRIPT not in ended.stderr
    assert PHONE not in ended.stderr


def test_a_file_full_of_bad_lines_does_not_flood_the_terminal(line: CommandLine) -> None:
    ended = line.run("enqueue", stdin=b"".join(b"bad %d\n" % number for number in range(200)))
    assert ended.stderr.count("rejected: ") == 20
    assert "200  unusable" in ended.stderr


def test_quiet_says_nothing_when_all_is_well(line: CommandLine) -> None:
    ended = line.run("enqueue", "--quiet", stdin=report("c-1"))
    assert (ended.exit_code, ended.stdout, ended.stderr) == (0, "", "")


def test_properties_are_kept_beside_the_report(line: CommandLine) -> None:
    line.run("enqueue", "--property", "source=back fill=1", "--property", "tenant=acme", stdin=report("c-1"))
    assert unpack(line.entry("c-1").packed).properties == b'{"source":"back fill=1","tenant":"acme"}'


@pytest.mark.parametrize("given", ["tenant", "Tenant=x", "=x", "a-b=x"])
def test_a_property_that_roark_would_not_take_is_a_usage_error(line: CommandLine, given: str) -> None:
    ended = line.run("enqueue", "--property", given, stdin=report("c-1"))
    assert (ended.exit_code, given in ended.stderr) == (2, True)
    assert accepted(line) == 0


@pytest.mark.parametrize(("name", "said"), [("none.json", "no such file"), (".", "directory")])
def test_a_file_that_cannot_be_read_ends_with_2_before_anything_is_handed_in(
    line: CommandLine, name: str, said: str
) -> None:
    (line.folder / "good.ndjson").write_bytes(report("c-1"))
    ended = line.run("enqueue", "good.ndjson", name)
    assert (ended.exit_code, said in ended.stderr) == (2, True)
    assert accepted(line) == 0


def test_a_packed_file_that_was_cut_short_gives_what_is_there_and_ends_with_1(line: CommandLine) -> None:
    whole = gzip.compress(b"".join(report(f"c-{n}", noise=os.urandom(500).hex()) + b"\n" for n in range(500)))
    (line.folder / "cut.ndjson.gz").write_bytes(whole[: len(whole) // 2])
    (line.folder / "good.ndjson").write_bytes(report("c-good"))
    ended = line.run("enqueue", "cut.ndjson.gz", "good.ndjson")
    assert ended.exit_code == 1
    assert "cut.ndjson.gz: the gzip file is damaged or truncated" in ended.stderr
    assert line.state("c-good") == "ready"
    assert 100 < accepted(line) < 501


def test_a_recording_that_was_named_by_mistake_does_not_fill_the_rejected_bin(line: CommandLine) -> None:
    (line.folder / "call.mp3").write_bytes(b"ID3\x04\x00\x00" + b"noise\n" * 5000)
    ended = line.run("enqueue", "call.mp3")
    assert ended.exit_code == 1
    assert "call.mp3: it is no UTF-8 text" in ended.stderr
    assert line.snapshot().rejected_kept == 0


def test_a_document_beyond_the_limit_is_rejected_and_the_rest_goes_on(line: CommandLine) -> None:
    long = report("c-1", noise="x" * 5000)
    ended = line.run("enqueue", "--json", stdin=long + b"\n" + report("c-2"), ROARK_INGEST_MAX_REPORT_BYTES="2000")
    assert [one["result"] for one in ended.documents] == ["rejected", "accepted"]
    assert "ROARK_INGEST_MAX_REPORT_BYTES is 2000" in ended.documents[0]["reason"]


def test_named_pipes_are_read(line: CommandLine) -> None:
    os.mkfifo(line.folder / "pipe")
    process = line.process("enqueue", "pipe", "--json")
    (line.folder / "pipe").write_bytes(report("c-1"))
    stdout, _ = process.communicate(timeout=DEADLINE_SECONDS)
    assert (process.returncode, json.loads(stdout)["result"]) == (0, "accepted")


@pytest.fixture
def mortal(tmp_path: Path, prefix: str) -> Iterator[tuple[Server, CommandLine]]:
    """A server that a test may kill."""
    with running() as server:
        line = CommandLine(server.url, prefix, tmp_path)
        yield server, line
        line.ledger.close()


def test_redis_may_go_away_in_the_middle_and_come_back(mortal: tuple[Server, CommandLine]) -> None:
    server, line = mortal
    process = line.process("enqueue", "--json", stdin=subprocess.PIPE)
    assert process.stdin
    assert process.stderr
    hand_over(process, "first")
    server.kill()
    process.stdin.write(b"".join(report(f"second-{n}") + b"\n" for n in range(64)))
    process.stdin.flush()
    said = process.stderr.readline()
    assert b"Redis is unreachable: " in said
    assert b"; retrying for 30 s" in said
    server.start()
    stdout, stderr = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 0
    assert b"Redis is back; continuing" in stderr
    assert [json.loads(told)["result"] for told in stdout.splitlines()] == ["accepted"] * 64
    assert accepted(line) == 128


def test_redis_that_stays_away_ends_with_1_and_the_number_that_is_stored(mortal: tuple[Server, CommandLine]) -> None:
    server, line = mortal
    process = line.process("enqueue", "--json", "--patience", "0.3", stdin=subprocess.PIPE)
    hand_over(process, "first")
    server.kill()
    _, stderr = process.communicate(report("c-1"), timeout=DEADLINE_SECONDS)
    assert process.returncode == 1
    assert b"64 documents stored so far. Run the same command again" in stderr
    assert b"Traceback" not in stderr


def test_a_reader_that_stops_reading_gets_no_traceback(line: CommandLine) -> None:
    (line.folder / "many.ndjson").write_bytes(b"".join(report(f"c-{n}") + b"\n" for n in range(2000)))
    process = line.process("enqueue", "many.ndjson", "--json")
    assert process.stdout
    assert process.stderr
    process.stdout.readline()
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait(DEADLINE_SECONDS) == 1
    assert b"Traceback" not in said
    assert b"BrokenPipe" not in said
    assert b"Run the same command again" in said


def test_ctrl_c_says_what_is_stored(line: CommandLine) -> None:
    process = line.process("enqueue", "--json", stdin=subprocess.PIPE)
    hand_over(process, "first")
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 130
    assert b"stopped. 64 documents stored so far." in stderr


def peak_memory_mb(line: CommandLine, name: str) -> float:
    """Hand a file in by a process of its own; return the most memory that it ever had."""
    process = line.process("enqueue", "--quiet", name, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss / 1024


@pytest.mark.parametrize(("before", "between", "behind"), [(b"", b"\n", b"\n"), (b"[", b",", b"]")])
def test_a_large_file_takes_no_more_memory_than_a_small_one(
    line: CommandLine, before: bytes, between: bytes, behind: bytes
) -> None:
    reports = [report(f"c-{n}", noise="x" * 60_000) for n in range(700)]
    (line.folder / "small").write_bytes(before + between.join(reports[:70]) + behind)
    (line.folder / "large").write_bytes(before + between.join(reports) + behind)
    assert (line.folder / "large").stat().st_size > 40_000_000
    small = peak_memory_mb(line, "small")
    assert peak_memory_mb(line, "large") < small + 10
    assert accepted(line) == 700
