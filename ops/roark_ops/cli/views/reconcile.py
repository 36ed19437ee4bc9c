"""How a comparison with Vapi is shown: how far it is, the sum that must hold, and which calls are missing."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from roark_ops.cli.terminal.output import print_json, print_line, print_table
from roark_ops.cli.terminal.running import say
from roark_ops.cli.terminal.words import counted, iso, shown
from roark_worker.calls.reconcile import Comparison, Window
from roark_worker.calls.rules import Bucket

_MOST_SHOWN = 20
MEANINGS = {
    Bucket.DELIVERED: "delivered to Roark",
    Bucket.ON_THE_WAY: "waiting for upload or retry",
    Bucket.DEAD: "dead letter",
    Bucket.DISCARDED: "discarded by a person",
    Bucket.EXPIRED: "removed by retention",
    Bucket.ERASED: "erased for data protection",
    Bucket.MISSING: "ended at Vapi, but no report came",
    Bucket.ODD: "Vapi does not say how it ended",
    Bucket.UNRECOVERABLE: "no report came, and Vapi has no data left to rebuild it",
}


def show_comparison(found: Comparison, *, as_json: bool) -> None:
    """Print what was found."""
    if as_json:
        print_json(
            {
                "since": iso(found.since_ms),
                "until": iso(found.until_ms),
                **found.document(),
                "missing": sorted(found.missing),
                "unusable": found.unusable,
                "not_visible_at_roark": sorted(found.at_roark.absent) if found.at_roark else None,
                "roark_silent": (found.at_roark.silent or None) if found.at_roark else None,
                "incomplete": found.incomplete or None,
            }
        )
        return
    print_line(
        f"{counted(found.ended, 'call')} ended at Vapi, created from {iso(found.since_ms)} to {iso(_end(found))}"
    )
    rows = [(kind.value, str(found.buckets[kind]), meaning) for kind, meaning in MEANINGS.items()]
    print_table(("", "calls", ""), rows, right=frozenset({1}))
    _show_certificate(found)
    if found.unconfirmed:
        print_line(f"{found.unconfirmed} of the delivered are unconfirmed: Roark's answer did not name the call.")
    if found.buckets[Bucket.NOT_YET]:
        print_line(f"{counted(found.buckets[Bucket.NOT_YET], 'call')} more are still running, or ended just now.")
    if found.backfilled:
        print_line(f"{counted(found.backfilled, 'report')} rebuilt from Vapi's list and queued.", style="green")
    _show_missing(found)
    if found.incomplete:
        print_line(f"Incomplete: {shown(found.incomplete)}", style="bold yellow")
        print_line(f"Next: roark-ingest reconcile --since {iso(_end(found))}")


def sums_of(sums: Mapping[str, Any]) -> list[tuple[str, int, str]]:
    """Return the sums of a certificate: whose, how many calls, what they have in common."""
    looked_up = (
        "visible there now" if sums["looked_up"] else "named by Roark when it took them; --at-roark looks them up"
    )
    return [
        ("Vapi", sums["vapi"], "ended"),
        ("here", sums["here"], f"have a report; {sums['delivered']} delivered"),
        ("Roark", sums["roark"], looked_up),
    ]


def agreement_told(sums: Mapping[str, Any]) -> str:
    """Return whether the sums of a certificate agree."""
    return (
        "The three sums agree."
        if sums["agree"]
        else "The three sums do not agree: the table of where the calls are says why."
    )


def _show_certificate(found: Comparison) -> None:
    sums = found.certificate()
    print_table(
        ("", "calls", ""), [(side, str(many), told) for side, many, told in sums_of(sums)], right=frozenset({1})
    )
    print_line(agreement_told(sums))
    if found.seen or found.unseen:
        print_line(f"Looked up after delivery: {found.seen} visible at Roark, {found.unseen} not within 10 minutes.")
    if not found.at_roark:
        return
    if found.at_roark.silent:
        print_line(f"Not all could be looked up at Roark: {shown(found.at_roark.silent)}", style="bold yellow")
    for call_id in sorted(found.at_roark.absent)[:_MOST_SHOWN]:
        print_line(f"call {shown(call_id)} was delivered, but Roark does not show it")


def _show_missing(found: Comparison) -> None:
    for call_id in sorted(found.missing)[:_MOST_SHOWN]:
        why = f"; can't rebuild its report: {shown(found.unusable[call_id])}" if call_id in found.unusable else ""
        print_line(f"call {shown(call_id)} is missing{why}")
    if len(found.missing) > _MOST_SHOWN:
        print_line(f"… and {len(found.missing) - _MOST_SHOWN} more; use --json to see them all.")
    if found.missing.keys() - found.unusable.keys():
        print_line(f"Next: roark-ingest reconcile --since {iso(found.since_ms)} --backfill", style="bold yellow")
    elif not found.missing and not found.incomplete:
        print_line("No reports are missing.", style="green")


def _end(found: Comparison) -> int:
    return (found.done_ms or found.since_ms) if found.incomplete else found.until_ms


@contextmanager
def following(found: Comparison, *, quiet: bool) -> Iterator[Callable[[Window], object]]:
    """Show how far a comparison is on stderr, where that is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda window: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(bar_width=None), TextColumn("{task.fields[told]}"), TimeRemainingColumn(compact=True))
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    with Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task("", total=found.until_ms - found.since_ms, told="")

        def show(window: Window) -> None:
            told = f"{found.ended} calls, {len(found.missing)} missing, {found.backfilled} queued"
            bars.update(task, completed=window.to_ms - found.since_ms, told=told)

        try:
            yield show
        except KeyboardInterrupt:
            say("Stopped. Reports queued so far stay queued.")
            raise
