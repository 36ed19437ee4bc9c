"""A ledger with some of everything, and consoles in front of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import CommandLine
from consoles import ConsoleUnderTest, opened, quick_passwords
from servers import Server


@pytest.fixture
def line(valkey: Server, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.chdir(tmp_path)
    quick_passwords(monkeypatch)
    return CommandLine(valkey.url, prefix, tmp_path)


@pytest.fixture
def console(line: CommandLine) -> Iterator[ConsoleUnderTest]:
    """A console without users, on this machine."""
    with opened(line) as found:
        yield found
