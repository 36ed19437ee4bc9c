"""A report in the operator's editor: a copy under the data directory, which is gone when the command ends.

However that ends: by itself, by Ctrl-C, by SIGHUP (the terminal was closed) or SIGTERM; the editor is ended first. What
a killed command left behind, the next `dlq edit` and `erase` remove (see `mending/copies.py`).
"""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import typer

from roark_ops.cli.terminal.running import USAGE, fail, say
from roark_ops.cli.terminal.targets import ending_cleanly
from roark_ops.mending.copies import copied
from roark_ops.mending.editing import CannotEdit

T = TypeVar("T")
_END_SECONDS = 3.0


def edited(text: bytes, data_dir: Path, read: Callable[[bytes], T]) -> T:
    """Open `text` in the editor and return what `read` makes of what was saved.

    What `read` refuses with CannotEdit may be edited again; raises it where the person gives up.
    """
    words = _editor()
    try:
        with ending_cleanly(), copied(text, data_dir) as (path, left):
            for each in left:
                say(f"Removed {each}, which an edit that was killed had left there.")
            while True:
                _open(words, path)
                try:
                    return read(path.read_bytes())
                except CannotEdit as error:
                    if not (sys.stdin.isatty() and typer.confirm(f"{error}. Keep editing?", default=True, err=True)):
                        raise
    except OSError as error:
        fail(
            f"cannot edit in {data_dir}: {error.strerror}. Fix its permissions, or set ROARK_INGEST_DATA_DIR to "
            "another directory."
        )


def _editor() -> list[str]:
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or ("vi" if sys.stdin.isatty() else "")
    words = shlex.split(editor)
    if not words or not shutil.which(words[0]):
        fail("no editor: set EDITOR, or use --change, --set or --patch.", USAGE)
    return words


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
