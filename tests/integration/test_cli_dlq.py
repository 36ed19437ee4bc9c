"""`roark-ingest dlq` on a real Valkey: look at dead letters, move them, carry them to another ledger."""

import csv
import hashlib
import json
import resource
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from commands import TRANSCRIPT, CommandLine, report
from servers import Server

from roark_ledger.packing import unpack


@pytest.fixture
def line(valkey: Server, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CommandLine]:
    # Neither a `.env` beside the repository nor this machine's settings may take part.
    monkeypatch.chdir(tmp_path)
    for name in ("ROARK_API_BEARER_TOKEN", "ROARK_BASE_URL", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    made = CommandLine(valkey.url, prefix, tmp_path)
    yield made
    made.ledger.close()


def test_dlq_list_goes_on_where_it_was_cut_whatever_comes_or_goes_meanwhile(line: CommandLine) -> None:
    line.bury_all("c-1", "c-2", "c-3")
    assert [letter["call_id"] for letter in line.run("dlq", "list", "--json").documents] == ["c-1", "c-2", "c-3"]
    first = line.run("dlq", "list", "--limit", "2")
    assert "The first 2 of 3." in first.stdout
    cursor = first.stderr.split("--cursor '")[1].split("'")[0]
    line.replay("c-1", "c-2")
    line.deliver("c-1")
    line.deliver("c-2")
    line.bury_all("c-4")
    rest = line.run("dlq", "list", "--json", "--limit", "2", "--cursor", cursor)
    (third,) = rest.documents
    assert (third["call_id"], third["reason"], third["status"], third["attempts"]) == ("c-3", "http_422", 422, 1)
    assert rest.stderr == ""


def test_dlq_list_cut_says_so_in_every_form_and_only_where_it_is(line: CommandLine) -> None:
    line.bury_all("c-1", "c-2")
    for form in ((), ("--json",), ("--csv",)):
        assert "There are more." in line.run("dlq", "list", "--limit", "1", *form).stderr
        assert line.run("dlq", "list", "--limit", "2", *form).stderr == ""
        assert line.run("dlq", "list", "--all", *form).stderr == ""


def test_dlq_list_prints_csv_that_no_spreadsheet_takes_for_a_formula(line: CommandLine) -> None:
    line.bury_all("c-1", message='=HYPERLINK("x"), "quoted"')
    head, row = csv.reader(line.run("dlq", "list", "--csv").stdout.splitlines())
    found = dict(zip(head, row, strict=True))
    assert (found["call_id"], found["status"], found["edited"]) == ("c-1", "422", "False")
    assert found["message"] == '\'=HYPERLINK("x"), "quoted"'


def test_dlq_list_chooses_by_everything_that_a_filter_knows(line: CommandLine) -> None:
    line.accept("c-1", properties=b'{"tenant":"acme"}', call={"id": "c-1", "assistantId": "A7"})
    line.bury("c-1", message="endedAt is before startedAt")
    line.bury_all("c-2", reason="http_400", status=400, message="other")

    def found(*options: str) -> list[str]:
        return [letter["call_id"] for letter in line.run("dlq", "list", "--json", *options).documents]

    group = line.run("dlq", "groups", "--json").documents[0]["group"]
    assert len(found("--group", group[:6])) == 1
    assert found("--assistant", "A7") == ["c-1"]
    assert found("--property", "tenant=acme") == found("--property", "tenant") == ["c-1"]
    assert found("--property", "tenant=other") == []
    assert found("--died-of", "http_4*") == ["c-1", "c-2"]
    assert found("--died-of", "http_400", "--died-of", "poison") == ["c-2"]
    assert found("--status", "4xx", "--since", "1h", "--attempts", "1..", "--audio", "none") == ["c-1", "c-2"]
    assert found("--until", "1h") == found("--attempts", "2..") == found("--edited") == []
    assert found("--text", "ENDEDAT") == found("--text", "acme") == ["c-1"]
    table = line.run("dlq", "list", "--text", "acme").stdout
    assert "1 dead letter matches (2 in total)." in table


@pytest.mark.parametrize(
    "arguments",
    [
        ("--status", "teapot"),
        ("--since", "yesterday"),
        ("--until", "25:00"),
        ("--attempts", "few"),
        ("--audio", "loud"),
        ("--audio-ends-within", "soon"),
        ("--cursor", "nonsense"),
        ("--json", "--csv"),
        ("--all", "--limit", "3"),
    ],
)
def test_dlq_list_refuses_what_it_cannot_read(line: CommandLine, arguments: tuple[str, ...]) -> None:
    ended = line.run("dlq", "list", *arguments)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert ended.stderr.startswith("roark-ingest: ")


def test_dlq_list_of_nothing_says_so(line: CommandLine) -> None:
    assert line.run("dlq", "list").stdout == "No dead letters.\n"
    assert line.run("dlq", "list", "--json").stdout == ""
    assert line.run("dlq", "groups").stdout == "No dead letters.\n"


def test_dlq_groups_folds_ids_and_numbers(line: CommandLine) -> None:
    line.bury_all("c-1", message="call 01a19b7d-46d4 took 812.5 s")
    line.bury_all("c-2", message="call 77fe0b7d-9a41 took 40 s")
    line.bury_all("c-3", reason="http_400", status=400, message="other")
    first, second = line.run("dlq", "groups", "--json").documents
    assert (first["count"], first["reason"], first["message"], first["example"]) == (
        2,
        "http_422",
        "call # took # s",
        "c-2",
    )
    assert (second["count"], second["reason"], second["first"]) == (1, "http_400", second["last"])
    assert first["explanation"]["side"] == "this report"


def test_dlq_show_prints_the_payload_only_when_it_is_asked_for(line: CommandLine) -> None:
    line.bury_all("c-1")
    assert TRANSCRIPT not in line.run("dlq", "show", "c-1").stdout
    assert line.run("dlq", "show", "c-1", "--payload").stdout.encode() == report("c-1") + b"\n"
    found = line.run("dlq", "show", "c-1", "--payload", "--json").document
    assert (found["state"], found["payload"]["transcript"]) == ("dead", TRANSCRIPT)


def test_dlq_show_of_a_live_report_points_to_why(line: CommandLine) -> None:
    line.accept("c-1")
    ended = line.run("dlq", "show", "c-1")
    assert ended.exit_code == 1
    assert "c-1 is not a dead letter, it is ready" in ended.stderr


def test_dlq_discard_asks_and_restore_brings_back(line: CommandLine) -> None:
    line.bury_all("c-1")
    assert line.run("dlq", "discard", "c-1").exit_code == 2
    assert line.run("dlq", "discard", "c-1", "--yes").exit_code == 0
    assert [letter["call_id"] for letter in line.run("dlq", "list", "--discarded", "--json").documents] == ["c-1"]
    assert line.run("dlq", "replay", "c-1").exit_code == 1
    assert line.run("dlq", "restore", "c-1").stdout == "1 report restored.\n"
    assert line.state("c-1") == "dead"


@pytest.mark.parametrize("name", ["dead.ndjson", "dead.ndjson.gz", "dead.ndjson.zst"])
def test_dead_letters_travel_to_another_ledger_byte_for_byte(
    line: CommandLine, valkey: Server, tmp_path: Path, name: str
) -> None:
    properties = b'{"tenant":"acme","big":123456789012345678901234567890}'
    line.accept("c-1", properties=properties, odd="\u2028")
    line.bury("c-1", message="bad")
    line.bury_all("c-2")
    exported = line.run("dlq", "export", name, "--json").document
    assert (exported["exported"], exported["left_out"]) == (2, 0)
    assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    there = CommandLine(valkey.url, f"{line.environment['ROARK_INGEST_PREFIX']}-there", tmp_path)
    assert [one["result"] for one in there.run("dlq", "import", name, "--json").documents] == ["accepted"] * 2
    assert unpack(there.entry("c-1").packed) == unpack(line.entry("c-1").packed)
    assert unpack(there.entry("c-1").packed).properties == properties
    assert [one["result"] for one in there.run("dlq", "import", name, "--json").documents] == ["duplicate"] * 2
    assert line.run("dlq", "import", name).exit_code == 0
    assert line.state("c-1") == "dead"
    there.ledger.close()


def test_dlq_export_replaces_no_file_unless_it_is_forced(line: CommandLine, tmp_path: Path) -> None:
    line.bury_all("c-1")
    (tmp_path / "dead.ndjson").write_text("mine")
    assert line.run("dlq", "export", "dead.ndjson").exit_code == 2
    assert (tmp_path / "dead.ndjson").read_text() == "mine"
    assert line.run("dlq", "export", "dead.ndjson", "--force").exit_code == 0
    letter, _ = (tmp_path / "dead.ndjson").read_bytes().splitlines()
    assert json.loads(letter)["payload"] == json.loads(report("c-1"))
    assert [path.name for path in tmp_path.iterdir()] == ["dead.ndjson"]


def test_dlq_export_to_standard_output_holds_nothing_but_letters(line: CommandLine) -> None:
    line.bury_all("c-1")
    ended = line.run("dlq", "export", "-", "--json")
    assert ended.document["call_id"] == "c-1"


def test_dlq_export_takes_those_that_are_chosen_and_says_so_in_the_manifest(line: CommandLine, tmp_path: Path) -> None:
    line.bury_all("c-1", "c-2")
    line.bury_all("c-3", reason="http_400", status=400)
    assert line.run("dlq", "export", "dead.ndjson", "--died-of", "http_422", "--json").document["exported"] == 2
    *letters, last = map(json.loads, (tmp_path / "dead.ndjson").read_bytes().splitlines())
    assert [letter["call_id"] for letter in letters] == ["c-1", "c-2"]
    manifest = last["manifest"]
    assert (manifest["letters"], manifest["left_out"], manifest["chosen"]) == (2, 0, "reasons http_422")
    assert manifest["sha256"] == hashlib.sha256(b"".join(lines(tmp_path)[:2])).hexdigest()


def lines(folder: Path) -> list[bytes]:
    return (folder / "dead.ndjson").read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda whole: whole[:2], "the manifest is missing"),
        (lambda whole: [whole[0], whole[2]], "the manifest lists 2 letters, but the file has 1"),
        (lambda whole: [whole[1], whole[0], whole[2]], "checksums differ"),
        (lambda whole: [*whole[:2], b'{"manifest":7}\n'], "its manifest cannot be read"),
        (lambda whole: [*whole[:2], whole[2].replace(b'"format":1', b'"format":9')], "its format is 9"),
    ],
)
def test_dlq_import_of_a_file_that_is_not_what_was_exported_fails_and_takes_what_it_can(
    line: CommandLine, valkey: Server, tmp_path: Path, spoil: Callable[[list[bytes]], list[bytes]], why: str
) -> None:
    line.bury_all("c-1", "c-2")
    line.run("dlq", "export", "dead.ndjson")
    (tmp_path / "dead.ndjson").write_bytes(b"".join(spoil(lines(tmp_path))))
    there = CommandLine(valkey.url, f"{line.environment['ROARK_INGEST_PREFIX']}-there", tmp_path)
    ended = there.run("dlq", "import", "dead.ndjson")
    assert (ended.exit_code, why in ended.stderr) == (1, True), ended.stderr
    assert there.run("dlq", "import", "dead.ndjson", "--partial").exit_code == 0
    there.ledger.close()


def test_dlq_import_takes_no_payload_that_was_changed_on_the_way(line: CommandLine, tmp_path: Path) -> None:
    line.bury_all("c-1")
    line.run("dlq", "export", "dead.ndjson")
    changed = (tmp_path / "dead.ndjson").read_bytes().replace(b"four two", b"four 2!!")
    (tmp_path / "dead.ndjson").write_bytes(changed)
    ended = line.run("dlq", "import", "dead.ndjson", "--partial")
    assert (ended.exit_code, "checksums differ" in ended.stderr) == (3, True)


def test_dlq_import_checks_a_file_without_handing_anything_in(
    line: CommandLine, valkey: Server, tmp_path: Path
) -> None:
    line.bury_all("c-1", "c-2")
    line.run("dlq", "export", "dead.ndjson.zst")
    there = CommandLine(valkey.url, f"{line.environment['ROARK_INGEST_PREFIX']}-there", tmp_path)
    checked = there.run("dlq", "import", "dead.ndjson.zst", "--check", "--json")
    assert (checked.exit_code, [one["result"] for one in checked.documents]) == (0, ["good", "good"])
    assert there.snapshot().total("accepted") == 0
    assert there.run("log", "list", "--json").documents == []
    there.ledger.close()


def test_dlq_export_of_an_edited_letter_holds_what_was_sent_beside_it(line: CommandLine, tmp_path: Path) -> None:
    line.bury_all("c-1")
    line.run("dlq", "edit", "c-1", "--set", "endedAt=2026-01-01T00:00:00Z", "--yes")
    line.run("dlq", "export", "dead.ndjson")
    letter = json.loads(lines(tmp_path)[0])
    assert letter["payload"]["endedAt"] == "2026-01-01T00:00:00Z"
    assert letter["original"] == json.loads(report("c-1"))
    assert line.run("dlq", "import", "dead.ndjson", "--check").exit_code == 0


def test_dlq_export_of_any_size_takes_constant_memory(line: CommandLine) -> None:
    def peak_of_export(name: str) -> int:
        export = line.process("dlq", "export", name)
        assert export.communicate(timeout=120)[1] == b""
        return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss

    for number in range(3):
        line.accept(f"c-{number}", noise=secrets.token_hex(200_000))
        line.bury(f"c-{number}")
    few_kb = peak_of_export("few.ndjson.zst")
    for number in range(3, 150):
        line.accept(f"c-{number}", noise=secrets.token_hex(200_000))
        line.bury(f"c-{number}")
    many_kb = peak_of_export("many.ndjson.zst")
    # 150 reports of 400 kB are 60 MB; three dozen packed ones are in hand at a time.
    assert many_kb - few_kb < 35_000


def test_dlq_import_of_something_else_is_told_by_line(line: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "wrong.ndjson").write_bytes(report("c-1") + b"\nnonsense\n")
    ended = line.run("dlq", "import", "wrong.ndjson")
    assert ended.exit_code == 3
    assert "wrong.ndjson:1: rejected: not an exported dead letter: payload: is missing" in ended.stderr
    assert "wrong.ndjson:2: rejected" in ended.stderr
    assert line.snapshot().rejected_kept == 0


def test_a_file_whose_manifest_was_forged_with_it_is_found_out_by_the_checksum(line: CommandLine) -> None:
    line.bury_all("c-1")
    exported = line.run("dlq", "export", "dead.ndjson.gz", "--json").document["sha256"]
    assert line.run("log", "list", "--action", "export", "--json").document["about"]["sha256"] == exported
    line.run("erase", "c-1", "--yes")
    line.bury_all("c-2")
    line.run("dlq", "export", "forged.ndjson")
    line.run("dlq", "discard", "c-2", "--yes")

    ended = line.run("dlq", "import", "forged.ndjson", "--sha256", exported)

    assert ended.exit_code == 1
    assert "checksum differs. Nothing was queued." in ended.stderr
    assert (
        line.run("dlq", "import", "dead.ndjson.gz", "--sha256", exported.upper(), "--json").document["result"]
        == "erased"
    )
    assert line.run("dlq", "import", "-", "--sha256", exported).exit_code == 2
