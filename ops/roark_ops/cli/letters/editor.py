"""A report in the operator's editor: a copy under the data directory, which is gone when the command ends.

1. Each edit has a folder of its own, DATA_DIR/edit/…, locked while its command lives: editors lay copies of their own
   beside a file.
2. The folder is removed however the command ends: by itself, by Ctrl-C, by SIGHUP (the terminal was closed), SIGTERM.
   The editor is ended first.
3. What a command that was killed (SIGKILL, a power cut) left behind has no lock any more. The next `dlq edit` and
   `erase` remove it and say so.
"""

import fcntl
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import typer

from roark_ledger.whole_files import private
from roark_ops.cli.terminal.running import USAGE, fail, say
from roark_ops.cli.terminal.targets import ending_cleanly
from roark_ops.mending.editing import CannotEdit
from roark_ops.up.datadir import make_data_dir

T = TypeVar("T")
_FOLDER = "edit"
_END_SECONDS = 3.0


def edited(text: bytes, data_dir: Path, read: Callable[[bytes], T]) -> T:
    """Open `text` in the editor and return what `read` makes of what was saved.

    What `read` refuses with CannotEdit may be edited again; raises it where the person gives up.
    """
    words = _editor()
    with _copy(text, data_dir) as path:
        while True:
            _open(words, path)
            try:
                return read(path.read_bytes())
            except CannotEdit as error:
                if not (sys.stdin.isatty() and typer.confirm(f"{error}. Keep editing?", default=True, err=True)):
                    raise


def remove_left_overs(data_dir: Path) -> list[Path]:
    """Remove the copies of edits whose commands were killed; return what that was. Raises OSError."""
    if not (data_dir / _FOLDER).is_dir():
        return []
    with _held(data_dir / _FOLDER):
        return _clear(data_dir / _FOLDER)


def _editor() -> list[str]:
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or ("vi" if sys.stdin.isatty() else "")
    words = shlex.split(editor)
    if not words or not shutil.which(words[0]):
        fail("no editor: set EDITOR, or use --change, --set or --patch.", USAGE)
    return words


@contextmanager
def _copy(text: bytes, data_dir: Path) -> Iterator[Path]:
    folder = data_dir.absolute() / _FOLDER
    with ending_cleanly():
        own = None
        try:
            try:
                make_data_dir(data_dir)
                folder.mkdir(mode=0o700, exist_ok=True)
                with _held(folder):
                    left = _clear(folder)
                    own = Path(tempfile.mkdtemp(dir=folder))
                    lock = _lock(own)
                path = own / "report.json"
                with open(path, "xb", opener=private) as file:
                    file.write(text)
            except OSError as error:
                fail(
                    f"cannot write to {folder}: {error.strerror}. Fix its permissions, or set ROARK_INGEST_DATA_DIR "
                    "to another directory."
                )
            for each in left:
                say(f"Removed {each}, which an edit that was killed had left there.")
            yield path
        finally:
            if own is not None:
                shutil.rmtree(own, ignore_errors=True)
                os.close(lock)
            with suppress(OSError):
                folder.rmdir()


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    # So that nobody takes a copy that is being made, and has no lock yet, for one that was left behind.
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _lock(folder: Path) -> int:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise
    return handle


def _clear(folder: Path) -> list[Path]:
    removed = []
    for each in sorted(folder.iterdir()):
        try:
            lock = _lock(each)
        except OSError:
            continue
        try:
            shutil.rmtree(each)
        finally:
            os.close(lock)
        removed.append(each)
    return removed


def _open(words: list[str], path: Path) -> None:
    with subprocess.Popen([*words, str(path)]) as editor:  # noqa: S603 the operator's own editor
        try:
            code = editor.wait()
        except BaseException:
            _end(editor)
            raise
    if code:
        fail(f"{words[0]} exited with {code}; nothing was changed.")


def _end(editor: "subprocess.Popen[bytes]") -> None:
    # Gently, so that it puts the terminal back in order; its own copies lie beside ours.
    editor.terminate()
    try:
        editor.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        editor.kill()
        editor.wait()
