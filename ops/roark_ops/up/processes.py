"""One part of the pipeline as a real process: started, watched, its log, and how it is ended.

Output of a part goes to DATA_DIR/logs/NAME.log, appended; at a start a log of more than 10 MB becomes NAME.log.1.
A part is ready when it says so, in its log or by answering. It dies with `up`, however `up` dies, and it has a
session of its own: Ctrl-C in the terminal reaches `up` alone, which ends the parts in order.
"""

import asyncio
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from roark_ledger.errors import IngestError
from roark_ledger.private_files import private
from roark_ops.up.waiting import until
from roark_producer.process.orphans import bound_to_this_process

_MOST_LOG_BYTES = 10_000_000
_TOLD_LINES = 8


class PartFailed(IngestError):
    """A part of the pipeline cannot be started, or refuses its settings; the message has its last words."""


@dataclass(frozen=True, slots=True)
class Part:
    """What there is to know about a part. `is_ready` gets what the process has logged so far.

    `end_seconds` is how long it may take after SIGTERM, `ending` what it does meanwhile; `dies_by` is what the
    kernel sends it when `up` is killed. One that is expendable nobody waits for at the start, or minds at the end.
    """

    name: str
    command: Callable[[], Awaitable[list[str]]]
    log: Path
    is_ready: Callable[[str], bool]
    environment: Mapping[str, str]
    end_seconds: float
    ending: str = ""
    start_seconds: float = 60.0
    dies_by: signal.Signals = signal.SIGKILL
    is_expendable: bool = False


class Process:
    """The running process of a part, one start of it."""

    def __init__(self, part: Part, popen: "subprocess.Popen[bytes]", log_offset: int) -> None:
        self.part = part
        self.started = time.monotonic()
        self._popen = popen
        self._log_offset = log_offset
        self._asked_to_end: float | None = None

    @classmethod
    async def start(cls, part: Part) -> "Process":
        """Start the part. To be called from the main thread, which is what the process is bound to."""
        command = bound_to_this_process(await part.command(), by=part.dies_by)
        _rotate(part.log)
        with open(part.log, "ab", opener=private) as log:  # noqa: ASYNC230 a local file
            log.seek(0, 2)
            return cls(part, _popen(command, part, log.fileno()), log.tell())

    @property
    def exit_code(self) -> int | None:
        """The exit code, None while it runs."""
        return self._popen.poll()

    @property
    def is_ready(self) -> bool:
        """Whether it runs and is ready for work."""
        return self.exit_code is None and self.part.is_ready(self.said())

    def said(self) -> str:
        """What it has logged since this start."""
        with self.part.log.open("rb") as log:
            log.seek(self._log_offset)
            return log.read(_MOST_LOG_BYTES).decode("utf-8", "replace")

    def last_words(self) -> str:
        """The end of what it has logged, for a message."""
        lines = [line for line in self.said().splitlines() if line.strip()]
        return "\n".join(f"    {line}" for line in lines[-_TOLD_LINES:]) or "    (no output)"

    async def until_ready(self) -> None:
        """Wait until it is ready.

        Raises PartFailed when it ends before, or takes too long.
        """
        await until(lambda: self.is_ready or self.exit_code is not None, self.part.start_seconds)
        if not self.is_ready:
            what = f"was not ready after {self.part.start_seconds:.0f} s"
            if self.exit_code is not None:
                what = f"exited with code {self.exit_code}"
            raise PartFailed(f"the {self.part.name} {what}. Last lines of {self.part.log}:\n{self.last_words()}")

    def ask_to_end(self) -> float:
        """Tell it to end, once; return until when it may take."""
        if self._asked_to_end is None:
            self._asked_to_end = time.monotonic()
            self._popen.terminate()
        return self._asked_to_end + self.part.end_seconds

    async def end(self, insisted: asyncio.Event) -> bool:
        """Tell it to end, and kill it when its time is up or `insisted` is set; return whether it ended by itself."""
        seconds = self.ask_to_end() - time.monotonic()
        await until(lambda: self.exit_code is not None or insisted.is_set(), seconds)
        if self.exit_code is not None:
            return True
        self._popen.kill()
        self._popen.wait()
        return False


def _popen(command: list[str], part: Part, log: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(  # noqa: S603 our own command line
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env=dict(part.environment),
        start_new_session=True,
    )


def _rotate(log: Path) -> None:
    if log.exists() and log.stat().st_size > _MOST_LOG_BYTES:
        log.replace(log.with_name(log.name + ".1"))
