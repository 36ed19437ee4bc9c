"""The file that a command writes, named on the command line, or standard output: written whole or not at all."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import BinaryIO, NoReturn

from roark_ledger.whole_files import remove_left_overs, replacing
from roark_ops.cli.terminal.running import USAGE, fail, say
from roark_ops.cli.terminal.words import one_line
from roark_producer.files.compression import compressing

STDOUT = "-"
_ENDING = (signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT)


@contextmanager
def target(path: str, *, force: bool) -> Iterator[BinaryIO]:
    """Yield what is to be written to, packed as the name of `path` says; ends the command where that is impossible."""
    if path == STDOUT:
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    place = Path(path)
    _check(place, force=force)
    for left in remove_left_overs(place):
        say(f"Removed {one_line(str(left))}, which a command that was killed had left there.")
    try:
        with ending_cleanly(), replacing(place, overwrite=force) as file:
            packing = compressing(file, path)
            yield packing
            packing.close()
    except FileExistsError:
        _refuse(place)
    except OSError as error:
        fail(f"cannot write {path}: {error.strerror}.")


@contextmanager
def ending_cleanly() -> Iterator[None]:
    """End the block as Ctrl-C would when a signal ends this process, so that what must not stay behind is removed."""

    def end(number: int, _: FrameType | None) -> NoReturn:
        for each in _ENDING:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    # Whoever uses nohup wants no SIGHUP.
    before = {each: signal.getsignal(each) for each in _ENDING if signal.getsignal(each) is not signal.SIG_IGN}
    for each in before:
        signal.signal(each, end)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _check(path: Path, *, force: bool) -> None:
    if not os.path.lexists(path):
        return
    if not force:
        _refuse(path)
    if not path.is_file() and not path.is_symlink():
        fail(f"{path} is not a regular file. To write into a pipe, use - for standard output.", USAGE)


def _refuse(path: Path) -> NoReturn:
    fail(f"{path} already exists. Choose another name, or add --force to overwrite it.", USAGE)
