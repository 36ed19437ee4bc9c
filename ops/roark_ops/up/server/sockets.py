"""Where the embedded server's socket really lies.

Clients look for it at DATA_DIR/valkey/valkey.sock. A socket's address holds 107 bytes of path (103 on some systems),
and a URL does not take every character, so below a long or odd path the socket lies in a short
directory of its own and a symbolic link stands at the expected place; clients follow it before they connect.
"""

import re
import shutil
import tempfile
from pathlib import Path

_MOST_BYTES = 103
_PLAIN = re.compile(r"[A-Za-z0-9/._-]+")
_PREFIX = "roark-ingest-"


def place_socket(expected: Path) -> Path:
    """Make room for a socket at `expected` and return the path to bind, which may be another one.

    A socket file that is there is removed: whoever calls this knows that no server listens any more. A directory
    that a link leads to already is used again, for clients that know it will come back to it.
    """
    if _is_bindable(expected):
        expected.unlink(missing_ok=True)
        return expected
    if (directory := _short_directory(expected)) and directory.is_dir():
        (directory / expected.name).unlink(missing_ok=True)
        return directory / expected.name
    expected.unlink(missing_ok=True)
    # mkdtemp makes a name that nobody can guess, in a directory that only its owner can enter.
    real = Path(tempfile.mkdtemp(prefix=_PREFIX)) / expected.name
    expected.symlink_to(real)
    return real


def clear_socket(expected: Path) -> None:
    """Remove the socket, or the link and the short directory that it leads to."""
    if directory := _short_directory(expected):
        shutil.rmtree(directory, ignore_errors=True)
    expected.unlink(missing_ok=True)


def _short_directory(expected: Path) -> Path | None:
    """Return the directory that an earlier call made for this place, as far as the link there tells."""
    directory = expected.readlink().parent if expected.is_symlink() else None
    return directory if directory and directory.name.startswith(_PREFIX) else None


def _is_bindable(path: Path) -> bool:
    # Clients resolve links, so it is the resolved path that must be short enough.
    resolved = str(path.parent.resolve() / path.name)
    return len(resolved.encode()) <= _MOST_BYTES and _PLAIN.fullmatch(resolved) is not None
