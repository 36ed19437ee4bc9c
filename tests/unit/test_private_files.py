"""All of the product writes through one door, which follows no link and uses nothing that another user prepared."""

import ast
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from offenders import for_each

from roark_ledger.errors import IngestError, LedgerUnavailable
from roark_ledger.private_files import is_ours, own_folder, private

ROOT = Path(__file__).parents[2]
FOLDERS = ("producer", "worker", "ops/roark_ops", "ops/roark_sandbox", "ops/roark_samples")
DOOR = {"producer/roark_ledger/private_files.py"}
# Why each may do without. One that is gone from the code has to go from here.
EXCUSED = {
    ("ops/roark_ops/env_example.py", "write_text"): "a page of this repository, by make env-example",
    ("ops/roark_ops/up/server/aof.py", "copytree"): "into a folder that it makes, and fails where something is",
    ("ops/roark_ops/erasing/flower_store.py", "shelve.open"): "in a folder of mkdtemp",
    ("producer/roark_producer/files/compression.py", "GzipFile"): "around a file that is open",
    ("producer/roark_ledger/whole_files.py", "hardlink_to"): "to a name that fails where something is",
}
MAKES = frozenset(
    [
        "write_text",
        "write_bytes",
        "touch",
        "mkdir",
        "makedirs",
        "mkfifo",
        "mknod",
        "mktemp",
        "copyfile",
        "copy2",
        "copytree",
        "FileHandler",
        "GzipFile",
        "ZipFile",
        "RotatingFileHandler",
        "WatchedFileHandler",
        "hardlink_to",
    ]
)
_MAY_WRITE = re.compile(rf"\b(?:open|truncate|copy|move|connect|{'|'.join(MAKES)})\(")
WRITING_FLAGS = ("O_CREAT", "O_WRONLY", "O_RDWR", "O_APPEND", "O_TRUNC")


def writers(source: str) -> Iterator[str]:
    """What a module calls that makes or changes a file, past the door."""
    if not _MAY_WRITE.search(source):
        return
    for call in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if name in MAKES:
            yield name
        elif name in {"open", "truncate", "copy", "move", "connect"} and (full := _past_the_door(call)):
            yield full


def _past_the_door(call: ast.Call) -> str:
    full, words = ast.unparse(call.func), ast.unparse(call)
    if full == "os.open":
        writes = any(flag in words for flag in WRITING_FLAGS) and "os.devnull" not in words
    elif full in {"shelve.open", "dbm.open"}:
        writes = not any(isinstance(each, ast.Constant) and each.value == "r" for each in call.args)
    elif full.endswith("open"):
        openers = [ast.unparse(word.value) for word in call.keywords if word.arg == "opener"]
        writes = bool(_mode(call, _place_of_mode(full)) & set("wax+")) and openers != ["private"]
    else:
        writes = full in {"os.truncate", "shutil.copy", "shutil.move", "sqlite3.connect"}
    return full if writes else ""


def _place_of_mode(full: str) -> int:
    return 1 if full == "open" or _is_module(full) else 0


def _is_module(full: str) -> bool:
    return full.partition(".")[0] in {"io", "gzip", "bz2", "lzma", "codecs", "zstandard", "tarfile", "os"}


def _mode(call: ast.Call, place: int) -> set[str]:
    given = [word.value for word in call.keywords if word.arg == "mode"] + call.args[place : place + 1]
    return set().union(*(set(str(each.value)) if isinstance(each, ast.Constant) else {"w"} for each in given))


def modules() -> Iterator[tuple[str, str]]:
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield str(path.relative_to(ROOT)), path.read_text("utf-8")


def test_everything_that_writes_goes_through_the_door() -> None:
    found = {(path, each) for path, source in modules() if path not in DOOR for each in writers(source)}
    assert found - set(EXCUSED) == set()
    assert set(EXCUSED) - found == set(), "nothing there to be excused any more"


@for_each(
    "line",
    (
        "open(p, 'w')", "open(p, mode='ab')", "open(p, 'r+b')", "open(p, mode)", "p.open('x')", "p.open(mode='w')",
        "p.write_text(t)", "Path(p).write_bytes(b)", "os.open(p, os.O_RDWR | os.O_CREAT)", "os.open(p, os.O_WRONLY)",
        "p.mkdir()", "os.makedirs(p)", "p.touch()", "shutil.copyfile(a, b)", "gzip.open(p, 'wb')", "io.open(p, 'w')",
        "shelve.open(p)", "tempfile.mktemp()", "logging.FileHandler(p)", "zipfile.ZipFile(p, 'w')", "os.truncate(p, 1)",
        "open(p, 'w', opener=mine)", "shutil.move(a, b)", "sqlite3.connect(p)",
    ),
)  # fmt: skip
def test_who_writes_past_the_door_is_seen(line: str) -> None:
    assert list(writers(line))


def test_who_only_reads_or_goes_through_the_door_is_not() -> None:
    for line in (
        "open(p, 'rb')",
        "p.open()",
        "open(p, 'ab', opener=private)",
        "os.open(p, os.O_RDONLY)",
        "own_folder(p)",
    ):
        assert not list(writers(line))


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("keep")
    (tmp_path / "link").symlink_to(victim)
    for mode in ("w", "a", "x", "r+"):
        with pytest.raises(OSError, match=r"link|exists"):
            open(tmp_path / "link", mode, opener=private).close()
    assert victim.read_text() == "keep"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can prepare what belongs to another user")
def test_what_another_user_prepared_where_everybody_may_write_is_refused(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    (shared / "file").write_text("prepared")
    (shared / "folder").mkdir()
    (shared / "link").symlink_to(tmp_path)
    for name in ("file", "folder", "link"):
        os.chown(shared / name, 4711, 4711, follow_symlinks=False)
    with pytest.raises(PermissionError, match="another user"):
        open(shared / "file", "a", opener=private).close()
    assert not is_ours(shared / "file")
    assert (shared / "file").read_text() == "prepared"
    for name in ("folder", "link"):
        with pytest.raises(PermissionError, match="another user"):
            own_folder(shared / name)
    own_folder(shared / "mine" / "inner")
    own_folder(shared / "mine" / "inner")
    # Where not everybody may write, who may has put it there: a volume of another owner, a checkout that root works in.
    shared.chmod(0o755)
    for name in ("folder", "link"):
        own_folder(shared / name)
    open(shared / "file", "a", opener=private).close()


def test_ones_own_link_to_another_disk_is_fine(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    tmp_path.chmod(0o1777)
    (tmp_path / "data").symlink_to(tmp_path / "disk")
    own_folder(tmp_path / "data")


def test_whoever_writes_in_a_data_directory_writes_through_no_link_there(tmp_path: Path) -> None:
    from roark_ledger.records.alerts import Message
    from roark_ops.acl_files import laid_down
    from roark_ops.cli.run.flowering import foreign
    from roark_ops.erasing import flower_store
    from roark_ops.mending.copies import copied
    from roark_ops.roles import RolePlace
    from roark_ops.up.datadir import taken
    from roark_ops.up.server.aof import cuts, mend
    from roark_worker.alerts.past_redis import PastRedis
    from roark_worker.metrics.cells import Layout, take

    def never(_kind: str, _message: Message, _seconds: float) -> bool:
        return True

    data = tmp_path / "data"
    told = PastRedis(data, never, repeat_seconds=1, after_seconds=0)

    def aof(_: Path) -> None:
        mend(data / "valkey", cuts(data / "valkey"))

    def hold(folder: Path) -> None:
        with taken(folder):
            pass

    def edit(folder: Path) -> None:
        with copied(b"secret", folder):
            pass

    writers_by_place = {
        "up.lock": hold,
        "logs": hold,
        "edit": edit,
        "ledger-away": lambda _: told.failed(LedgerUnavailable("away")),
        "cells/a-0.cells": lambda _: take(data / "cells", Layout("a", 2, 1)),
        "users/redis_url_worker": lambda _: laid_down(data / "users", RolePlace("x"), "redis://h"),
        "users/users.acl": lambda _: laid_down(data / "users", RolePlace("x"), "redis://h"),
        "flower.tmp": lambda _: flower_store._save(data / "flower", {}, {}),
        "flower.lock": lambda _: flower_store._note(data / "flower", 1),
        "valkey/appendonlydir/appendonly.aof.1.base.rdb": aof,
        "valkey/appendonlydir/appendonly.aof.manifest": aof,
    }
    written = []
    for place, write in writers_by_place.items():
        shutil.rmtree(data, ignore_errors=True)
        victim = tmp_path / "victim"
        victim.unlink(missing_ok=True)
        (data / place).parent.mkdir(parents=True)
        (data / "valkey" / "appendonlydir").mkdir(parents=True, exist_ok=True)
        (data / "valkey" / "dump.rdb").write_bytes(b"REDIS0011 secret")
        for content in (b"", b"keep"):
            if content:
                victim.write_bytes(content)
            (data / place).unlink(missing_ok=True)
            (data / place).symlink_to(victim)
            with suppress(OSError, IngestError):
                write(data)
            if victim.exists() != bool(content) or (content and victim.read_bytes() != content):
                written.append(place)
    assert not written
    assert not foreign(data / "flower")
