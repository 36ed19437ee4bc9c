"""Prometheus' own programs, from Debian's package `prometheus`. `make monitoring` says so where they are missing."""

import shutil
import subprocess
from pathlib import Path

import yaml

OPS = Path(__file__).parents[2] / "ops"
RULES = OPS / "prometheus" / "rules.yml"


def program(name: str) -> str:
    found = shutil.which(name)
    assert found, f"{name} is not installed (Debian: apt-get install -y prometheus)"
    return found


def promtool(*arguments: str, stdin: bytes = b"") -> str:
    """Run promtool; return what it said. Fails where it finds a fault, and says which."""
    ended = subprocess.run([program("promtool"), *arguments], input=stdin, capture_output=True, timeout=60, check=False)
    said = (ended.stdout + ended.stderr).decode()
    assert ended.returncode == 0, said
    return said


def alerts() -> dict[str, dict[str, object]]:
    """Return the rules of rules.yml by the alert's name."""
    groups = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}
