"""Takes erased calls and a person's number out of the files of a data directory that are not the ledger's.

logs          overwritten in place, a star for each byte: a living process goes on writing to the same file
left-overs    copies of edits and unfinished files of commands that were killed: removed
exports       lines of reports in any other file: the file is written anew without them
copies        of the embedded server's files, made by `repair aof`: named, for a person to delete
"""

import io
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from roark_ledger.private_files import private
from roark_ledger.whole_files import left_overs, replacing
from roark_ops.erasing.searching import Sought
from roark_ops.mending.copies import remove_left_overs as remove_edits
from roark_producer.disk.segments import locked
from roark_producer.files.compression import DamagedInput, compressing, decompressed

_CALL_ID = re.compile(rb'call_id(?:=|": ?)"?([!#-\[\]-~]{1,200}?)(?=["\s,}]|$)')
_OURS = re.compile(r"ledger-.*|up\.lock|\.gitignore|flower.*|.*\.cells|\..*\.partial")
_MOST_BYTES = 1 << 30


@dataclass(slots=True)
class Cleaned:
    """What was done: lines of logs, files removed, lines of exports; and what stays, by its path and why."""

    log_lines: int = 0
    removed: list[Path] = field(default_factory=list)
    export_lines: int = 0
    left: list[tuple[Path, str]] = field(default_factory=list)
    copies: list[Path] = field(default_factory=list)


def clean_files(
    data_dir: Path,
    sought: Sought,
    call_ids: Collection[str],
    erased_among: Callable[[Collection[str]], Collection[str]],
    *,
    mentions: bool,
) -> Cleaned:
    """Clean a data directory. `erased_among` says which of some calls were erased, in this run or before."""
    done = Cleaned()
    for log in sorted((data_dir / "logs").glob("*.log*")):
        _tried(done, log, lambda path: _clean_log(path, done, sought, call_ids, erased_among))
    done.copies += sorted(data_dir.glob("*-before-repair-*"))
    try:
        done.removed += remove_edits(data_dir)
    except OSError as error:
        done.left.append((data_dir / "edit", str(error.strerror)))
    for path in left_overs(data_dir):
        if _tried(done, path, Path.unlink):
            done.removed.append(path)
    for path in sorted(data_dir.iterdir()) if data_dir.is_dir() else ():
        if path.is_file() and not path.is_symlink() and not _OURS.fullmatch(path.name):
            _tried(done, path, lambda each: _clean_export(each, done, sought, call_ids, mentions=mentions))
    return done


def _tried(done: Cleaned, path: Path, action: Callable[[Path], object]) -> bool:
    try:
        action(path)
    except FileNotFoundError:
        return False
    except (OSError, DamagedInput) as error:
        done.left.append((path, str(getattr(error, "strerror", None) or error)))
        return False
    return True


def _clean_log(
    path: Path,
    done: Cleaned,
    sought: Sought,
    call_ids: Collection[str],
    erased_among: Callable[[Collection[str]], Collection[str]],
) -> None:
    wanted = [call_id.encode() for call_id in call_ids]
    with open(path, "r+b", opener=private) as file:
        named = {found[1].decode() for line in file for found in _CALL_ID.finditer(line)}
        wanted += [call_id.encode() for call_id in erased_among(named) if call_id not in call_ids]
        file.seek(0)
        at = 0
        for line in iter(file.readline, b""):
            fresh = _starred(line, wanted, sought)
            if fresh != line:
                file.seek(at)
                file.write(fresh)
                done.log_lines += 1
            at += len(line)
            file.seek(at)


def _starred(line: bytes, wanted: Collection[bytes], sought: Sought) -> bytes:
    for call_id in wanted:
        line = line.replace(call_id, b"*" * len(call_id))
    # In Latin-1 a byte is a character, so that the length stays.
    text = line.decode("latin-1")
    if sought and (sought.is_in(text) or sought.is_in(line.decode("utf-8", "replace"))):
        kept = _masked_in_place(text, sought)
        # In another disguise than plain digits: the line goes.
        line = kept.encode("latin-1") if not sought.is_in(kept) and kept != text else _blank(line)
    return line


def _masked_in_place(text: str, sought: Sought) -> str:
    for number in sought.numbers:
        text = number.pattern.sub(lambda found: "*" * len(found[0]), text)
    return text


def _blank(line: bytes) -> bytes:
    ending = line[len(line.rstrip(b"\r\n")) :]
    return b"*" * (len(line) - len(ending)) + ending


def _clean_export(path: Path, done: Cleaned, sought: Sought, call_ids: Collection[str], *, mentions: bool) -> None:
    wanted = [call_id.encode() for call_id in call_ids]

    def is_unwanted(line: bytes) -> bool:
        if any(call_id in line for call_id in wanted):
            return True
        found = sought.places_in(line) if sought else None
        return bool(found and (found.is_ or (mentions and found.mentions)))

    if path.stat().st_size > _MOST_BYTES:
        done.left.append((path, "too large to be searched"))
        return
    lines = list(_lines(path))
    kept = [line for line in lines if not is_unwanted(line)]
    if len(kept) == len(lines):
        return
    if not all(line.lstrip()[:1] == b"{" for line in lines if line.strip()):
        done.left.append((path, "it contains such data, but not one report per line: delete it yourself"))
        return
    with replacing(path) as file:
        packing = compressing(file, path.name)
        packing.writelines(kept)
        packing.close()
    done.export_lines += len(lines) - len(kept)


def _lines(path: Path) -> Iterator[bytes]:
    file = locked(path)
    if file is None:
        return
    with file:
        yield from io.BytesIO(decompressed(file).read())
