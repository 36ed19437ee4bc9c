"""The commands at a terminal and in pipes: progress, questions, narrow windows, readers that leave, Ctrl-C."""

import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import CommandLine, report
from servers import Server
from terminals import in_a_terminal

DEADLINE_SECONDS = 30.0

# The standard library warns of a fork in a process with threads; this child execs at once.
pytestmark = pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")


@pytest.fixture
def line(valkey: Server, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CommandLine]:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    made = CommandLine(valkey.url, prefix, tmp_path)
    yield made
    made.ledger.close()


def test_a_terminal_without_input_is_told_so(line: CommandLine) -> None:
    code, shown = in_a_terminal(line, "enqueue")
    assert code == 2
    assert "no FILE given, and standard input is a terminal" in shown


def test_a_terminal_shows_a_progress_bar(line: CommandLine) -> None:
    (line.folder / "many.ndjson").write_bytes(b"".join(report(f"c-{n}", noise="x" * 2000) + b"\n" for n in range(1000)))
    code, shown = in_a_terminal(line, "enqueue", "many.ndjson", columns=100)
    assert code == 0
    assert " read, " in shown
    assert "1000  accepted" in shown


def test_a_narrow_terminal_loses_no_part_of_an_id(line: CommandLine) -> None:
    call_id = "c-" + "0123456789" * 6
    line.bury_all(call_id, message="[bold]very[/bold] bad")
    for columns in (30, 60, 200):
        _, shown = in_a_terminal(line, "dlq", "list", columns=columns, NO_COLOR="1")
        assert call_id in shown
        assert "\x1b[3" not in shown
    assert "[bold]very[/bold] bad" in shown


@pytest.mark.parametrize(("typed", "code", "jobs"), [(b"y\n", 0, 1), (b"n\n", 1, 0)])
def test_a_person_is_asked_before_all_are_replayed(line: CommandLine, typed: bytes, code: int, jobs: int) -> None:
    line.bury_all("c-1", "c-2")
    ended, shown = in_a_terminal(line, "dlq", "replay", "--all", "--no-follow", typed=typed)
    assert "Replay 2 dead letters? [y/N]" in shown
    assert (ended, line.snapshot().replays.running) == (code, jobs)
    assert ("2 reports, starts in 5 s." in shown) == bool(jobs)


def test_a_replay_is_watched_in_a_terminal_to_its_end(line: CommandLine) -> None:
    line.bury_all("c-1")
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.05):
            if line.tick():
                line.deliver("c-1")

    worker = threading.Thread(target=work)
    worker.start()
    try:
        ended, shown = in_a_terminal(line, "dlq", "replay", "--all", "--yes", "--delay", "0", columns=100)
    finally:
        stop.set()
        worker.join()
    assert ended == 0
    assert "1/1" in shown
    assert "1, done" in shown


def test_ctrl_c_leaves_a_replay_to_the_workers_and_says_so(line: CommandLine) -> None:
    line.bury_all("c-1", "c-2")
    process = line.process("dlq", "replay", "--all", "--yes", "--follow")
    assert process.stderr
    assert b"0 of 2" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 130
    assert b"Replay job 1 continues without this terminal." in stderr
    assert line.snapshot().replays.running == 1


def test_status_watches_until_ctrl_c(line: CommandLine) -> None:
    process = line.process("status", "--watch", "--json")
    assert process.stdout
    assert json.loads(process.stdout.readline())["states"]["ready"] == 0
    line.accept("c-1")
    assert json.loads(process.stdout.readline())["states"]["ready"] == 1
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=DEADLINE_SECONDS)
    assert (process.returncode, stderr) == (0, b"")


@pytest.mark.parametrize(
    "arguments",
    [
        ["dlq", "list", "--json"],
        ["dlq", "list"],
        ["dlq", "list", "--csv"],
        ["dlq", "groups"],
        ["dlq", "export", "-"],
        ["explain", "--list"],
        ["--help"],
        ["why", "c-1"],
    ],
)
def test_a_reader_that_has_had_enough_gets_no_traceback(line: CommandLine, arguments: list[str]) -> None:
    line.bury_all(*(f"c-{number}" for number in range(50)), message="x" * 250)
    process = line.process(*arguments)
    assert process.stdout
    process.stdout.close()
    assert process.stderr
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(DEADLINE_SECONDS) in {0, 1}


def test_a_terminal_that_lacks_a_character_shows_something_else_instead(line: CommandLine) -> None:
    line.bury_all("c-1", message="caf\u00e9 \u2026")
    process = line.process("dlq", "show", "c-1", env={"PYTHONIOENCODING": "ascii"})
    stdout, stderr = process.communicate(timeout=DEADLINE_SECONDS)
    assert (process.returncode, stderr) == (0, b"")
    assert b"caf? ?" in stdout


def test_an_edit_at_a_terminal_shows_the_difference_and_asks(line: CommandLine) -> None:
    line.bury_all("c-1")
    for typed, code, edited in ((b"n\n", 1, 0), (b"y\n", 0, 1)):
        ended, shown = in_a_terminal(
            line, "dlq", "edit", "c-1", "--set", "call.customer.name=Ada", columns=40, typed=typed, NO_COLOR="1"
        )
        assert '+ /call/customer/name  "Ada"' in shown
        assert "Edit 1 dead letter? [y/N]" in shown
        assert "\x1b[3" not in shown
        assert (ended, line.snapshot().total("edited")) == (code, edited)


def test_an_editor_that_leaves_no_json_may_be_opened_again(line: CommandLine) -> None:
    line.bury_all("c-1")
    program = line.folder / "editor"
    # It spoils the report the first time, and mends it the second.
    program.write_text(
        '#!/bin/sh\nif [ -e again ]; then cp good "$1"; sed -i "s/four two/four three/" "$1"; '
        'else cp "$1" good; touch again; echo "{" > "$1"; fi\n'
    )
    program.chmod(0o700)
    ended, shown = in_a_terminal(line, "dlq", "edit", "c-1", typed=b"y\ny\n", EDITOR=str(program))
    assert "is not valid JSON" in shown
    assert "Keep editing? [Y/n]" in shown
    assert (ended, line.snapshot().total("edited")) == (0, 1)


def test_groups_in_a_narrow_terminal_keep_what_is_to_be_copied(line: CommandLine) -> None:
    line.bury_all("c-1", "c-2", message="endedAt must be a time", parameter="endedAt")
    name = line.run("dlq", "groups", "--json").document["group"]
    _, shown = in_a_terminal(line, "dlq", "groups", columns=30, NO_COLOR="1")
    assert f"roark-ingest dlq edit --group {name} --set endedAt=VALUE --dry-run" in shown


def test_colors_are_for_terminals_and_for_those_who_want_them(line: CommandLine) -> None:
    line.bury_all("c-1")
    _, colored = in_a_terminal(line, "status")
    _, plain = in_a_terminal(line, "status", NO_COLOR="1")
    assert "\x1b[1;33m" in colored
    assert "\x1b[1;33m" not in plain
    assert "\x1b" not in line.run("status").stdout


def test_commands_follow_each_other_in_a_pipe(line: CommandLine) -> None:
    making = line.process("sample", "--count", "20", "--odd", "0", "--dup", "0")
    taking = line.process("enqueue", "--json", stdin=making.stdout)
    assert making.stdout
    making.stdout.close()
    stdout, _ = taking.communicate(timeout=DEADLINE_SECONDS)
    assert [json.loads(told)["result"] for told in stdout.splitlines()] == ["accepted"] * 20
    assert making.wait(DEADLINE_SECONDS) == 0
    assert making.stderr
    making.stderr.close()
