"""Passwords of the users of Redis, and what is made of them: URLs for the parts, lines for the server.

The server gets hashes only. A password is made once; its URL is where it stays.
"""

import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from roark_ledger.errors import ConfigurationError, LedgerError
from roark_ledger.private_files import own_folder, private
from roark_ledger.server.connection import EMBEDDED_URL, connect_to_each, translated_errors
from roark_ledger.server.redis_url import for_user, parse_redis_url
from roark_ledger.whole_files import replacing
from roark_ops.roles import EVERYBODY, RedisRole, RolePlace, rules, user_line
from roark_producer.servers import Servers
from roark_producer.settings import IngestSettings

ACL_FILE = "users.acl"
_MOST_BYTES = 1 << 16
Passwords = Mapping[RedisRole, str]


def laid_down(folder: Path, place: RolePlace, url: str = "") -> Passwords:
    """Write a URL for each role and `users.acl` into a folder, and return the passwords; those that are there stay.

    `url` is the server's, by default that of the settings. Raises ConfigurationError where a file could be another's.
    """
    url = url or Servers(IngestSettings()).url
    own_folder(folder)
    passwords: dict[RedisRole, str] = {}
    for role in RedisRole:
        file = folder / EMBEDDED_URL.format(role)
        known = parse_redis_url(text, str(file)).password if (text := _own(file)) else None
        passwords[role] = known or secrets.token_hex(24)
        _write(file, url_of(url, role, passwords[role]))
    _write(folder / ACL_FILE, acl_file(passwords, place))
    return passwords


def acl_file(passwords: Passwords, place: RolePlace) -> str:
    """Return the lines for the server."""
    lines = [f"user {EVERYBODY}", *(user_line(role, password, place) for role, password in passwords.items())]
    return "\n".join(lines) + "\n"


def url_of(url: str, role: RedisRole, password: str) -> str:
    """Return a URL of the same server for another user."""
    return for_user(url, role, password)


def applied(passwords: Passwords, place: RolePlace) -> str:
    """Create the users on the server that the settings name, each node of a cluster; return what is to be known.

    The user `default` stays as it is: it is the one who does this. Raises LedgerError where that is not allowed.
    """
    kept = [_applied_to(client, passwords, place) for client in connect_to_each(Servers(IngestSettings()).url)]
    one = len(kept) == 1
    have = "The server has" if one else f"The {len(kept)} nodes of the cluster have"
    if not all(kept):
        restarted = "it is restarted" if one else "they are restarted"
        return f"{have} the users until {restarted}: put users.acl into {'its' if one else 'their'} configuration, too."
    return f"{have} the users, and {'keeps' if one else 'keep'} them."


def _applied_to(client: Any, passwords: Passwords, place: RolePlace) -> bool:
    with translated_errors(client):
        knows_waitaof = _knows(client, "WAITAOF")
        for role, password in passwords.items():
            allowed = _joined(rules(role, place))
            if not knows_waitaof:
                # Without it (Redis before 7.2) a promise is known by the server's settings.
                allowed = ["+config|get" if word == "+waitaof" else word for word in allowed]
            client.execute_command("ACL", "SETUSER", role, "reset", "on", f">{password}", *allowed)
    try:
        with translated_errors(client):
            client.execute_command("ACL", "SAVE")
    except LedgerError:
        return False
    return True


def _knows(client: Any, command: str) -> bool:
    return client.execute_command("COMMAND", "INFO", command) not in ([None], {}, [])


def _joined(words: tuple[str, ...]) -> list[str]:
    """Return the words as arguments: a selector in its brackets is one, and two that follow each other are two."""
    return [part for word in words for part in (word.replace(") (", ")\n(").split("\n"))]


def _own(file: Path) -> str:
    """Return what stands in a file of ours, "" where there is none; what others may have put there is not read."""
    try:
        handle = private(str(file), os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ConfigurationError(f"can't read {file}: {error.strerror}. Remove it") from None
    try:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid() or facts.st_mode & 0o022:
            raise ConfigurationError(f"{file} could be someone else's: its password is not used. Remove it")
        return os.read(handle, _MOST_BYTES).decode("utf-8", "replace")
    finally:
        os.close(handle)


def _write(file: Path, text: str) -> None:
    if _own(file) == text:
        return
    with replacing(file) as written:
        written.write(text.encode())
