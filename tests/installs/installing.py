"""Fresh environments of any Python that this machine has, made with uv, and the wheel that is installed into them."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PYTHONS = ("3.11", "3.12", "3.13", "3.14")


@dataclass(frozen=True)
class Tools:
    """uv and pipx, in an environment of their own."""

    folder: Path

    @classmethod
    def made_in(cls, folder: Path) -> "Tools":
        run([sys.executable, "-m", "venv", folder])
        run([folder / "bin" / "pip", "install", "-q", "--disable-pip-version-check", "uv", "pipx"])
        return cls(folder)

    @property
    def uv(self) -> Path:
        return self.folder / "bin" / "uv"

    @property
    def pipx(self) -> Path:
        return self.folder / "bin" / "pipx"

    def wheel(self, folder: Path) -> Path:
        """Build the distribution as it would be published, and return its wheel."""
        run([self.uv, "build", "--quiet", "--out-dir", folder, ROOT])
        (wheel,) = folder.glob("*.whl")
        return wheel

    def python(self, version: str) -> Path | None:
        """Return a Python of this version that the machine has; none is fetched."""
        pyenv = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python"))
        found = shutil.which(f"python{version}")
        return pyenv[-1] if pyenv else Path(found) if found else None

    def environment(self, folder: Path, python: Path, *requirements: str) -> "Environment":
        """Make an environment with these requirements in it."""
        run([self.uv, "venv", "--quiet", "--no-python-downloads", "--python", python, folder])
        made = Environment(folder, self.uv)
        made.install(*requirements)
        return made


@dataclass(frozen=True)
class Environment:
    """One environment. Its programs see nothing of the environment in which the tests run."""

    folder: Path
    uv: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def install(self, *requirements: str, lowest: bool = False) -> None:
        resolution = ["--resolution", "lowest-direct"] if lowest else []
        run([self.uv, "pip", "install", "--quiet", "--python", self.python, *resolution, *requirements])

    def check(self) -> str:
        """Return what contradicts what, "" where nothing does."""
        ended = self.run(self.uv, "pip", "check", "--python", self.python)
        return "" if ended.returncode == 0 else ended.stdout + ended.stderr

    def versions(self) -> dict[str, str]:
        told = run([self.uv, "pip", "list", "--python", self.python, "--format", "json"]).stdout
        return {each["name"]: each["version"] for each in json.loads(told)}

    def megabytes(self) -> float:
        return (
            sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file() and not path.is_symlink())
            / 1e6
        )

    def run(
        self, *command: object, cwd: Path | None = None, stdin: str | None = None, **environment: str
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(each) for each in command],
            cwd=cwd or self.folder,
            env=clean(environment),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def program(self, text: str, cwd: Path | None = None, **environment: str) -> str:
        """Run a program, and return what it printed; an error is the test's."""
        ended = self.run(self.python, "-c", text, cwd=cwd, **environment)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def command(self, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run `roark-ingest`."""
        return self.run(self.folder / "bin" / "roark-ingest", *words, **environment)


def clean(more: dict[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ROARK_", "PYTHON", "VIRTUAL_"))}
    return kept | {"PATH": "/usr/bin:/bin"} | more


def run(command: list[object]) -> "subprocess.CompletedProcess[str]":
    ended = subprocess.run([str(each) for each in command], capture_output=True, text=True, timeout=600, check=False)
    assert ended.returncode == 0, f"{command}: {ended.stdout}{ended.stderr}"
    return ended
