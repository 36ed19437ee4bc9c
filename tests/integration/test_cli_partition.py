"""`roark-ingest partition` on a real Valkey: what it refuses, what it shows, and that it is done once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import CommandLine
from partitioned import left_half_way
from servers import Server

from roark_ledger.moves import replay, upkeep
from roark_ledger.records.moving import STALLED_MS


@pytest.fixture
def line(valkey: Server, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CommandLine]:
    monkeypatch.chdir(tmp_path)
    made = CommandLine(valkey.url, prefix, tmp_path)
    yield made
    made.ledger.close()


def test_it_splits_the_ledger_and_everybody_goes_on_with_it(line: CommandLine) -> None:
    line.bury_all("c-1", "c-2")
    line.run("erase", "c-2", "--yes")

    shown = line.run("partition", "3", "--one-server", "--dry-run", "--json").document
    done = line.run("partition", "3", "--one-server", "--yes", "--as", "ada", "--json")

    assert shown == {"partitions": None, "moving_to": None, "calls": 1, "tombstones": 1, "in_the_way": []}
    assert (done.exit_code, done.document) == (
        0,
        {"partitions": 3, "moved": 1, "tombstones": 1, "left_over": 0, "holds": True},
    )
    assert line.run("dlq", "discard", "c-1", "--yes").exit_code == 0
    assert line.run("status", "--json").document["states"]["discarded"] == 1
    assert line.run("audit").exit_code == 0
    assert [deed["action"] for deed in line.run("log", "list", "--json").documents].count("partition") == 2


def test_again_it_says_so_and_changes_nothing(line: CommandLine) -> None:
    line.run("partition", "2", "--one-server", "--yes")

    again = line.run("partition", "2", "--one-server", "--yes")
    other = line.run("partition", "3", "--one-server", "--yes")

    assert (again.exit_code, again.stdout.strip()) == (0, "The ledger already has 2 partitions.")
    assert (other.exit_code, "that number stays" in other.stderr) == (1, True)


def test_what_is_in_the_way_is_named(line: CommandLine) -> None:
    line.ledger.run(replay.open_job(most_open=2))
    line.ledger.run(upkeep.note_crew("old@host", b'{"version":"0.1","token":"","settings":{}}'))

    refused = line.run("partition", "2", "--yes")

    assert refused.exit_code == 1
    for words in ("not on a cluster", "Replay jobs are open", "old@host (0.1)"):
        assert words in refused.stderr


def test_status_and_doctor_say_how_far_it_is_and_when_nobody_goes_on(line: CommandLine) -> None:
    line.bury_all("c-1", "c-2")
    assert line.run("status", "--json").document["split"] is None
    left_half_way(line.ledger, 3)

    under_way = line.run("status", "--json").document
    assert under_way["split"].pop("idle_seconds") < STALLED_MS / 1000
    assert under_way["split"] == {
        "partitions": 3,
        "calls_left": 2,
        "counted_twice": 0,
        "command": "roark-ingest partition 3",
    }
    assert "into 3 partitions: 2 calls still to be moved" in line.run("status").stdout
    assert not [todo for todo in under_way["todo"] if "partition" in todo["command"]]

    keys = line.ledger.calls.keys
    line.ledger.client.hincrby(keys.promises, "moving_at", -STALLED_MS)
    stalled = line.run("status", "--json").document
    assert "roark-ingest partition 3" in [todo["command"] for todo in stalled["todo"]]
    checks = {check["name"]: check for check in line.run("doctor", "--json").document["checks"]}
    assert checks["split"]["level"] == "WARN"

    assert line.run("partition", "3", "--yes").exit_code == 0
    assert line.run("status", "--json").document["split"] is None
