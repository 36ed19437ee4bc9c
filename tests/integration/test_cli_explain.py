"""`roark-ingest explain`, and the explanations that other commands show."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import PHONE, TRANSCRIPT, CommandLine
from servers import Server


@pytest.fixture
def line(valkey: Server, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CommandLine]:
    monkeypatch.chdir(tmp_path)
    made = CommandLine(valkey.url, prefix, tmp_path)
    yield made
    made.ledger.close()


def test_a_code_is_explained(line: CommandLine) -> None:
    told = line.run("explain", "http_422").stdout
    assert "Roark refused the report as invalid (422)." in told
    assert "Cause: this report. A replay won't help until the report is fixed" in told
    found = line.run("explain", "http_401", "--json").document
    assert (found["side"], found["replay"], found["condition"]) == ("our settings", "after", "the token is fixed")


def test_the_catalogue_holds_letters_holds_lanes_and_rejections(line: CommandLine) -> None:
    kinds = {entry["kind"] for entry in line.run("explain", "--list", "--json").documents}
    assert kinds == {"dead letter", "hold", "lane", "rejected"}
    told = line.run("explain", "--list").stdout
    assert "Why uploads are paused" in told
    assert "poison" in told


@pytest.mark.parametrize(("arguments", "code"), [((), 2), (("http_422", "--list"), 2), (("nonsense",), 1)])
def test_what_it_cannot_explain_it_says(line: CommandLine, arguments: tuple[str, ...], code: int) -> None:
    ended = line.run("explain", *arguments)
    assert ended.exit_code == code
    assert ended.stderr.startswith("roark-ingest: ")


def test_why_names_the_offending_field_and_what_stands_there(line: CommandLine) -> None:
    line.accept("c-1", endedAt="2026-01-31T10:00:00Z")
    line.bury("c-1", message="endedAt is before startedAt", parameter="message.endedAt")
    for command in (("why", "c-1"), ("dlq", "show", "c-1")):
        told = line.run(*command).stdout
        assert 'It names the field message.endedAt, which is "2026-01-31T10:00:00Z".' in told
        found = line.run(*command, "--json").document["explanation"]
        assert (found["field"], found["value"]) == ("message.endedAt", 'which is "2026-01-31T10:00:00Z"')
        assert (found["replay"], found["command"]) == ("no", "roark-ingest dlq edit c-1")


@pytest.mark.parametrize("field", ["transcript", "call.customer.number", "message.call.customer"])
def test_what_people_said_and_who_they_are_is_not_told(line: CommandLine, field: str) -> None:
    line.bury_all("c-1", message="is wrong", parameter=field)
    told = line.run("why", "c-1").stdout + line.run("why", "c-1", "--json").stdout
    assert field in told
    assert PHONE not in told
    assert TRANSCRIPT not in told


def test_a_rejected_report_is_explained_in_the_list(line: CommandLine) -> None:
    unusable = b'{"type":"end-of-call-report"}\nnonsense\n{"type":"end-of-call-report","call":{}}'
    line.run("enqueue", "--keep-rejected", stdin=unusable)
    told = line.run("rejected", "list").stdout
    assert "1 entry: The report names no call." in told
    assert "1 entry: It is not a JSON object" in told
    found = {one["field"]: one["explanation"] for one in line.run("rejected", "list", "--json").documents}
    assert found["call.id"]["command"].startswith("roark-ingest rejected show ")
    assert found["call"]["side"] == "Vapi, or whoever sent it"


def test_a_held_lane_is_explained_with_the_command_that_opens_it(line: CommandLine) -> None:
    line.accept("c-1")
    line.run("hold", "--reason", "maintenance", "--as", "ada")
    found = line.run("why", "c-1", "--json").document["next"]
    assert "ada paused uploads: maintenance." in found["what"]
    assert found["command"] == "roark-ingest resume"


def test_an_unknown_code_is_refused_first_with_what_was_likely_meant(line: CommandLine) -> None:
    ended = line.run("explain", "htp_400")

    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "does not know htp_400. Did you mean http_400" in ended.stderr
    assert line.run("explain", "zzz", "--json").stdout == ""
    assert line.run("explain", "http_499").exit_code == 0
