"""What a person sees of an `up`: lines, and in a terminal two bars while the demo runs.

With --json the lines go to stderr, so that stdout carries the summary alone.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn
from rich.progress import Progress as Bars

from roark_ops.called import as_called
from roark_ops.cli.terminal.output import broken
from roark_ops.up.demo import Progress

_LINE_SECONDS = 2.0


class Screen:
    """Where `up` speaks to a person."""

    def __init__(self, *, json: bool) -> None:
        self.json = json
        self._console = Console(stderr=json, highlight=False, markup=False, emoji=False, soft_wrap=True)

    def say(self, text: str = "", style: str | None = None) -> None:
        """Show one message."""
        columns = self._console.width if self._console.is_terminal else 0
        self._console.print(broken(as_called(text), columns), style=style)

    def hand_over(self, document: str) -> None:
        """Give a program its answer."""
        sys.stdout.write(document + "\n")
        sys.stdout.flush()

    @contextmanager
    def following(self, reports: int) -> Iterator["Following"]:
        """Show a demo's progress while the block runs."""
        if not self._console.is_terminal:
            yield PlainLines(self)
            return
        with Bars(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            console=self._console,
        ) as bars:
            yield TwoBars(bars, reports)


class TwoBars:
    """Taken in and delivered, as bars."""

    def __init__(self, bars: Bars, reports: int) -> None:
        self._bars = bars
        self._posted: TaskID = bars.add_task("posted   ", total=reports, note="")
        self._delivered: TaskID = bars.add_task("delivered", total=reports, note="")

    def show(self, progress: Progress) -> None:
        """Move the bars."""
        self._bars.update(self._posted, completed=progress.posted, total=progress.reports, note=_taken(progress))
        self._bars.update(
            self._delivered,
            completed=progress.delivered,
            total=max(progress.taken_in, progress.delivered),
            note=_states(progress),
        )


class PlainLines:
    """The same as a line now and then, for a log or a pipe."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._said_at = 0.0

    def show(self, progress: Progress) -> None:
        """Say how far it is, if it is a while since that was said."""
        if time.monotonic() < self._said_at + _LINE_SECONDS:
            return
        self._said_at = time.monotonic()
        self._screen.say(
            f"posted {progress.posted}/{progress.reports}, {_taken(progress)}, delivered {progress.delivered}"
            f" ({_states(progress)})"
        )


Following = TwoBars | PlainLines


def _taken(progress: Progress) -> str:
    return f"{progress.taken_in} calls accepted"


def _states(progress: Progress) -> str:
    return ", ".join(f"{count} {state}" for state, count in progress.states.items() if state in _SHOWN)


_SHOWN = ("ready", "uploading", "waiting", "dead")
