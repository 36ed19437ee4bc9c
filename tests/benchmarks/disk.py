"""The disk by itself: small appends, each synced, alone and beside a writer of bulk, with no Redis anywhere.

The bulk is written as Valkey's child writes a new append-only file: 4 MB at a time, each begun without waiting for it,
and waited for when the next one is begun. So up to 8 MB are on their way to the disk, and whoever syncs waits behind
them.

    PYTHONPATH=tests .venv/bin/python -m benchmarks.disk FOLDER --megabytes 1000
"""

import argparse
import ctypes
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

_CHUNK = 4 << 20
_BEGIN, _BEGIN_AND_WAIT = 2, 7
"""SYNC_FILE_RANGE_WRITE, and with it SYNC_FILE_RANGE_WAIT_BEFORE and _AFTER."""
_APPEND_BYTES = 10_000
_EVERY = 0.01
_QUIET_SECONDS = 5


def alone_and_beside(folder: Path, *, megabytes: int) -> dict[str, dict[str, float]]:
    """Return how long a synced append takes there, in ms, alone and beside a writer of so much."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        until = time.monotonic() + _QUIET_SECONDS
        alone = _appends(Path(name), lambda: time.monotonic() < until)
        command = [sys.executable, "-m", "benchmarks.disk", name, "--write", "--megabytes", str(megabytes)]
        with subprocess.Popen(command) as writer:
            beside = _appends(Path(name), lambda: writer.poll() is None)
    return {"alone": percentiles(alone), "beside": percentiles(beside)}


def percentiles(times: list[float]) -> dict[str, float]:
    """What is told of how long something took."""
    ranked = sorted(times)
    at = {"p50": 0.5, "p99": 0.99, "most": 1.0}
    return {name: round(ranked[min(len(ranked) - 1, int(len(ranked) * share))], 2) for name, share in at.items()}


def _appends(folder: Path, goes_on: Callable[[], bool]) -> list[float]:
    found, due, what, pause = [], time.monotonic(), os.urandom(_APPEND_BYTES), threading.Event()
    file = os.open(folder / "small", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    while goes_on():
        due += _EVERY
        pause.wait(max(0.0, due - time.monotonic()))
        began = time.monotonic()
        os.write(file, what)
        os.fdatasync(file)
        found.append(1000 * (time.monotonic() - began))
    os.close(file)
    return found


def write_bulk(folder: Path, *, megabytes: int) -> None:
    """Write so much as fast as the disk takes it."""
    what = os.urandom(_CHUNK)
    file = os.open(folder / "bulk", os.O_CREAT | os.O_WRONLY, 0o600)
    for at in range(0, megabytes * 1_000_000, _CHUNK):
        os.write(file, what)
        _sync_range(file, at, _BEGIN)
        if at:
            _sync_range(file, at - _CHUNK, _BEGIN_AND_WAIT)
    os.fsync(file)
    os.close(file)


def _sync_range(file: int, at: int, how: int) -> None:
    kernel = ctypes.CDLL(None, use_errno=True)
    if kernel.sync_file_range(file, ctypes.c_int64(at), ctypes.c_int64(_CHUNK), how):
        raise OSError(ctypes.get_errno(), "sync_file_range")


def main() -> None:
    """Measure and print, or be the writer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--write", action="store_true", help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.write:
        write_bulk(wanted.folder, megabytes=wanted.megabytes)
    else:
        json.dump(alone_and_beside(wanted.folder, megabytes=wanted.megabytes), sys.stdout, indent=1)


if __name__ == "__main__":
    main()
