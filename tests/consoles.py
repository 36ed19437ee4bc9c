"""The console in a test's own process, on a real server's ledger, asked as a browser asks.

with opened(line, add={"ada": Role.OPERATOR}) as console:
    console.sign_in("ada")
    page = console.get("/causes")
    console.post("/freeze/replay", call="call-1")
"""

import contextlib
import re
import warnings
from collections.abc import Iterator, Mapping
from html import unescape
from typing import Any
from urllib.parse import urlencode

import httpx
from commands import CommandLine

from roark_ops.access import Access
from roark_ops.console.access import passwords
from roark_ops.console.access.roles import Role
from roark_ops.console.access.users import Users
from roark_ops.console.app import create_app
from roark_ops.console.backstage import Backstage, backstage
from roark_ops.console.settings import ConsoleSettings
from roark_producer.settings import IngestSettings

with warnings.catch_warnings():
    # It would rather have httpx2; the product has httpx.
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

HOST = "http://127.0.0.1:5656"
PASSWORD = "a good long password"


class ConsoleUnderTest:
    """A browser in front of a console."""

    def __init__(self, stage: Backstage, client: TestClient) -> None:
        self.stage = stage
        self.client = client

    def get(self, path: str, **query: Any) -> httpx.Response:
        pairs = urlencode(query, doseq=True)
        return self.client.get(f"{path}{'?' if pairs else ''}{pairs}")

    def post(self, path: str, *, origin: str = HOST, **form: Any) -> httpx.Response:
        """Send a form as one of our pages does: with the session's token, and from our own origin."""
        fields = {"token": self.token(), **form}
        return self.client.post(path, data=fields, headers={"Origin": origin})

    def token(self) -> str:
        """The token that the session's pages have in their forms."""
        page = self.get("/uploads").text
        found = re.search(r'name="token" value="([^"]+)"', page)
        return unescape(found[1]) if found else ""

    def sign_in(self, name: str, password: str = PASSWORD) -> httpx.Response:
        return self.client.post("/signin", data={"name": name, "password": password}, headers={"Origin": HOST})

    def freeze(self, deed: str, **form: Any) -> str:
        """Freeze a selection; return its id."""
        answer = self.post(f"/freeze/{deed}", **form)
        assert answer.status_code == 200, answer.text
        assert answer.url.path.endswith("/selection"), answer.text
        return str(answer.url.params["id"])


def stage_of(line: CommandLine, **settings: Any) -> Backstage:
    """Put a console together over a test's ledger."""
    ingest = IngestSettings(
        redis_url=line.environment["ROARK_INGEST_REDIS_URL"],
        prefix=line.environment["ROARK_INGEST_PREFIX"],
        data_dir=line.folder / "data",
        console_url=settings.pop("console_url", ""),
    )
    return backstage(Access(ingest), ConsoleSettings(**settings), me="tester")


@contextlib.contextmanager
def opened(
    line: CommandLine,
    *,
    add: Mapping[str, Role] | None = None,
    client: tuple[str, int] = ("127.0.0.1", 50_000),
    **settings: Any,
) -> Iterator[ConsoleUnderTest]:
    """Open a console; with `add` it has users, whose password is PASSWORD."""
    users = Users(line.folder / "data" / "console-users")
    for name, role in (add or {}).items():
        users.put(name, role, PASSWORD)
    stage = stage_of(line, **settings)
    with stage.access, TestClient(create_app(stage), base_url=HOST, client=client) as browser:
        yield ConsoleUnderTest(stage, browser)


def quick_passwords(monkeypatch: Any) -> None:
    """Make hashing cheap: what it costs is not what a test of pages is about."""
    monkeypatch.setattr(passwords, "_N", 16)
    monkeypatch.setattr(passwords, "_P", 1)
