"""Watches a replay job until there is nothing to watch: a bar on stderr in a terminal, otherwise a line now and then.

The job needs no watching: Ctrl-C, or a terminal that is closed, leaves it to the workers.
"""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from roark_ledger.errors import LedgerUnavailable
from roark_ledger.records.replays import Job, JobState
from roark_ops.cli.terminal.running import INTERRUPTED, TO_ACT_ON, in_words, say
from roark_ops.cli.terminal.words import span
from roark_ops.cli.views.replay import in_a_word, seconds_left
from roark_ops.desk.replays import Replays

_EVERY_SECONDS = 0.5
_LINE_EVERY = 20


def follow(replays: Replays, number: int) -> tuple[Job | None, int]:
    """Return the job as it was last seen, and the exit code, when it has ended, paused or been cancelled."""
    job: Job | None = None
    pause = threading.Event()
    try:
        with _shown() as show:
            while True:
                try:
                    job = replays.show(number)
                except LedgerUnavailable as error:
                    say(in_words(error))
                else:
                    if job is None:
                        return None, 1
                    show(job)
                    if job.state in {JobState.ENDED, JobState.PAUSED}:
                        break
                pause.wait(_EVERY_SECONDS)
    except KeyboardInterrupt:
        say(
            f"Replay job {number} continues without this terminal. Watch: roark-ingest replay show {number} --follow. "
            f"Cancel: roark-ingest replay cancel {number}"
        )
        return job, INTERRUPTED
    return job, TO_ACT_ON if job.state is JobState.PAUSED or job.failed else 0


@contextmanager
def _shown() -> Iterator[Callable[[Job], None]]:
    if sys.stderr.isatty():
        with _bar() as show:
            yield show
        return
    seen = 0

    def tell(job: Job) -> None:
        nonlocal seen
        if seen % _LINE_EVERY == 0:
            say(_in_a_line(job))
        seen += 1

    yield tell


@contextmanager
def _bar() -> Iterator[Callable[[Job], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    columns = (BarColumn(bar_width=None), MofNCompleteColumn(), TextColumn("{task.fields[words]}", markup=False))
    with Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task("", total=None, words="")

        def show(job: Job) -> None:
            bars.update(task, total=job.selected, completed=_settled(job), words=_words(job))

        yield show


def _settled(job: Job) -> int:
    return job.delivered + job.failed + job.erased + sum(job.left.values()) + job.given_back


def _words(job: Job) -> str:
    left = seconds_left(job)
    parts = [in_a_word(job), f"{job.failed} failed" if job.failed else "", f"{span(left)} left" if left else ""]
    return ", ".join(filter(None, parts))


def _in_a_line(job: Job) -> str:
    return f"Replay job {job.number}: {_settled(job)} of {job.selected}, {_words(job)}."
