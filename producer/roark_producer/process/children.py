"""Several processes of one kind, kept alive: what ends by itself is started again.

The pause before that grows while a process keeps dying, without a limit on how often. One that refuses its settings
(exit code 78) is not started again: `keep` tells, and whoever looks after them should end.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from roark_ledger.logs import event

logger = logging.getLogger(__name__)

EX_CONFIG = 78
_HEALTHY_SECONDS = 60.0
_LOOK_SECONDS = 0.02


class Running(Protocol):
    """A process that was started: Popen is one, and so is Forked."""

    pid: int

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""

    def terminate(self) -> None:
        """Send SIGTERM."""

    def kill(self) -> None:
        """Send SIGKILL."""


@dataclass(slots=True)
class _Child:
    number: int
    pause: float
    running: Running | None = None
    started: float = 0.0
    start_at: float = field(default_factory=time.monotonic)


class Children:
    """So many processes of a kind, numbered from 1. `start` starts the one of a number."""

    def __init__(
        self,
        kind: str,
        number: int,
        start: Callable[[int], Running],
        *,
        first_pause_seconds: float = 1.0,
        longest_pause_seconds: float = 15.0,
    ) -> None:
        self._kind = kind
        self._start_one = start
        self._first_pause, self._longest_pause = first_pause_seconds, longest_pause_seconds
        self._children = [_Child(each, first_pause_seconds) for each in range(1, number + 1)]
        self._pause = threading.Event()
        self.restarts = 0
        """How many ended by themselves."""

    def __len__(self) -> int:
        return len(self._children)

    def keep(self) -> bool:
        """Start those that are due; return False when one refused its settings. To be called several times a second."""
        fit = [self._look_after(child) for child in self._children]
        return all(fit)

    def end(self, seconds: float) -> None:
        """End all: SIGTERM, and SIGKILL for those that take longer than this."""
        running = [child.running for child in self._children if child.running and child.running.poll() is None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + seconds
        for process in running:
            if not self._has_ended(process, deadline):
                event(logger, f"{self._kind}_killed", level=logging.ERROR, pid=process.pid)
                process.kill()
                self._has_ended(process, float("inf"))

    def _has_ended(self, process: Running, deadline: float) -> bool:
        while process.poll() is None:
            if time.monotonic() > deadline:
                return False
            self._pause.wait(_LOOK_SECONDS)
        return True

    def _look_after(self, child: _Child) -> bool:
        if child.running is None:
            if time.monotonic() >= child.start_at:
                self._start(child)
            return True
        code = child.running.poll()
        if code is None:
            return True
        if code == EX_CONFIG:
            return False
        lived = time.monotonic() - child.started
        pause = self._first_pause if lived > _HEALTHY_SECONDS else child.pause
        self.restarts += 1
        child.running = None
        child.start_at = time.monotonic() + pause
        child.pause = min(pause * 2, self._longest_pause)
        event(
            logger,
            f"{self._kind}_ended",
            level=logging.ERROR,
            **{self._kind: child.number},
            exit_code=code,
            lived_seconds=round(lived),
            again_in_seconds=pause,
        )
        return True

    def _start(self, child: _Child) -> None:
        try:
            child.running = self._start_one(child.number)
        except OSError as error:
            # No room for another process now: those that run go on.
            child.start_at = time.monotonic() + self._longest_pause
            name = f"{self._kind}_not_started"
            event(logger, name, level=logging.ERROR, **{self._kind: child.number}, error=error.strerror)
            return
        child.started = time.monotonic()
        event(logger, f"{self._kind}_starting", **{self._kind: child.number}, pid=child.running.pid)
