"""`roark-ingest dlq edit` on a real Valkey: mend a report, keep what was sent, show the difference, undo."""

import json
import os
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import PHONE, TRANSCRIPT, CommandLine
from pipeline import wait_until
from servers import Server

from roark_ledger.moves import delivery, intake
from roark_ledger.moves.intake import Acceptable
from roark_ledger.packing import pack, trace_of, unpack
from roark_ops.desk.dead_letters import DeadLetters
from roark_ops.mending.editing import edited, read_settings
from roark_producer.vapi.report import Report, read_message

TRACE = bytes(range(25))
ODD = (
    b'{"type":"end-of-call-report", "call":{"id":"c-1","customer":{"number":"+15550101234"}},\n'
    b' "big":12345678901234567890123, "tiny":1.50e-400, "odd":"\\ud800 \\u00e9 \xe2\x80\xa8 \\/", "z":1,"a":2,\n'
    b' "endedAt":"2026-01-01T00:00:00Z", "artifact":{"messages":[{"time":1.0},{"time":2.0}]}, "z":3 }'
)


@pytest.fixture
def line(valkey: Server, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CommandLine]:
    monkeypatch.chdir(tmp_path)
    for name in ("ROARK_API_BEARER_TOKEN", "ROARK_BASE_URL", "NO_COLOR", "FORCE_COLOR", "VISUAL", "EDITOR"):
        monkeypatch.delenv(name, raising=False)
    made = CommandLine(valkey.url, prefix, tmp_path)
    yield made
    made.ledger.close()


def bury_payload(line: CommandLine, payload: bytes, properties: bytes = b"") -> None:
    message = read_message(payload)
    assert isinstance(message, Report)
    one = Acceptable(message.call_id, message.fingerprint, pack(message.payload, properties, TRACE), message.expires_ms)
    line.ledger.run(intake.accept([one], revisions="record", per_wakeup=64))
    line.bury(message.call_id)


def payload(line: CommandLine, call_id: str = "c-1") -> bytes:
    return unpack(line.entry(call_id).packed).payload


def editor(folder: Path, program: str) -> str:
    """An editor that is a program: it is given the file's path as $1."""
    path = folder / "editor"
    path.write_text(f"#!/bin/sh\n{program}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_a_set_value_changes_its_place_and_no_other_byte(line: CommandLine) -> None:
    bury_payload(line, ODD, b'{"tenant":"acme"}')
    ended = line.run(
        "dlq", "edit", "c-1", "--yes", "--as", "ada", "--set", "message.endedAt=2026-02-02T00:00:00Z",
        "--set", "artifact.messages[1].time=98765432109876543210.5",
    )  # fmt: skip
    assert ended.exit_code == 0, ended.stderr
    expected = ODD.replace(b"2026-01-01", b"2026-02-02").replace(b"2.0", b"98765432109876543210.5")
    assert payload(line) == expected
    assert unpack(line.entry("c-1").packed).properties == b'{"tenant":"acme"}'
    assert trace_of(line.entry("c-1").packed) == TRACE
    assert unpack(line.entry("c-1").original).payload == ODD
    assert '- /endedAt  "2026-01-01T00:00:00Z"' in ended.stdout
    assert '+ /endedAt  "2026-02-02T00:00:00Z"' in ended.stdout
    assert "Next: roark-ingest dlq replay c-1" in ended.stdout
    assert line.state("c-1") == "dead"


def test_the_history_and_the_logbook_name_places_and_no_value(line: CommandLine) -> None:
    bury_payload(line, ODD)
    line.run("dlq", "edit", "c-1", "--yes", "--as", "ada", "--reason", "typo", "--set", "call.customer.number=+1555")
    event = line.entry("c-1").history[-1]
    assert (event.name, event.detail) == (
        "edited",
        {"by": "ada", "reason": "typo", "places": "/call/customer/number"},
    )
    (logged,) = [deed for deed in line.run("log", "list", "--json").documents if deed["action"] == "edit"]
    assert (logged["by"], logged["calls"]) == ("ada", ["c-1"])
    assert PHONE not in json.dumps(logged)


def test_why_and_show_say_that_it_was_edited_and_where(line: CommandLine) -> None:
    bury_payload(line, ODD)
    line.run("dlq", "edit", "c-1", "--yes", "--set", "z=4")
    for command in (("why", "c-1"), ("dlq", "show", "c-1")):
        told = line.run(*command).stdout
        assert "edited" in told
        assert "/z" in told
        assert "roark-ingest dlq edit --undo c-1" in told
        assert line.run(*command, "--json").document["edited"] == ["/z"]


def test_undo_brings_back_what_was_sent_to_the_byte(line: CommandLine) -> None:
    bury_payload(line, ODD)
    line.run("dlq", "edit", "c-1", "--yes", "--set", "z=4")
    line.run("dlq", "edit", "c-1", "--yes", "--set", "a=5")
    ended = line.run("dlq", "edit", "c-1", "--undo")
    assert (ended.exit_code, ended.stdout) == (0, "1 report restored to the original.\n")
    assert payload(line) == ODD
    assert line.entry("c-1").original == b""
    again = line.run("dlq", "edit", "c-1", "--undo")
    assert again.exit_code == 1
    assert "nothing to change" in again.stderr


def test_an_edited_report_is_uploaded_as_it_was_edited(line: CommandLine) -> None:
    bury_payload(line, ODD)
    line.run("dlq", "edit", "c-1", "--yes", "--set", "z=4")
    line.replay("c-1")
    claim = delivery.claim(wanted=1, lease_ms=1000, listen_ms=0, most_bytes=10**9)
    (claimed,) = line.ledger.run(claim).reports
    assert unpack(claimed.packed).payload == ODD.replace(b'"z":3', b'"z":4')


def test_the_editor_shows_the_report_over_lines_and_what_is_not_touched_stays_to_the_byte(
    line: CommandLine, tmp_path: Path
) -> None:
    bury_payload(line, ODD)
    program = f'cp "$1" {tmp_path}/seen; stat -c %a "$1" > {tmp_path}/mode; sed -i \'s/2026-01-01/2026-02-02/\' "$1"'
    ended = line.run("dlq", "edit", "c-1", "--yes", EDITOR=editor(tmp_path, program))
    assert ended.exit_code == 0, ended.stderr
    assert payload(line) == ODD.replace(b"2026-01-01", b"2026-02-02")
    assert b'\n  "big": 12345678901234567890123,\n' in (tmp_path / "seen").read_bytes()
    assert (tmp_path / "mode").read_text() == "600\n"


def test_an_editor_that_changes_nothing_or_leaves_no_json_changes_nothing(line: CommandLine, tmp_path: Path) -> None:
    bury_payload(line, ODD)
    ended = line.run("dlq", "edit", "c-1", EDITOR="true")
    assert (ended.exit_code, "nothing to change" in ended.stderr) == (1, True)
    ended = line.run("dlq", "edit", "c-1", EDITOR=editor(tmp_path, 'echo "{" > "$1"'))
    assert (ended.exit_code, "is not valid JSON" in ended.stderr) == (1, True)
    ended = line.run("dlq", "edit", "c-1", EDITOR="false")
    assert (ended.exit_code, "nothing was changed" in ended.stderr) == (1, True)
    ended = line.run("dlq", "edit", "c-1")
    assert (ended.exit_code, "set EDITOR" in ended.stderr) == (2, True)
    assert (payload(line), line.entry("c-1").original) == (ODD, b"")


def test_without_a_terminal_an_edit_wants_yes_and_shows_what_it_would_do(line: CommandLine) -> None:
    bury_payload(line, ODD)
    ended = line.run("dlq", "edit", "c-1", "--set", "z=4")
    assert ended.exit_code == 2
    assert "+ /z  4" in ended.stdout
    dry = line.run("dlq", "edit", "c-1", "--set", "z=4", "--dry-run")
    assert (dry.exit_code, "1 report would be edited." in dry.stdout) == (0, True)
    assert payload(line) == ODD


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ("call.id=c-2", "call.id cannot be edited"),
        ("type=chat", "does not look like a report"),
        ('type={"a":1}', "type: is not a string"),
        ("nowhere.at.all=1", "nothing at /nowhere"),
        ("artifact.messages[7]=1", "nothing at /artifact/messages/7"),
    ],
)
def test_what_would_be_no_report_of_the_call_is_refused(line: CommandLine, setting: str, why: str) -> None:
    bury_payload(line, ODD)
    ended = line.run("dlq", "edit", "c-1", "--yes", "--set", setting)
    assert ended.exit_code == 1
    assert why in ended.stderr
    assert (payload(line), line.entry("c-1").original) == (ODD, b"")


def test_a_patch_goes_over_a_whole_group_and_tells_of_those_that_it_does_not_fit(
    line: CommandLine, tmp_path: Path
) -> None:
    for number in range(40):
        line.accept(f"c-{number}", endedAt=None, call={"id": f"c-{number}", "assistantId": "A7"})
        line.bury(f"c-{number}", message="endedAt must be a time", parameter="endedAt")
    line.accept("odd", call={"id": "odd", "assistantId": "A7"})
    line.bury("odd", message="endedAt must be a time", parameter="endedAt")
    line.bury_all("other", reason="http_400")
    (tmp_path / "fix.json").write_text('[{"op":"replace","path":"/endedAt","value":"2026-01-01T00:00:00Z"}]')
    group = line.run("dlq", "groups", "--json").documents[0]["group"]

    ended = line.run("dlq", "edit", "--group", group, "--patch", "fix.json", "--yes")

    assert ended.exit_code == 1
    assert "40 reports edited." in ended.stdout
    assert "call odd: step 1 (replace): nothing at /endedAt" in ended.stderr
    found = {one["call_id"] for one in line.run("dlq", "list", "--edited", "--json").documents}
    assert found == {f"c-{number}" for number in range(40)}
    assert line.run("dlq", "edit", "--edited", "--undo", "--yes").stdout == "40 reports restored to the original.\n"


def test_each_report_of_a_group_is_changed_from_its_own_value(line: CommandLine) -> None:
    for number in range(5):
        line.accept(f"c-{number}", analysis={"score": f"{number}.50"})
        line.bury(f"c-{number}", message="analysis.score must be a number", parameter="analysis.score")
    line.accept("odd", analysis={"score": "high"})
    line.bury("odd", message="analysis.score must be a number", parameter="analysis.score")
    fix = ["--change", "number(analysis.score)", "--change", "copy(call.id, analysis.of)"]

    shown = line.run("dlq", "edit", "--all", *fix, "--dry-run", "--json").documents
    assert {one["call_id"]: one["changes"][0] for one in shown if one["changes"]} == {
        f"c-{number}": {
            "op": "replace",
            "path": "/analysis/score",
            "before": f"{number}.50",
            "after": number + 0.5,
        }
        for number in range(5)
    }
    asked = line.run("dlq", "edit", "--all", *fix)
    assert asked.stdout.count("- /analysis/score") == 3
    assert "5 reports would change, 1 cannot be changed like this." in asked.stdout
    assert "call odd: /analysis/score is a text that cannot become a number" in asked.stdout
    assert "high" not in asked.stdout + asked.stderr

    ended = line.run("dlq", "edit", "--all", *fix, "--yes")

    assert (ended.exit_code, "5 reports edited." in ended.stdout) == (1, True)
    assert b'"score": 3.50' in line.run("dlq", "show", "c-3", "--payload").stdout.encode()
    assert line.run("dlq", "edit", "c-1", "--change", "eval(x)").exit_code == 2


def test_the_difference_as_json_holds_the_values_to_the_digit(line: CommandLine) -> None:
    bury_payload(line, ODD)
    ended = line.run("dlq", "edit", "c-1", "--set", "big=99999999999999999999999", "--json")
    assert (
        '"changes":[{"op":"replace","path":"/big","before":12345678901234567890123,"after":99999999999999999999999}]'
    ) in ended.stdout
    assert ended.document["result"] == "edited"


def test_of_two_operators_who_edit_the_same_report_one_is_told(line: CommandLine) -> None:
    bury_payload(line, ODD)
    desk = DeadLetters(line.ledger, by="ben")
    seen = line.entry("c-1").packed
    slow = edited("c-1", seen, read_settings(["z=5"]))
    line.run("dlq", "edit", "c-1", "--yes", "--set", "z=4")
    assert desk.store(slow, seen).result == "changed"
    assert payload(line) == ODD.replace(b'"z":3', b'"z":4')


@pytest.mark.parametrize(
    "arguments",
    [
        ("--set", "z=1"),
        ("c-1", "--all", "--set", "z=1"),
        ("c-1", "--set", "z"),
        ("c-1", "--set", "=1"),
        ("c-1", "--undo", "--set", "z=1"),
        ("c-1", "--patch", "missing.json"),
        ("c-1", "c-2"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(line: CommandLine, arguments: tuple[str, ...]) -> None:
    line.bury_all("c-1", "c-2")
    ended = line.run("dlq", "edit", *arguments, "--yes")
    assert (ended.exit_code, ended.stdout) == (2, "")


def test_a_live_or_unknown_call_is_not_edited(line: CommandLine) -> None:
    line.accept("c-1")
    ended = line.run("dlq", "edit", "c-1", "c-0", "--set", "z=1", "--yes")
    assert ended.exit_code == 1
    assert "call c-1 is not a dead letter, it is ready." in ended.stderr
    assert "call c-0 is unknown." in ended.stderr


def test_nothing_of_a_report_is_left_behind_on_disk(line: CommandLine, tmp_path: Path) -> None:
    line.bury_all("c-1")
    folder = tmp_path / "data" / "edit"
    program = editor(tmp_path, f'test -s "$1" && echo "$1" > {tmp_path}/where; sed -i "s/four two/four three/" "$1"')
    ended = line.process("dlq", "edit", "c-1", "--yes", env={"EDITOR": program})
    ended.communicate(timeout=60)
    assert ended.returncode == 0
    assert (tmp_path / "where").read_text().startswith(str(folder))
    assert not folder.exists()
    assert TRANSCRIPT.encode() not in payload(line)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_signal_that_ends_an_edit_leaves_nothing_behind(
    line: CommandLine, tmp_path: Path, number: signal.Signals
) -> None:
    line.bury_all("c-1")
    program = editor(tmp_path, f'cp "$1" "$1~"; echo "$1" > {tmp_path}/where; exec sleep 60')
    command = line.process("dlq", "edit", "c-1", "--yes", env={"EDITOR": program})
    where = opened(tmp_path, command)
    command.send_signal(number)
    command.communicate(timeout=30)
    assert command.returncode == 128 + number
    assert not where.parent.exists()


def test_what_an_edit_that_was_killed_left_behind_is_removed_by_the_next_one_and_named(
    line: CommandLine, tmp_path: Path
) -> None:
    line.bury_all("c-1")
    program = editor(tmp_path, f'echo "$1" > {tmp_path}/where; exec sleep 60')
    killed = line.process("dlq", "edit", "c-1", "--yes", env={"EDITOR": program}, start_new_session=True)
    left = opened(tmp_path, killed).parent
    alive = line.process("dlq", "edit", "c-1", "--yes", env={"EDITOR": program}, start_new_session=True)
    other = opened(tmp_path, alive).parent
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    ended = line.run("dlq", "edit", "c-1", "--yes", EDITOR="true")
    assert f"Removed {left}, which an edit that was killed had left there." in ended.stderr
    assert not left.exists()
    assert other.exists(), "the one that is still being edited"
    os.killpg(alive.pid, signal.SIGTERM)
    alive.communicate()


def opened(folder: Path, command: "subprocess.Popen[bytes]") -> Path:
    note = folder / "where"
    wait_until(lambda: command.poll() is not None or (note.exists() and note.read_text()), "the editor is open")
    path = Path(note.read_text().strip())
    note.unlink()
    return path
