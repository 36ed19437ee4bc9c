"""Writes constraints.txt: the exact versions with which this project is developed, tested and shipped.

    .venv/bin/python ops/lock.py

pip resolves all extras as if nothing were installed; nothing is.
"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WANTED = ["hatchling", "editables", "--editable", f"{ROOT}[standard,dev]"]
BELOW_3_11_3 = ["async-timeout"]  # redis needs it there: Debian 12 has Python 3.11.2
HEADER = """\
# The versions of everything that is installed, for Python 3.11: `make lock` writes this file.
# Used by `make`, and by ops/docker/Dockerfile.
"""


def main() -> None:
    """Resolve and write."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", "-"]
    command += [*WANTED, *BELOW_3_11_3]
    report = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)  # noqa: S603 our own
    pins = {each["metadata"]["name"].lower(): each["metadata"]["version"] for each in report["install"]}
    del pins["roark-ingest"]
    lines = [f"{name}=={version}\n" for name, version in sorted(pins.items())]
    (ROOT / "constraints.txt").write_text(HEADER + "".join(lines), "utf-8")


if __name__ == "__main__":
    main()
