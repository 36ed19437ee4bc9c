"""`roark-ingest log` on a real Valkey: every operator's action is there, by name, and can be carried out."""

import csv
import getpass
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import PHONE, CommandLine
from servers import Server

from roark_ops.desk.rejected import RejectedBin


@pytest.fixture
def line(valkey: Server, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CommandLine]:
    monkeypatch.chdir(tmp_path)
    made = CommandLine(valkey.url, prefix, tmp_path)
    yield made
    made.ledger.close()


def actions(line: CommandLine, *options: str) -> list[tuple[str, str]]:
    return [(deed["action"], deed["by"]) for deed in line.run("log", "list", "--json", *options).documents]


def test_every_action_of_an_operator_is_in_the_log_by_name(line: CommandLine) -> None:
    line.bury_all("c-1", "c-2")
    line.run("enqueue", "--keep-rejected", stdin=b'{"type":"end-of-call-report"}')
    (entry,) = RejectedBin(line.ledger).entries()
    commands = (
        ("hold", "--reason", "the night"),
        ("resume",),
        ("dlq", "discard", "c-1", "--yes"),
        ("dlq", "restore", "c-1"),
        ("dlq", "replay", "c-1", "--yes"),
        ("dlq", "export", "dead.ndjson"),
        ("dlq", "import", "dead.ndjson"),
        ("audit", "--repair"),
        ("rejected", "retry", entry.digest),
        ("rejected", "discard", entry.digest, "--yes"),
    )
    for command in commands:
        line.run(*command, "--as", "ada")

    wanted = ["hold", "resume", "discard", "restore", "replay", "export", "import", "import", "repair"]
    assert actions(line) == [(name, "ada") for name in [*wanted, "rejected-retry", "rejected-discard"]]
    assert line.run("status", "--json").document["kept"]["log_lines"] == 11


def test_without_a_name_it_is_the_os_user(line: CommandLine) -> None:
    line.run("hold")

    assert actions(line) == [("hold", getpass.getuser())]


def test_the_list_is_filtered_and_ends_with_the_newest(line: CommandLine) -> None:
    line.bury_all("c-1", "c-2")
    line.run("hold", "--as", "ada")
    line.run("dlq", "discard", "c-1", "--yes", "--as", "bob")
    line.run("resume", "--as", "bob")

    assert actions(line, "--by", "bob") == [("discard", "bob"), ("resume", "bob")]
    assert actions(line, "--action", "hold") == [("hold", "ada")]
    assert actions(line, "--call", "c-1") == [("discard", "bob")]
    assert actions(line, "--limit", "1") == [("resume", "bob")]
    assert len(actions(line, "--since", "1h")) == 3
    assert actions(line, "--since", "2999-01-01") == []
    assert line.run("log", "list", "--since", "soon").exit_code == 2
    assert "There are older lines: --limit 10" in line.run("log", "list", "--limit", "1").stdout


def test_csv_and_the_table_tell_the_same(line: CommandLine) -> None:
    line.bury_all("c-1")
    line.run("hold", "--as", "=ada", "--reason", 'a "quoted", one')
    line.run("dlq", "discard", "c-1", "--yes", "--as", "ada")

    head, hold, discard = csv.reader(io.StringIO(line.run("log", "list", "--csv").stdout))

    assert head == ["at", "by", "action", "count", "reason", "calls", "about"]
    assert hold[1:5] == ["'=ada", "hold", "1", 'a "quoted", one']
    assert discard[5] == "c-1"
    assert 'a "quoted", one' in line.run("log", "list").stdout


def test_the_whole_log_is_exported_and_trimmed_on_purpose_only(line: CommandLine) -> None:
    for number in range(3):
        line.run("hold", "--reason", str(number), "--as", "ada")
    file = line.folder / "log.ndjson"

    assert line.run("log", "export", str(file), "--json").document["exported"] == 3
    assert [json.loads(one)["reason"] for one in file.read_text("utf-8").splitlines()] == ["0", "1", "2"]
    assert len(line.run("log", "export").documents) == 3
    assert line.run("log", "trim", "--before", "2999-01-01").exit_code == 2, "nobody can be asked"

    assert line.run("log", "trim", "--before", "2999-01-01", "--yes", "--as", "ada", "--json").document["removed"] == 3
    assert actions(line) == [("log-trim", "ada")]


def test_no_phone_number_gets_into_the_log(line: CommandLine) -> None:
    line.run("hold", "--reason", f"{PHONE} asked for it")

    assert PHONE not in line.run("log", "list", "--json").stdout
    assert b"5550101234" not in b"".join(
        value for _, fields in line.ledger.client.xrange(line.ledger.calls.keys.logbook) for value in fields.values()
    )
