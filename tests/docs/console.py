"""The command lines in a page: what stands behind `$ ` in its blocks of the kind `console`.

A line *Tried …:* above a block says, for readers, too, that the test of the pages does not run it, and who does. A
comment `# exit code 3` behind a command says how it ends where that is not 0.
"""

import re
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TRIED_ELSEWHERE = re.compile(r"^\*(Tried .+):\*$")
_EXIT_CODE = re.compile(r"# exit code (\d)\b")


@dataclass(frozen=True)
class Command:
    """One command line of a page."""

    line: str
    tried: str
    """Who tries it in place of the test of the pages, in the page's words; empty: that test."""

    @property
    def exit_code(self) -> int:
        found = _EXIT_CODE.search(self.line)
        return int(found[1]) if found else 0


def commands(page: Path) -> list[Command]:
    """Return every command line of a page, in order."""
    text = page.read_text("utf-8")
    found = []
    for block in _BLOCK.finditer(text):
        if block[1] == "console":
            above = text[: block.start()].rstrip().rpartition("\n")[2]
            tried = _TRIED_ELSEWHERE.match(above)
            lines = [line.removeprefix("$ ") for line in block[2].splitlines() if line.startswith("$ ")]
            found += [Command(line, tried[1] if tried else "") for line in lines]
    return found
