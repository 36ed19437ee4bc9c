"""Takes one person's requests out of a spool, for good."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from roark_ledger.whole_files import left_overs
from roark_producer.disk.files import size_of, sync_folder, write_synced
from roark_producer.disk.frames import Spooled, without
from roark_producer.disk.segments import locked, salt_of, segments


@dataclass(frozen=True, slots=True)
class Purged:
    """What was taken out of a spool: requests, from so many files.

    `busy` files are still written by a living webhook and were not looked at; `unread_bytes` were damaged.
    """

    requests: int
    files: int
    busy: int
    unread_bytes: int


def purge(folder: Path, unwanted: Callable[[Spooled], bool], *, only_look: bool = False) -> Purged:
    """Take requests out of the files that nobody writes any more, and out of those that were set aside.

    A file is replaced by one without them in one step; a crash before that leaves it as it was. What is damaged
    stays as it is. `only_look` counts and changes nothing. Raises OSError when the disk refuses.
    """
    requests = files = busy = unread = 0
    for left_over in [*folder.glob("*.fresh"), *left_overs(folder), *left_overs(folder / "given-up")]:
        left_over.unlink(missing_ok=True)
    aside = [path for kind in ("*.damaged", "*.refused", "given-up/*") for path in sorted(folder.glob(kind))]
    for path in [*segments(folder), *aside]:
        try:
            file = locked(path)
        except OSError:
            unread += size_of(path)
            continue
        if file is None:
            busy += path.exists()
            continue
        with file:
            kept, taken, damaged = without(file.read(), salt_of(path), unwanted)
            if taken and not only_look:
                _replace(path, kept)
        requests, files, unread = requests + taken, files + bool(taken), unread + damaged
    return Purged(requests, files, busy, unread)


def _replace(path: Path, content: bytes) -> None:
    if not content:
        path.unlink(missing_ok=True)
    else:
        write_synced(path, content)
    sync_folder(path.parent)
