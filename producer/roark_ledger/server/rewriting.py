"""Has Redis write its files anew, without what was deleted, and waits for it.

An append-only file holds every command of the past until it is rewritten, and a snapshot what was there when it was
taken. Both are asked for where the server has them; a rewrite that was under way before does not count.
"""

import time
from dataclasses import dataclass
from threading import Event
from typing import Any

from roark_ledger.errors import LedgerError, LedgerRefuses
from roark_ledger.server.connection import translated_errors

_PAUSE_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Rewritten:
    """Which files were written anew (`append-only file`, `snapshot`), and why some were not, in words."""

    files: tuple[str, ...] = ()
    why_not: str = ""
    replicas: int = 0


def rewrite(client: Any, *, seconds: float) -> Rewritten:
    """Have the files rewritten; return what became of them within `seconds`. Raises LedgerUnavailable."""
    deadline = time.monotonic() + seconds
    done: list[str] = []
    try:
        facts = _facts(client)
        replicas = int(facts.get("connected_slaves", 0))
        wanted = []
        if int(facts.get("aof_enabled", 0)):
            wanted.append(("append-only file", "BGREWRITEAOF", "aof_rewrite_in_progress", "aof_last_bgrewrite_status"))
        if not wanted or _takes_snapshots(client):
            wanted.append(("snapshot", "BGSAVE", "rdb_bgsave_in_progress", "rdb_last_bgsave_status"))
        for name, command, running, status in wanted:
            if why := _written(client, command, running, status, deadline):
                return Rewritten(tuple(done), f"{name}: {why}", replicas)
            done.append(name)
    except LedgerRefuses as error:
        return Rewritten(tuple(done), f"the server refused it ({error.code or 'no permission'})")
    except LedgerError as error:
        return Rewritten(tuple(done), str(error))
    return Rewritten(tuple(done), "", replicas)


def _written(client: Any, command: str, running: str, status: str, deadline: float) -> str:
    # Only one child writes at a time, and what one of earlier has copied holds what was deleted since.
    if why := _idle(client, deadline):
        return why
    with translated_errors(client):
        client.execute_command(command)
    if why := _idle(client, deadline):
        return why
    facts = _facts(client)
    return "" if facts.get(status, "ok") == "ok" and not int(facts.get(running, 0)) else "the server could not write it"


def _idle(client: Any, deadline: float) -> str:
    while True:
        facts = _facts(client)
        names = ("aof_rewrite_in_progress", "aof_rewrite_scheduled", "rdb_bgsave_in_progress")
        if not any(int(facts.get(name, 0)) for name in names):
            return ""
        if time.monotonic() > deadline:
            return "it is still being written"
        Event().wait(_PAUSE_SECONDS)


def _facts(client: Any) -> dict[str, Any]:
    with translated_errors(client):
        return {**client.info("persistence"), **client.info("replication")}


def _takes_snapshots(client: Any) -> bool:
    try:
        with translated_errors(client):
            found = client.config_get("save")
    except LedgerError:
        return False
    return any(bool(value.strip()) for value in found.values())
