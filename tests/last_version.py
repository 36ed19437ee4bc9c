"""The last version's own code, out of this clone's history, for the tests that go up and down the versions.

When a version is released LAST is set to it, and the older one's names go out of `integration/version_step.py`.
"""

import os
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAST = "817cf15"
_PARTS = ("producer", "worker")


def unpacked(folder: Path) -> Path:
    """Put the last version's sources there; a clone without its history (a shallow one, an archive) skips."""
    try:
        packed = subprocess.run(["git", "archive", LAST, *_PARTS], cwd=ROOT, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("git is not installed")
    if packed.returncode:
        pytest.skip(f"this clone does not have the last version ({LAST}): git fetch --unshallow")
    with tarfile.open(fileobj=BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def python_path(sources: Path) -> str:
    """Return the PYTHONPATH with which these sources go before those that are installed."""
    return os.pathsep.join(str(sources / part) for part in _PARTS)
