"""Files that are on the disk when a function returns."""

import os
import secrets
from pathlib import Path

from roark_ledger.private_files import own_folder, private
from roark_ledger.whole_files import replacing

PROOF_BYTES = 65_536


def prove_disk(folder: Path) -> None:
    """Write and sync a file in a folder that is there, and remove it again. Raises OSError where that fails."""
    proof = folder / f".proof-{secrets.token_hex(8)}"
    with open(proof, "xb", opener=private) as file:
        proof.unlink()
        write_all(file.fileno(), os.urandom(PROOF_BYTES))
        os.fsync(file.fileno())


def write_synced(path: Path, content: bytes) -> None:
    """Write a file in one step: it is the old one or the new one. Raises OSError."""
    with replacing(path) as file:
        file.write(content)


def write_all(file: int, data: bytes) -> None:
    """Write all of it. Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def make_folder(folder: Path) -> None:
    """Make a folder, with those that it lies in, which survives a power cut. Raises OSError."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    own_folder(folder)
    # A folder that is new is on the disk only when the one that it lies in is.
    for each in missing:
        sync_folder(each.parent)


def sync_folder(folder: Path) -> None:
    """Return when the names in a folder are on the disk. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def size_of(path: Path) -> int:
    """Return a file's size, 0 where it is gone."""
    # Another process may have handed it in, and removed it, since it was listed.
    try:
        return path.stat().st_size
    except OSError:
        return 0
