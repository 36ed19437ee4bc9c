"""The data directory: made for its owner only, taken by one `up` at a time.

The lock belongs to the kernel, so it ends with the process that holds it, however that ends; the process id in
the file is only there for the message.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from roark_ledger.errors import ConfigurationError
from roark_ledger.private_files import own_folder, private

_LOCK = "up.lock"


class DataDirTaken(ConfigurationError):
    """Another `up` works in the data directory."""


@contextmanager
def taken(data_dir: Path) -> Iterator[Path]:
    """Hold the data directory while the block runs; yield its absolute path.

    Raises DataDirTaken when another `up` holds it, ConfigurationError when it cannot be written.
    """
    data_dir = data_dir.absolute()
    try:
        make_data_dir(data_dir)
        own_folder(data_dir / "logs")
        # Opened for appending: the holder's process id must survive a second one's attempt.
        lock = open(data_dir / _LOCK, "a+", encoding="ascii", opener=private)  # noqa: SIM115 held below
    except OSError as error:
        raise ConfigurationError(
            f"cannot write to the data directory {data_dir}: {error.strerror}. "
            "Fix its permissions, or set ROARK_INGEST_DATA_DIR to another directory."
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise DataDirTaken(
                f"`roark-ingest up` is already running in {data_dir} (process {lock.read().strip() or 'unknown'}). "
                "Stop it, or set ROARK_INGEST_DATA_DIR to another directory."
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield data_dir


def make_data_dir(data_dir: Path) -> None:
    """Make the data directory where there is none. Raises OSError where the disk refuses, or another user made it."""
    if not data_dir.exists():
        # Reports are people's conversations: nobody else on this machine shall read them, and no repository.
        own_folder(data_dir)
        with open(data_dir / ".gitignore", "w", encoding="ascii", opener=private) as file:
            file.write("*\n")
    own_folder(data_dir)
