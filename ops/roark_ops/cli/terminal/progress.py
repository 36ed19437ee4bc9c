"""How far a command is with its files: a bar on stderr where that is a terminal, otherwise nothing but complaints."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from roark_ops.cli.act.feeding import Fed
from roark_ops.cli.terminal.running import say
from roark_ops.cli.terminal.sources import Source


class Quiet:
    """Shows complaints alone."""

    def show(self, fed: Fed) -> None:
        """Take note of a batch: what was printed of it is let out."""
        sys.stdout.flush()

    def complain(self, message: str) -> None:
        """Tell a person what went wrong."""
        say(message)


class Bar(Quiet):
    """Shows a bar of the bytes that are read, and how many documents were in them."""

    def __init__(self, sources: Sequence[Source]) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

        self._sources = sources
        self._bars = Progress(
            BarColumn(bar_width=None),
            DownloadColumn(),
            TextColumn("{task.fields[reports]} read, {task.fields[rate]}/s"),
            TimeRemainingColumn(compact=True),
            console=Console(stderr=True, highlight=False, markup=False, emoji=False),
            transient=True,
        )
        sizes = [source.size for source in sources]
        total = sum(size for size in sizes if size) if None not in sizes else None
        self._task = self._bars.add_task("", total=total, reports=0, rate=0)

    def show(self, fed: Fed) -> None:
        """Take note of a batch, and draw the bar anew."""
        super().show(fed)
        elapsed = self._bars.tasks[0].elapsed or 0.0
        rate = round(fed.read / elapsed) if elapsed else 0
        read_bytes = sum(source.read_bytes for source in self._sources)
        self._bars.update(self._task, completed=read_bytes, reports=fed.read, rate=rate)

    def complain(self, message: str) -> None:
        """Tell a person what went wrong, above the bar."""
        self._bars.console.print(message, soft_wrap=True)

    @contextmanager
    def drawn(self) -> Iterator["Bar"]:
        """Draw while the block runs, and leave no trace."""
        with self._bars:
            yield self


@contextmanager
def progress(sources: Sequence[Source], *, quiet: bool) -> Iterator[Quiet]:
    """Show the progress of a command on stderr."""
    if quiet or not sys.stderr.isatty():
        yield Quiet()
        return
    with Bar(sources).drawn() as bar:
        yield bar
