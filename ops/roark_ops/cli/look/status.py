"""`roark-ingest status`: how many reports are in which state, what the lane does, what needs acting on."""

import sys
import threading
from collections.abc import Callable
from typing import Annotated

import typer

from roark_ledger.errors import LedgerUnavailable
from roark_ops.cli.terminal.options import AsJson
from roark_ops.cli.terminal.running import TO_ACT_ON, in_words, say

_WATCH_SECONDS = 2.0
_CLEAR = "\x1b[H\x1b[2J"

Watch = Annotated[bool, typer.Option("--watch", help="Refresh every two seconds until Ctrl-C.")]


def status(*, as_json: AsJson = False, watch: Watch = False) -> None:
    """Show how many reports are in which state, and what to do next.

    Exit code 3: something needs your attention, such as dead letters, paused uploads, or reports unaccounted for.
    """
    from roark_ops.access import Access
    from roark_ops.cli.views.status import show_status
    from roark_producer.disk.segments import pending

    with Access.from_env() as access:
        access.remember()
        folder = access.settings.spool_folder
        if watch:
            clear = not as_json and sys.stdout.isatty()
            _watch(lambda: show_status(access.ledger, pending(folder), as_json=as_json), clear=clear)
        elif show_status(access.ledger, pending(folder), as_json=as_json):
            raise typer.Exit(TO_ACT_ON)


def _watch(show: Callable[[], bool], *, clear: bool) -> None:
    tick = threading.Event()
    try:
        while True:
            try:
                if clear:
                    sys.stdout.write(_CLEAR)
                show()
            except LedgerUnavailable as error:
                say(in_words(error))
            sys.stdout.flush()
            tick.wait(_WATCH_SECONDS)
    except KeyboardInterrupt:
        return
