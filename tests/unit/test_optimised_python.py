"""Python without docstrings and assertions (PYTHONOPTIMIZE=2): the commands say the same."""

import os
import subprocess
import sys

import pytest


def helped(optimise: str, *words: str) -> str:
    environment = {**os.environ, "PYTHONOPTIMIZE": optimise, "COLUMNS": "120"}
    command = [sys.executable, "-m", "roark_ops.cli", *words, "--help"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("words", [(), ("worker",), ("dlq", "replay"), ("sample",)])
def test_every_help_text_is_there_without_docstrings(words: tuple[str, ...]) -> None:
    assert helped("2", *words) == helped("0", *words)
