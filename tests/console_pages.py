"""Pages of the console as tests read them, and a ledger with some of everything for them to show."""

from html.parser import HTMLParser
from typing import Any

from commands import CommandLine


class Text(HTMLParser):
    """What a person reads, and every tag and attribute that a browser would see."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.read: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.read.append(data)

    def __str__(self) -> str:
        return " ".join(" ".join(self.read).split())


def text(page: str) -> str:
    return str(Text(page))


def filled(line: CommandLine, **detail: Any) -> None:
    """Have some of everything: dead letters of two causes, one waiting, one ready, delivered ones, a rejected one."""
    line.bury_all("call-1", "call-2", "call-3", message="endedAt is before startedAt", assistant="A7", **detail)
    line.bury_all(
        "call-4", reason="http_400", status=400, excerpt='{"error":{"detail":"no such field"}}', message="bad"
    )
    line.accept("call-5")
    line.defer("call-5", message="busy")
    line.accept("call-6")
    line.deliver("call-6")
    line.accept("call-7")
    line.deliver("call-7", "")
    line.accept("call-8")
    reject(line, b'{"message": {"type": "end-of-call-report", "call": {}}}')


def reject(line: CommandLine, body: bytes) -> None:
    result = line.run("enqueue", "--keep-rejected", "-", stdin=body)
    assert result.exit_code == 3, result.stderr
