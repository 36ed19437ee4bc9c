"""Processes under measurement, each with all that it starts.

CPU time and memory come from the operating system: CPU is user and system time of the process, of all that descend
from it, and of those that have ended and were waited for; memory is PSS, which counts a shared page once.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class TookTooLong(Exception):
    """A condition did not come true in time."""


class Group:
    """A process and whatever it starts."""

    def __init__(self, command: Sequence[str], *, env: Mapping[str, str], log: Path, cwd: Path | None = None) -> None:
        self.log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command, env=dict(env), cwd=cwd, stdout=output, stderr=output, start_new_session=True
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def pids(self) -> list[int]:
        """The process and those that it started, and those that they started, as far as they run."""
        return [pid for pid, _ in self._stats()]

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        return sum(_seconds(fields) for _, fields in self._stats())

    def _stats(self) -> list[tuple[int, list[str]]]:
        stats = dict(_all_stats())
        # By session as well: a parent that ended hands its children to somebody else.
        found = {pid for pid, fields in stats.items() if int(fields[3]) == self.pid}
        more = True
        while more:
            more = {pid for pid, fields in stats.items() if int(fields[1]) in found} - found
            found |= more
        return [(pid, stats[pid]) for pid in found]

    def pss_bytes(self) -> int:
        """The memory in use now."""
        return sum(_pss(pid) for pid in self.pids())

    def peak_bytes(self) -> int:
        """The most memory (RSS) that each process has had so far, added up: what they share counts for each."""
        return sum(_peak(pid) for pid in self.pids())

    def is_running(self) -> bool:
        return self._process.poll() is None

    def send(self, signal_number: signal.Signals) -> None:
        """Send a signal to all of them."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal_number)

    def wait_for_text(self, text: str, seconds: float = 30) -> float:
        """Wait until the log says `text`; return how long that took."""
        return wait_until(lambda: text in self.log.read_text(errors="replace"), f"{text!r} in {self.log}", seconds)

    def end(self, seconds: float = 3) -> None:
        """Ask it to end, then make it and all that it has started."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        self.send(signal.SIGKILL)
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


def cpu_seconds_of(pid: int) -> float:
    """User and system time so far of a process that somebody else started."""
    return _seconds(dict(_all_stats())[pid])


def wait_until(condition: Callable[[], object], what: str, seconds: float, every: float = 0.02) -> float:
    """Return how many seconds it took until `condition` was true; raise TookTooLong when it does not become so."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > seconds:
            raise TookTooLong(what)
        time.sleep(every)  # noqa: TID251 a condition with a deadline is what this is
    return time.monotonic() - started


def _all_stats() -> Iterator[tuple[int, list[str]]]:
    # Fields as in proc(5) from the third one on: state, ppid, pgrp, session, …, utime, stime, cutime, cstime.
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                yield int(entry.name), Path(entry.path, "stat").read_text().rpartition(")")[2].split()


def _seconds(fields: list[str]) -> float:
    return sum(map(int, fields[11:15])) / _TICKS_PER_SECOND


def _pss(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def _peak(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0
