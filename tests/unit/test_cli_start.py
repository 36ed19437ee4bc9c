"""The command starts at once: help and completion import nothing heavy; every command has a help with --json in it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from offenders import for_each
from typer.main import get_group
from typer.testing import CliRunner

from roark_ops.cli.app import app
from roark_ops.cli.terminal.options import person
from roark_ops.desk.acting import by_hand

HEAVY = {"celery", "kombu", "redis", "httpx", "pydantic_settings", "uvicorn", "starlette", "asyncio", "roark_worker"}
FIXED = ("up", "enqueue", "webhook", "worker", "sandbox", "flower", "status", "why", "audit", "doctor", "schedule")
FIXED += ("hold", "resume", "erase")
FIXED_OF_DLQ = ("list", "groups", "show", "replay", "discard", "restore", "export", "import")
# These two print documents as it is, and the third a document byte for byte.
WITHOUT_JSON = {("acl",), ("sandbox",), ("sample",), ("rejected", "show")}


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


EVERY = dict(commands(get_group(app)))


def modules_loaded_by(*arguments: str) -> set[str]:
    program = f"""
import json, sys
from roark_ops.cli import main
sys.argv = ["roark-ingest", *{arguments!r}]
try:
    main()
except SystemExit as end:
    assert end.code == 0, end.code
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=30)
    return set(json.loads(ended.stderr))


@pytest.mark.parametrize(
    "arguments", [["--help"], ["dlq", "--help"], ["dlq", "edit", "--help"], ["enqueue", "--help"], ["--version"]]
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    assert modules_loaded_by(*arguments) & HEAVY == set()


def test_the_first_help_that_a_person_asks_for_does_without_pydantic_too() -> None:
    # Behind a subcommand Typer needs it itself.
    assert "pydantic" not in modules_loaded_by("--help")


def test_help_names_the_commands_that_the_design_fixes() -> None:
    assert {(name,) for name in FIXED} | {("dlq", name) for name in FIXED_OF_DLQ} <= set(EVERY)


@for_each("path", EVERY)
def test_every_command_has_a_help_and_takes_json(path: tuple[str, ...]) -> None:
    ended = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"})
    assert ended.exit_code == 0
    assert "Usage: " in ended.stdout
    takes_json = re.search(r"--json\b", ended.stdout) is not None
    assert takes_json or path in WITHOUT_JSON
    # No value's name is broken, however narrow its column is.
    assert all((option.metavar or "") in ended.stdout for option in EVERY[path].params)


def test_the_version_is_the_distributions() -> None:
    ended = CliRunner().invoke(app, ["--version"])
    assert (ended.exit_code, ended.stdout.split()[0]) == (0, "roark-ingest")
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", ended.stdout.split()[1])


def test_a_command_that_does_not_exist_is_a_usage_error() -> None:
    ended = CliRunner().invoke(app, ["enqeue"])
    assert ended.exit_code == 2
    assert "enqeue" in ended.stderr


def test_no_command_at_all_shows_the_help() -> None:
    assert "dlq" in CliRunner().invoke(app, []).output


def test_a_shell_completes_the_names_of_commands() -> None:
    environment = {"_ROARK_INGEST_COMPLETE": "complete_bash", "COMP_WORDS": "roark-ingest enq", "COMP_CWORD": "1"}
    command = [sys.executable, "-c", "from roark_ops.cli import main; main()"]
    told = subprocess.run(command, env=os.environ | environment, stdout=subprocess.PIPE, check=False, timeout=30)
    assert told.stdout.split() == [b"enqueue"]


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("roark-ingest dlq ed", {"edit"}),
        ("roark-ingest dlq list --died", {"--died-of"}),
        ("roark-ingest dlq edit --un", {"--undo", "--until"}),
        ("roark-ingest exp", {"explain"}),
    ],
)
def test_a_shell_completes_what_is_below_a_group_and_options(typed: str, wanted: set[str]) -> None:
    environment = {"_ROARK_INGEST_COMPLETE": "complete_bash", "COMP_WORDS": typed}
    environment["COMP_CWORD"] = str(len(typed.split()) - 1)
    command = [sys.executable, "-c", "from roark_ops.cli import main; main()"]
    told = subprocess.run(command, env=os.environ | environment, stdout=subprocess.PIPE, check=False, timeout=30)
    assert set(told.stdout.decode().split()) & wanted


def test_who_acts_is_the_os_user_unless_a_name_is_given() -> None:
    assert person("ada") == "ada"
    assert person()
    assert by_hand(person(" roark ")) == "roark (by hand)"
