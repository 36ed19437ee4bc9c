"""The embedded server's files: what it would start empty over, or not start with at all, and how that is mended.

    valkey/appendonlydir/appendonly.aof.manifest     names the files below, in the order in which they are read
    valkey/appendonlydir/appendonly.aof.N.base.rdb   all data at one moment
    valkey/appendonlydir/appendonly.aof.N.incr.aof   every command since

A server that finds no manifest starts empty, and writes over the file names that are there; one that is told to keep an
append-only file does not look at `dump.rdb`. So `up` looks first, and refuses. `mend` is for after a copy was made: the
manifest is made anew from the names, a `dump.rdb` becomes the base, and a file that cannot be read to its end is cut
behind the last whole command (what stood behind that is in the copy only).
"""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from roark_ledger.private_files import own_folder, private
from roark_ledger.whole_files import replacing

_FOLDER, _MANIFEST, _DUMP = "appendonlydir", "appendonly.aof.manifest", "dump.rdb"
_PART = re.compile(r"appendonly\.aof\.(\d+)\.(base\.rdb|base\.aof|incr\.aof)")
_NAMED = re.compile(r"file (\S+) seq \d+ type ([bih])(?: \S+ \S+)*")
_MEND = "Fix it with: roark-ingest repair aof"


@dataclass(frozen=True, slots=True)
class Cut:
    """A file that is only whole up to some byte."""

    path: Path
    whole_bytes: int
    bytes: int


def reason_not_to_start(files: Path) -> str:
    """Return why a server in this folder would lose sight of what is there; "" where it would not."""
    parts, manifest = _parts(files), _manifest(files)
    if parts and manifest is None:
        return (
            f"{files / _FOLDER} contains data but no readable {_MANIFEST}: a server would start empty and "
            f"overwrite it. {_MEND}"
        )
    if missing := [name for name in manifest or () if not (files / _FOLDER / name).exists()]:
        return (
            f"{files / _FOLDER / _MANIFEST} names {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} "
            "missing. Restore the folder from a backup (ops/docs/backup.md)."
        )
    if manifest is not None and (left_out := _left_out(parts, manifest)):
        named = ", ".join(path.name for path in left_out)
        return f"{files / _FOLDER / _MANIFEST} leaves out {named}: a server would start without it. {_MEND}"
    if manifest is None and _has_dump(files):
        return f"{files / _DUMP} contains data that a server with an append-only file ignores. {_MEND}"
    return ""


def cuts(files: Path) -> list[Cut]:
    """Return the files that can only be read up to some byte. Reads all of them."""
    found = []
    for path in sorted((files / _FOLDER).glob("*.aof"), key=_number):
        with path.open("rb") as file:
            whole, size = _whole_bytes(file), path.stat().st_size
        if whole < size:
            found.append(Cut(path, whole, size))
    return found


def copy_of(files: Path, moment: str) -> Path:
    """Copy the folder beside itself and return where. Raises OSError when the disk refuses."""
    copied = files.with_name(f"{files.name}-before-repair-{moment}")
    # Whoever presses Ctrl-C in the middle must not take a part for the whole. A socket cannot be copied.
    part = copied.with_name(f"{copied.name}.part")
    shutil.copytree(files, part, ignore=lambda _, names: [name for name in names if name.endswith(".sock")])
    return part.rename(copied)


def mend(files: Path, damaged: list[Cut]) -> list[str]:
    """Mend what can be, after a copy was made; return what was done, in words. Raises OSError when the disk refuses."""
    done = []
    if not _parts(files) and _manifest(files) is None and _has_dump(files):
        own_folder(files / _FOLDER)
        base = files / _FOLDER / "appendonly.aof.1.base.rdb"
        with (files / _DUMP).open("rb") as dump, replacing(base) as file:
            shutil.copyfileobj(dump, file)
        done.append(f"made {_DUMP} the base of the append-only file")
    named = _manifest(files)
    if (named is None or _left_out(_parts(files), named)) and (lines := list(_lines(_parts(files)))):
        with replacing(files / _FOLDER / _MANIFEST) as manifest:
            manifest.write("".join(lines).encode("ascii"))
        done.append(f"rebuilt {_MANIFEST} from {len(lines)} files")
    for cut in damaged:
        with open(cut.path, "r+b", opener=private) as file:
            file.truncate(cut.whole_bytes)
        done.append(
            f"cut {cut.path.name} after its last complete command ({cut.bytes - cut.whole_bytes} bytes removed)"
        )
    return done


def _parts(files: Path) -> list[Path]:
    found = (path for path in (files / _FOLDER).glob("appendonly.aof.*") if _PART.fullmatch(path.name))
    return sorted((path for path in found if path.stat().st_size), key=_number)


def _has_dump(files: Path) -> bool:
    dump = files / _DUMP
    return dump.exists() and dump.stat().st_size > 0


def _manifest(files: Path) -> list[str] | None:
    """Return the names in the manifest; None where there is none, or one that no server can read to its end."""
    try:
        lines = (files / _FOLDER / _MANIFEST).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    found = [_NAMED.fullmatch(line.strip()) for line in lines]
    named = [each for each in found if each]
    return [each[1] for each in named if each[2] != "h"] or None if len(named) == len(found) else None


def _left_out(parts: list[Path], manifest: list[str]) -> list[Path]:
    # A base that is not named is left of a rewrite: what is named says the same. Commands that are not named are lost,
    # unless a newer base has them.
    newest = max([0, *(_number(Path(name))[0] for name in manifest if ".incr." in name)])
    return [path for path in parts if ".incr." in path.name and _number(path)[0] > newest]


def _number(path: Path) -> tuple[int, str]:
    found = _PART.fullmatch(path.name)
    return (int(found[1]) if found else 0), path.name


def _lines(parts: list[Path]) -> Iterator[str]:
    # Where a rewrite had just ended, the base before it is still there: with all commands since it says the same.
    bases = [path for path in parts if ".base." in path.name]
    for path in (*bases[:1], *(path for path in parts if ".incr." in path.name)):
        yield f"file {path.name} seq {_number(path)[0]} type {'b' if path in bases else 'i'}\n"


def _whole_bytes(file: BinaryIO) -> int:
    """Return up to where the file is whole commands and whole transactions, as the server writes them."""
    whole, inside = 0, False
    while line := file.readline(64):
        if line.startswith(b"#") and line.endswith(b"\n"):
            continue
        if not (name := _command(file, line)):
            return whole
        inside = (inside or name == b"MULTI") and name != b"EXEC"
        if not inside:
            whole = file.tell()
    return whole


def _command(file: BinaryIO, line: bytes) -> bytes:
    # The command's name, or nothing where it is not whole.
    name = b""
    for place in range(_count(line, b"*")):
        size = _count(file.readline(32), b"$")
        text = file.read(size) if size >= 0 else b""
        if size < 0 or len(text) != size or file.read(2) != b"\r\n":
            return b""
        name = name or (text.upper() if place == 0 else b"")
    return name


def _count(line: bytes, mark: bytes) -> int:
    found = re.fullmatch(re.escape(mark) + rb"(\d{1,10})\r\n", line)
    return int(found[1]) if found else -1
