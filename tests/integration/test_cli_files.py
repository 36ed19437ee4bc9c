"""What commands write on this machine: for its owner only, never through a link, gone when a signal ends them; and IDs
that read like options."""

import os
import shlex
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import TRANSCRIPT, CommandLine
from pipeline import wait_until
from servers import Server

from roark_ops.cli.run.flowering import close_to_others
from roark_ops.cli.terminal.running import Commands

FIRST_LINES = {
    "roark_ops.cli": ["--version"],
    "roark_sandbox": ["--help"],
    "roark_samples": ["--count", "1"],
}


@pytest.fixture
def line(valkey: Server, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CommandLine]:
    monkeypatch.chdir(tmp_path)
    made = CommandLine(valkey.url, prefix, tmp_path)
    yield made
    made.ledger.close()


def test_every_command_begins_by_closing_its_files_to_others() -> None:
    program = """
import os, runpy, sys
os.umask(0o022)
sys.argv = sys.argv[1:]
try:
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
except SystemExit:
    pass
print(oct(os.umask(0)), file=sys.stderr)
"""
    for module, arguments in FIRST_LINES.items():
        ended = subprocess.run(
            [sys.executable, "-c", program, module, *arguments], capture_output=True, text=True, check=True
        )
        assert ended.stderr.splitlines()[-1] == "0o77", module


def test_an_export_is_not_written_through_a_link_or_into_what_was_laid_there(line: CommandLine, tmp_path: Path) -> None:
    line.bury_all("c-1")
    shared, victim = tmp_path / "shared", tmp_path / "victim"
    shared.mkdir()
    victim.write_bytes(b"keep")
    for name in ("dead.ndjson.partial", "dead.ndjson"):
        (shared / name).symlink_to(victim)
    assert line.run("dlq", "export", str(shared / "dead.ndjson")).exit_code == 2
    assert line.run("dlq", "export", "--force", str(shared / "dead.ndjson")).exit_code == 0
    assert line.run("log", "export", str(shared / "dead.ndjson.partial")).exit_code == 0
    assert victim.read_bytes() == b"keep"
    for path in shared.iterdir():
        assert not path.is_symlink()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert TRANSCRIPT in (shared / "dead.ndjson").read_text()


def test_an_export_replaces_no_device(line: CommandLine, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    ended = line.run("dlq", "export", "--force", str(tmp_path / "pipe"))
    assert ended.exit_code == 2
    assert "is not a regular file" in ended.stderr


def test_a_signal_that_ends_an_export_leaves_nothing_and_a_killed_ones_file_is_named(
    line: CommandLine, tmp_path: Path
) -> None:
    line.bury_all("c-1")
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGKILL):
        folder = tmp_path / "out"
        folder.mkdir(exist_ok=True)
        program = f"""
import sys
from roark_ops.cli.terminal.targets import target
with target({str(folder / "dead")!r}, force=False) as file:
    file.write(b"half")
    file.flush()
    print("writing", flush=True)
    sys.stdin.read()
"""
        process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        (partial,) = folder.iterdir()
        assert stat.S_IMODE(partial.stat().st_mode) == 0o600
        process.send_signal(number)
        process.communicate()
        assert list(folder.iterdir()) == ([partial] if number is signal.SIGKILL else [])
    os.utime(partial, (0, 0))
    ended = line.run("dlq", "export", str(folder / "dead"))
    assert f"Removed {partial}" in ended.stderr
    assert os.listdir(folder) == ["dead"]


def test_flowers_folder_and_store_are_for_their_owner_only(line: CommandLine, tmp_path: Path) -> None:
    store = tmp_path / "data" / "flower"
    before = os.umask(0o022)
    try:
        flower = line.process("flower", "--port", "5599", env={"FLOWER_STATE_SAVE_INTERVAL": "300"})
    finally:
        os.umask(before)
    try:
        wait_until(lambda: list(store.parent.glob("flower*")), "the store is there")
        assert stat.S_IMODE(store.parent.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in store.parent.glob("flower*")} == {0o600}
    finally:
        flower.kill()
        flower.communicate()


def test_what_an_earlier_version_left_open_of_flower_is_closed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    for path in (outside, tmp_path / "flower", tmp_path / "flower.db"):
        path.touch()
        path.chmod(0o644)
    (tmp_path / "flower.link").symlink_to(outside)
    close_to_others(tmp_path / "flower")
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "flower", tmp_path / "flower.db", outside)]
    assert modes == [0o600, 0o600, 0o644]


ACTING = {
    "dlq replay": ["--all", "--yes", "--delay", "0"],
    "dlq discard": ["--all", "--yes"],
    "dlq edit": ["--all", "--yes", "--set", "a=1"],
    "dlq restore": ["--all"],
    "dlq confirm": ["--all", "--yes"],
}


def test_an_id_that_reads_like_an_option_selects_nothing(line: CommandLine) -> None:
    line.bury_all("--all", "c-1")
    for command, options in ACTING.items():
        ended = line.run(*command.split(), *options)
        assert ended.exit_code == 2, command
        assert "--all is an option, and also the ID of a call" in ended.stderr
        assert line.state("c-1") == line.state("--all") == "dead"
    assert line.run("dlq", "discard", "--yes", "--", "--all").exit_code == 0
    assert (line.state("--all"), line.state("c-1")) == ("discarded", "dead")
    assert line.run("dlq", "discard", "--yes", "--all", "--").exit_code == 0
    assert line.state("c-1") == "discarded"


def test_no_ids_at_all_select_nothing(line: CommandLine) -> None:
    line.bury_all("c-1")
    for command in (*ACTING, "erase", "set-aside --reason x", "rejected retry", "rejected discard"):
        assert line.run(*command.split()).exit_code == 2, command
    assert line.state("c-1") == "dead"


def test_advice_about_an_id_that_reads_like_an_option_can_be_typed_as_it_is(line: CommandLine) -> None:
    line.bury_all("--all")
    advice = [
        line.run("why", "--", "--all").stdout,
        line.run("dlq", "show", "--", "--all").stdout,
        line.run("list", "--state", "dead").stdout,
        line.run("dlq", "edit", "--yes", "--set", "a=1", "--", "--all").stdout,
        line.run("why", "--", "--all").stdout,
    ]
    line.run("dlq", "discard", "--yes", "--", "--all")
    advice += [line.run("why", "--", "--all").stdout, line.run("dlq", "discard", "--yes", "--", "--all").stderr]
    commands = [shlex.split(part) for text in advice for part in text.splitlines() if "roark-ingest" in part]
    commands = [words[words.index("roark-ingest") :] for words in commands if "--all" in words or "--all." in words]
    assert len(commands) >= 5
    for words in commands:
        place = next(at for at, word in enumerate(words) if word.startswith("--all"))
        assert words[place - 1] == "--", words


def test_the_command_line_that_was_typed_is_known(line: CommandLine) -> None:
    line.run("status", "--json")
    assert Commands.typed == ["status", "--json"]
