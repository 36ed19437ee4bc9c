"""Writes what is installed, each file with its SHA-256: exact versions, for Python 3.11 and newer.

    .venv/bin/python ops/lock.py

    constraints.txt          what runs: roark-ingest[standard]
    ops/locked/build.txt     what builds it beside that
    ops/locked/dev.txt       what tests it beside that
    ops/locked/audit.txt     what looks through it: `make audit`, `make sbom`

uv resolves, in an environment of its own that is thrown away: pip tells the digest of one file for each package only,
and other machines take other files. The files are for `pip install --require-hashes --no-deps -r`.
"""

import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV = "uv==0.13.9"
RUNS = "constraints.txt"
WANTED = {
    RUNS: ["roark-ingest[standard]"],
    "ops/locked/build.txt": ["hatchling", "editables"],
    "ops/locked/dev.txt": ["roark-ingest[dev]"],
}
AUDIT = {"ops/locked/audit.txt": ["pip-audit>=2.9,<3", "cyclonedx-bom>=7,<8"]}
HEADER = "# Versions and digests of what is installed: `make lock` writes this file (ops/lock.py tells what for).\n"

Pins = dict[str, str]


def main() -> None:
    """Resolve and write."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True, symlinks=True)
        pip = [f"{folder}/bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check", UV]
        subprocess.run(pip, check=True)  # noqa: S603 our own command line
        uv = Path(folder) / "bin" / "uv"
        known: Pins = {}
        everything = resolved(uv, [each for wanted in WANTED.values() for each in wanted])
        for file, wanted in WANTED.items():
            own = resolved(uv, wanted, everything)
            write(file, {name: pin for name, pin in own.items() if name not in known})
            known |= own
        for file, wanted in AUDIT.items():
            write(file, resolved(uv, wanted))


def resolved(uv: Path, wanted: list[str], versions: Pins | None = None) -> Pins:
    """Return each package with its version and digests, as pip reads them; `versions` are those to take."""
    with tempfile.TemporaryDirectory() as folder:
        asked, bounds = Path(folder) / "asked.in", Path(folder) / "bounds.txt"
        asked.write_text("\n".join(each.replace("roark-ingest", f"{ROOT}") for each in wanted), "utf-8")
        bounds.write_text("\n".join(versions_of(versions or {})), "utf-8")
        command = [str(uv), "pip", "compile", str(asked), "-c", str(bounds), "--generate-hashes", "--universal", "-q"]
        command += ["--python-version", "3.11", "--no-annotate", "--no-header", "--no-emit-package", "roark-ingest"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 our own command line
    blocks = re.split(r"\n(?=\S)", done.stdout.strip())
    return {block.partition("==")[0]: block + "\n" for block in blocks if "==" in block}


def versions_of(pins: Pins) -> list[str]:
    """Return the versions without digests."""
    return [pin.partition(" ")[0] for pin in pins.values()]


def write(file: str, pins: Pins) -> None:
    """Write one file."""
    path = ROOT / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(HEADER + "".join(pins[name] for name in sorted(pins)), "utf-8")


if __name__ == "__main__":
    sys.exit(main())
