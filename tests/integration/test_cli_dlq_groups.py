"""`roark-ingest dlq groups`: what the letters of a group have in common, and what changed before they died."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import CommandLine
from pydantic import SecretStr
from servers import Server

from roark_ledger.moves import delivery, upkeep, watch
from roark_producer.settings import IngestSettings
from roark_worker.settings import WorkerSettings
from roark_worker.upkeep.setup_notes import SetupNotes
from roark_worker.upload.roark import Token

SECRET = "rk-live-7f3a9c51"


@pytest.fixture
def line(valkey: Server, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CommandLine]:
    monkeypatch.chdir(tmp_path)
    for name in ("ROARK_API_BEARER_TOKEN", "ROARK_BASE_URL", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    made = CommandLine(valkey.url, prefix, tmp_path)
    yield made
    made.ledger.close()


def bury(line: CommandLine, call_id: str, assistant: str, *, properties: bytes = b"", **detail: object) -> None:
    line.accept(call_id, properties=properties, call={"id": call_id, "assistantId": assistant}, endedAt=None)
    line.bury(call_id, **detail)


def test_what_the_letters_of_a_group_have_in_common_is_told(line: CommandLine) -> None:
    for number in range(9):
        bury(line, f"c-{number}", "A7", properties=b'{"campaign":"spring"}', message=f"call {number} is wrong")
    bury(line, "c-9", "A1", properties=b'{"campaign":"spring","tenant":"x"}', message="call 9 is wrong")
    (group,) = line.run("dlq", "groups", "--json").documents
    assert group["count"] == 10
    assert [(one["what"], one["value"], one["count"]) for one in group["shared"]] == [
        ("assistant", "A7", 9),
        ("property campaign", "spring", 10),
    ]
    told = line.run("dlq", "groups").stdout
    assert "9 of 10 from assistant A7, since " in told
    assert "all with property campaign = spring, since " in told
    assert "10 reports in 1 group." in told


def test_the_field_is_told_with_the_value_of_the_example_and_a_command_for_the_whole_group(line: CommandLine) -> None:
    bury(line, "c-1", "A7", message="endedAt must be a time", parameter="endedAt")
    bury(line, "c-2", "A7", message="endedAt must be a time", parameter="endedAt")
    bury(line, "c-3", "A7", reason="exhausted", status=503)
    told = line.run("dlq", "groups").stdout
    assert "It names the field endedAt, which is null." in told
    name = line.run("dlq", "groups", "--json").documents[0]["group"]
    assert f"Next: roark-ingest dlq edit --group {name} --set endedAt=VALUE --dry-run" in told
    assert "1 of 1 from assistant A7" in told


def test_a_group_can_be_narrowed_by_a_filter(line: CommandLine) -> None:
    bury(line, "c-1", "A7", message="no")
    bury(line, "c-2", "A1", message="no")
    (group,) = line.run("dlq", "groups", "--json", "--assistant", "A1").documents
    assert (group["count"], group["example"]) == (1, "c-2")


def test_letters_whose_worker_died_are_grouped_by_the_assistant_in_the_report(line: CommandLine) -> None:
    for name in ("c-1", "c-2"):
        line.accept(name, call={"id": name, "assistantId": "A7"})
    line.ledger.run(delivery.claim(wanted=2, lease_ms=0, listen_ms=0, most_bytes=10**9))
    line.ledger.run(upkeep.reap(most=10, deaths=1))
    (group,) = line.run("dlq", "groups", "--json").documents
    assert (group["reason"], group["count"]) == ("poison", 2)
    assert group["shared"][0]["value"] == "A7"
    assert group["explanation"]["command"] == f"roark-ingest dlq replay --group {group['group']}"


def notes(line: CommandLine, token: str, **settings: object) -> SetupNotes:
    worker = WorkerSettings(ROARK_API_BEARER_TOKEN=token, **settings)
    return SetupNotes(line.ledger, Token(SecretStr(token)), worker, IngestSettings())


def test_what_changed_before_the_first_one_died_is_told(line: CommandLine) -> None:
    notes(line, SECRET).look()
    notes(line, "rk-live-new", upload_path="/v2/call").look()
    bury(line, "c-1", "A7", reason="http_400", status=400)
    told = line.run("dlq", "groups").stdout
    assert "Roark's token was changed" in told
    assert "ROARK_INGEST_UPLOAD_PATH: default → /v2/call" in told
    assert "workers started" in told
    changed = [one["what"] for one in line.run("dlq", "groups", "--json").documents[0]["changed"]]
    assert "Roark's token was changed" in changed


def test_the_note_holds_neither_the_token_nor_another_secret(
    line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROARK_INGEST_REDIS_URL", "redis://:hunter2hunter2@localhost/0")
    notes(line, SECRET).look()
    (kept,) = line.ledger.client.lrange(line.ledger.calls.keys.setups, 0, -1)
    assert SECRET.encode() not in kept
    assert b"hunter2" not in kept
    (setup,) = line.ledger.run(watch.setups())
    assert (setup.starts, len(setup.token)) == (1, 8)


def test_workers_that_start_again_and_again_push_nothing_out(line: CommandLine) -> None:
    for _ in range(5):
        notes(line, SECRET).look()
    (setup,) = line.ledger.run(watch.setups())
    assert setup.starts == 5
    for number in range(120):
        notes(line, f"token-{number}").look()
    kept = line.ledger.run(watch.setups())
    assert (len(kept), kept[-1].starts) == (100, 1)


def test_a_token_file_that_is_replaced_while_the_worker_runs_is_noted(line: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("first-token")
    noting = SetupNotes(line.ledger, Token(SecretStr("first-token"), path))
    noting.look()
    noting.look()
    path.write_text("second-token-which-is-longer")
    noting.look()
    first, second = line.ledger.run(watch.setups())
    assert (first.starts, second.starts) == (1, 0)
    assert first.token != second.token
