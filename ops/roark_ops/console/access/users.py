"""The users file: a line for each person, `name:role:hash`. Commands write it, the console reads it as it changes.

Without a hash a user cannot sign in with a password: a proxy signs them in, and the file says their role.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from roark_ledger.errors import ConfigurationError
from roark_ledger.private_files import own_folder
from roark_ledger.whole_files import replacing
from roark_ops.console.access.passwords import hashed, is_password
from roark_ops.console.access.roles import Role, role_of

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_HEAD = "# Users of the console: roark-ingest console user add NAME --role viewer|operator|admin\n"
FIRST = "admin"


@dataclass(frozen=True, slots=True)
class ConsoleUser:
    """A person. `kept` is the password's hash, "" where a proxy signs them in."""

    name: str
    role: Role
    kept: str = ""


class Users:
    """The users of a file, and `admin` where a password was given in the settings."""

    def __init__(self, path: Path, first_password: str = "") -> None:
        self.path = path
        self._first = ConsoleUser(FIRST, Role.ADMIN, hashed(first_password)) if first_password else None
        self._seen: tuple[int, int, int] | None = None
        self._users: dict[str, ConsoleUser] = {}

    def all(self) -> dict[str, ConsoleUser]:
        """Return everybody by name, as the file is now.

        Raises ConfigurationError when it cannot be read.
        """
        try:
            stat = self.path.stat()
            seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if seen != self._seen:
                self._users, self._seen = dict(_parsed(self.path)), seen
        except FileNotFoundError:
            self._users, self._seen = {}, None
        except OSError as error:
            raise ConfigurationError(f"the console's users {self.path} cannot be read: {error.strerror}") from None
        if self._first and FIRST not in self._users:
            return self._users | {FIRST: self._first}
        return self._users

    def find(self, name: str) -> ConsoleUser | None:
        """Return a person, None where there is none of that name."""
        return self.all().get(name)

    def can_sign_in(self) -> bool:
        """Whether there is anybody with a password."""
        return any(user.kept for user in self.all().values())

    def signed_in(self, name: str, password: str) -> ConsoleUser | None:
        """Return who that is by name and password; None where the two do not belong together."""
        user = self.find(name)
        # As long for a name that is not there: how long it takes must not tell.
        return user if is_password(password, user.kept if user else "") else None

    def put(self, name: str, role: Role, password: str | None) -> bool:
        """Add a person, or change them; return whether they are new. None: the password stays as it is.

        Raises ConfigurationError when the name cannot be used or the file cannot be written.
        """
        if not _NAME.fullmatch(name):
            raise ConfigurationError(f"{name!r} can't be a name: use letters, digits and . _ @ -")
        users = {user.name: user for user in self.all().values() if user is not self._first}
        before = users.get(name)
        kept = hashed(password) if password else before.kept if before else ""
        users[name] = replace(before, role=role, kept=kept) if before else ConsoleUser(name, role, kept)
        self._write(users)
        return before is None

    def remove(self, name: str) -> bool:
        """Remove a person; return whether there was one."""
        users = {user.name: user for user in self.all().values() if user is not self._first}
        gone = users.pop(name, None)
        if gone:
            self._write(users)
        return gone is not None

    def _write(self, users: dict[str, ConsoleUser]) -> None:
        lines = [f"{user.name}:{user.role.word}:{user.kept}\n" for _, user in sorted(users.items())]
        try:
            own_folder(self.path.parent)
            with replacing(self.path) as file:
                file.write((_HEAD + "".join(lines)).encode())
        except OSError as error:
            raise ConfigurationError(f"{self.path} cannot be written: {error.strerror}") from None


def _parsed(path: Path) -> list[tuple[str, ConsoleUser]]:
    found = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            name, role, kept = line.strip().split(":", 2)
            found.append((name, ConsoleUser(name, role_of(role), kept)))
        except ValueError:
            raise ConfigurationError(
                f"line {number} of {path} is not NAME:ROLE:HASH. Make it with roark-ingest console user add"
            ) from None
    return found
