"""Unconfirmed deliveries by the commands: which they are, what a replay would do, and what it does."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import CommandLine
from servers import Server

from roark_ledger.lifecycle import State
from roark_sandbox.options import SandboxOptions
from roark_sandbox.server import background


@pytest.fixture
def line(valkey: Server, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CommandLine]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ROARK_BASE_URL", raising=False)
    made = CommandLine(valkey.url, prefix, tmp_path)
    for call_id, named in (("c-1", ""), ("c-2", ""), ("c-3", "roark-3")):
        made.accept(call_id)
        made.deliver(call_id, named)
    made.accept("c-4")
    made.bury("c-4")
    yield made
    made.ledger.close()


def unconfirmed(line: CommandLine) -> list[str]:
    return [one["call_id"] for one in line.run("list", "--state", "unconfirmed", "--json").documents]


def test_the_list_has_them_with_the_filters_of_all_reports(line: CommandLine) -> None:
    assert sorted(unconfirmed(line)) == ["c-1", "c-2"]
    assert line.run("list", "--state", "unconfirmed", "--since", "1h", "--json").documents
    assert not line.run("list", "--state", "unconfirmed", "--until", "1h", "--json").documents


@pytest.mark.parametrize("chosen", [("c-1",), ("--unconfirmed",), ("c-1", "c-4")])
def test_a_dry_run_says_what_would_be_sent_again(line: CommandLine, chosen: tuple[str, ...]) -> None:
    told = line.run("dlq", "replay", *chosen, "--dry-run")

    assert told.exit_code == 0
    number = "2 unconfirmed reports" if chosen == ("--unconfirmed",) else "1 unconfirmed report"
    assert f"{number} would be sent again at once" in told.stdout
    assert ("1 dead letter to replay" in told.stdout) is ("c-4" in chosen)
    assert line.run("dlq", "replay", *chosen, "--dry-run", "--json").exit_code == 0
    assert sorted(unconfirmed(line)) == ["c-1", "c-2"]
    assert line.snapshot().states[State.READY] == 0


@pytest.mark.parametrize("chosen", [("c-1", "c-2"), ("--unconfirmed",), ("c-1", "c-2", "c-4")])
def test_they_are_rehearsed_as_dead_letters_are(line: CommandLine, chosen: tuple[str, ...]) -> None:
    with background(SandboxOptions(port=0)) as sandbox:
        told = line.run("dlq", "replay", *chosen, "--to", sandbox)

    assert told.exit_code == 0, told
    assert "unconfirmed  (group" in told.stdout
    assert "2  would be delivered" in told.stdout
    assert ("1  would be delivered" in told.stdout) is ("c-4" in chosen)
    assert sorted(unconfirmed(line)) == ["c-1", "c-2"]


def test_those_that_are_sent_again_are_ready_and_the_others_left_alone(line: CommandLine) -> None:
    assert line.run("dlq", "replay", "--unconfirmed", "--yes").exit_code == 0

    assert not unconfirmed(line)
    assert line.snapshot().states == {State.READY: 2, State.DELIVERED: 1, State.DEAD: 1, **_none(line)}


def _none(line: CommandLine) -> dict[State, int]:
    some = {State.READY, State.DELIVERED, State.DEAD}
    return {state: 0 for state in line.snapshot().states if state not in some}


def test_with_none_left_a_replay_of_the_unconfirmed_touches_no_dead_letter(line: CommandLine) -> None:
    assert line.run("dlq", "confirm", "--all", "--yes").exit_code == 0

    told = line.run("dlq", "replay", "--unconfirmed", "--yes")
    assert (told.exit_code, told.stdout) == (0, "No unconfirmed deliveries.\n")
    assert line.snapshot().states[State.DEAD] == 1


def test_to_confirm_needs_a_choice_and_says_where_to_find_one(line: CommandLine) -> None:
    told = line.run("dlq", "confirm")
    assert told.exit_code == 2
    assert "roark-ingest list --state unconfirmed" in told.stderr
