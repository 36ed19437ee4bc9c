"""`roark-ingest partition`: spread a ledger over the nodes of a cluster, while reports come in and go out."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from roark_ops.cli.terminal.options import As, AsJson, Reason, Yes, actor
from roark_ops.cli.terminal.output import print_json, print_line
from roark_ops.cli.terminal.running import TO_ACT_ON, confirm, fail
from roark_ops.cli.terminal.words import counted, shown

if TYPE_CHECKING:
    from roark_ledger.moves.moving import Stage
    from roark_ops.access import Access

Number = Annotated[
    int,
    typer.Argument(
        metavar="N",
        min=2,
        max=256,
        help="How many partitions, for good: 16, or four for each node.",
        show_default=False,
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be moved, and what is in the way.")]
OneServer = Annotated[bool, typer.Option("--one-server", help="Do it although the ledger is not on a cluster.")]


def partition(
    number: Number,
    *,
    dry_run: DryRun = False,
    one_server: OneServer = False,
    reason: Reason = "",
    by: As = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Split the ledger into N partitions, which a cluster spreads over its nodes. This cannot be undone.

    The webhook and the workers go on; a call that is needed before its turn is moved at once. Update all of them to
    this version first: from then on an older webhook answers 5xx and keeps nothing, and an older worker stands still.

    If it is interrupted, run the same command again. Until it is done, calls that are still to be moved are not
    uploaded, and nothing is removed by age. It audits the ledger before and after. Exit code 3: the audit found
    something.
    """
    from roark_ledger.errors import LedgerUnavailable
    from roark_ledger.records.logbook import doer
    from roark_ops.access import Access
    from roark_ops.partitioning.mover import Mover, NotMovable
    from roark_worker.upkeep.audit import audit

    with Access.from_env() as access:
        mover = Mover.of(access.durable_ledger(), number)
        stage = mover.stage()
        troubles = list(_troubles(access, stage, number, one_server=one_server))
        if dry_run or stage.partitions:
            if troubles and not (dry_run and as_json):
                fail(" ".join(troubles))
            _show(number, stage, troubles, as_json=as_json)
            return
        if troubles:
            fail(" ".join(troubles))
        if not stage.moving:
            if (found := audit(access.ledger).accounts).findings:
                fail(f"the audit found something: {found.in_words} Run `roark-ingest audit --repair` first.")
            confirm(f"Split the ledger, {counted(stage.calls, 'call')}, into {number} partitions for good?", yes=yes)
        try:
            with _progress(stage.calls, quiet=as_json) as progress:
                moved = mover.move(who=doer(actor(by), reason, partitions=number), progress=progress)
        except NotMovable as error:
            fail(f"{error}.")
        except LedgerUnavailable as error:
            fail(f"{error}. No call is lost. When it is back, run this again: roark-ingest partition {number}")
        # Opened anew: of one partition it is no more.
        verdict = audit(access.durable_ledger())
    if as_json:
        print_json(
            {
                "partitions": moved.partitions,
                "moved": moved.calls,
                "tombstones": moved.tombstones,
                "left_over": moved.left_over,
                "holds": verdict.accounts.holds,
            }
        )
    else:
        print_line(f"The ledger has {moved.partitions} partitions. {counted(moved.calls, 'call')} moved.")
        if moved.left_over:
            print_line(f"Left where they were, as they have no record: {moved.left_over}.")
        for finding in verdict.accounts.findings:
            print_line(shown(f"{finding.what} Next: {finding.command}"), style="bold yellow")
    if not verdict.accounts.holds:
        raise typer.Exit(TO_ACT_ON)


def _troubles(access: "Access", stage: "Stage", number: int, *, one_server: bool) -> "Iterator[str]":
    """Say what is in the way, each with what to do about it."""
    from importlib.metadata import version

    from roark_ledger.moves import watch
    from roark_ledger.server.cluster import finder_of

    there = stage.partitions or stage.moving
    if there and there != number:
        moving = "is being split" if stage.moving else "was split"
        yield f"The ledger {moving} into {there} partitions; that number stays."
    if there:
        return
    if not finder_of(access.ledger.client) and not one_server:
        yield (
            "The ledger is not on a cluster, so partitions would all be on this one server. "
            "Use a redis+cluster:// URL, or add --one-server."
        )
    if stage.replays:
        yield "Replay jobs are open, or have reports under way. Cancel them or let them end: roark-ingest replay list"
    ours = version("roark-ingest")
    others = sorted(
        {
            f"{name} ({setup.version})"
            for name, setup in access.ledger.run(watch.crew()).items()
            if setup.version != ours
        }
    )
    if others:
        yield shown(f"Workers of another version than {ours} are running: {', '.join(others)}. Update them first.")


def _show(number: int, stage: "Stage", troubles: "list[str]", *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "partitions": stage.partitions or None,
                "moving_to": stage.moving or None,
                "calls": stage.calls,
                "tombstones": stage.tombstones,
                "in_the_way": troubles,
            }
        )
    elif stage.partitions:
        print_line(f"The ledger already has {stage.partitions} partitions.")
    else:
        verb = "would still be moved" if stage.moving else "would be moved"
        print_line(f"{counted(stage.calls, 'call')} {verb} into {number} partitions. Nothing was changed.")


@contextmanager
def _progress(total: int, *, quiet: bool) -> "Iterator[Callable[[int], None]]":
    """Show how many calls were moved, where stderr is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("moved", total=total or None)
        yield lambda moved: bars.update(task, completed=moved)
