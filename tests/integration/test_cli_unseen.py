"""What a person writes about people need not stand on a command line, where all users of the machine can read it."""

from pathlib import Path

import pytest
import typer.main
from commands import CommandLine
from servers import Server

from roark_ops.cli.app import app
from roark_ops.cli.terminal.options import UNSEEN


def test_each_reason_and_each_text_can_be_kept_off_the_command_line() -> None:
    seen, taken = [], 0
    waiting = [("", typer.main.get_command(app))]
    while waiting:
        path, command = waiting.pop()
        waiting += [(f"{path} {name}", each) for name, each in getattr(command, "commands", {}).items()]
        for option in command.params:
            if {"--reason", "--text", "--property"} & set(option.opts):
                taken += 1
                seen += [f"{path} {option.opts}"] if UNSEEN not in (getattr(option, "help", "") or "") else []
    assert seen == []
    assert taken > 20


def test_a_line_of_standard_input_is_taken_for_each_of_them_in_order(
    valkey: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    line = CommandLine(valkey.url, "unseen", tmp_path)
    line.bury_all("ada-1", "ada-2", "bob-1")

    found = line.run("dlq", "list", "--text", "-", "--json", stdin=b"ADA\n")
    assert sorted(each["call_id"] for each in found.documents) == ["ada-1", "ada-2"]

    done = line.run("dlq", "discard", "--reason", "-", "--text", "-", "--yes", stdin="née Ada\r\nada-1\n".encode())
    assert done.exit_code == 0, done
    (deed,) = line.run("log", "list", "--json").documents
    assert deed["reason"] == "née Ada"

    # and what follows is still there for who reads the rest
    erased = line.run("erase", "--reason", "-", "--phone", "-", "--dry-run", stdin=b"moved away\n+33612345678\n")
    assert erased.exit_code == 0, erased

    for words in (("hold", "--reason", "-"), ("dlq", "list", "--text", "-"), ("route", "call", "--reason", "-")):
        refused = line.run(*words, stdin=b"")
        assert refused.exit_code == 2
        assert f"{words[-2]} -: standard input has no line for it" in refused.stderr
    line.ledger.close()
