"""`roark-ingest repair`: settle what was promised and is missing, and mend the embedded server's files."""

import time
from pathlib import Path
from typing import Annotated

import typer

from roark_ledger.records.promises import LOSS_TODO
from roark_ops.cli.terminal.options import As, AsJson, Reason, Yes, actor
from roark_ops.cli.terminal.output import print_json, print_line
from roark_ops.cli.terminal.running import TO_ACT_ON, confirm, fail
from roark_ops.cli.terminal.words import counted, shown

AcceptLoss = Annotated[bool, typer.Option("--accept-loss", help="What is missing will not come back: say so for good.")]


def ledger(
    *, accept_loss: AcceptLoss = False, reason: Reason = "", by: As = None, yes: Yes = False, as_json: AsJson = False
) -> None:
    """What is missing since Redis was emptied, exchanged or set back; and the end of the matter.

    Without --accept-loss it only tells, and ends with 3 when something is missing. With it the alert ends, and the
    logbook keeps who decided that, and why. A new Redis on purpose is such a matter as well.
    """
    from roark_ledger.moves import desk, watch
    from roark_ledger.records.logbook import doer
    from roark_ops.access import Access
    from roark_ops.cli.views.promises import promises_document

    with Access.from_env() as access:
        access.remember()
        snapshot = access.ledger.run(watch.snapshot())
        losses, settled = snapshot.losses, 0
        if losses and accept_loss:
            most = sum(loss.most for loss in losses)
            confirm(f"Up to {counted(most, 'report')} will not be looked for any more. Settle that?", yes=yes)
            who = doer(actor(by), reason, accepted_loss=most)
            settled = access.run_durably(desk.settle_promises("lost", who=who))
    if as_json:
        print_json({"missing": promises_document(snapshot)["missing"], "settled": settled})
    else:
        for loss in losses:
            print_line(shown(loss.words()))
        if settled:
            print_line("Settled: the logbook says by whom.")
        elif losses:
            print_line(LOSS_TODO, style="bold yellow")
        else:
            print_line("Nothing that was promised is missing in the ledger.")
    if losses and not settled:
        raise typer.Exit(TO_ACT_ON)


def spool(
    *, accept_loss: AcceptLoss = False, reason: Reason = "", by: As = None, yes: Yes = False, as_json: AsJson = False
) -> None:
    """What lies in this machine's spool and cannot be handed in: each file, and why.

    What becomes readable (its owner corrected, the newer version back) is handed in by itself. With --accept-loss the
    files go to the folder given-up, where nothing removes them, and what the ledger knows of unreadable spools is
    settled; a webhook that still has some tells it again.
    """
    from roark_ledger.moves import desk, watch
    from roark_ledger.records.logbook import doer
    from roark_ops.access import Access
    from roark_producer.disk.aside import aside, give_up

    with Access.from_env() as access:
        folder = access.settings.spool_folder
        found, told = aside(folder), access.ledger.run(watch.snapshot()).unread
        settled = False
        if (found or told) and accept_loss:
            reports = max(sum(each.reports for each in found), sum(each.reports for each in told))
            confirm(f"At least {counted(reports, 'report')} will not be handed in. Settle that?", yes=yes)
            try:
                given_up = give_up(folder) if found else ()
            except OSError as error:
                fail(f"{folder} cannot be changed: {error.strerror}.")
            who = doer(actor(by), reason, accepted_loss=reports, files=len(given_up))
            access.run_durably(desk.settle_promises("unread", who=who))
            settled = True
    if as_json:
        files = [
            {"file": str(each.path), "why": each.why, "reports": each.reports, "bytes": each.bytes} for each in found
        ]
        elsewhere = [{"spool": each.who, "reports": each.reports} for each in told]
        print_json({"files": files, "told": elsewhere, "settled": settled})
    else:
        for each in found:
            print_line(
                shown(f"{each.path}: {each.why}; {counted(each.reports, 'report')} at least, {each.bytes} bytes")
            )
        for one in told:
            print_line(shown(one.words()))
        print_line(
            f"Settled; the files are in {folder / 'given-up'}."
            if settled
            else "All that lies in spools can be handed in."
            if not (found or told)
            else "Make the files readable for the webhook's user, and they are handed in; else --accept-loss."
        )
    if (found or told) and not settled:
        raise typer.Exit(TO_ACT_ON)


def aof(*, yes: Yes = False, as_json: AsJson = False) -> None:
    """Mend the embedded server's files, when `up` says that it would start empty, or it does not start with them.

    Looks at each file from its beginning to its end. Before anything is changed the folder is copied beside itself.
    What is lost by a cut is told by `roark-ingest audit` as soon as the pipeline runs.
    """
    from roark_ledger.server.connection import EMBEDDED_SOCKET
    from roark_ops.up.datadir import taken
    from roark_ops.up.server.aof import copy_of, cuts, mend, reason_not_to_start
    from roark_ops.up.server.embedded import home_of
    from roark_producer.settings import IngestSettings

    with taken(IngestSettings().data_dir) as data_dir:
        homes = [(home_of(data_dir, for_sandbox=each) / EMBEDDED_SOCKET).parent for each in (False, True)]
        if not any(files.is_dir() for files in homes) and not as_json:
            print_line(f"{data_dir}: no embedded server has been here.")
        for files in filter(Path.is_dir, homes):
            reason, damaged = reason_not_to_start(files), cuts(files)
            copied, done = None, []
            if reason or damaged:
                lost = sum(each.bytes - each.whole_bytes for each in damaged)
                told = f"{reason} {lost} bytes that cannot be read are cut off." if damaged else reason
                confirm(f"{told} Copy the folder and mend it?", yes=yes)
                try:
                    copied = copy_of(files, time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()))
                    done = mend(files, damaged)
                except OSError as error:
                    fail(f"{files} cannot be mended: {error.strerror}.")
            if as_json:
                print_json({"folder": str(files), "copy": str(copied) if copied else None, "done": done})
            elif not done:
                print_line(f"{files}: nothing to mend." if not reason else f"{files}: {reason}")
            for each in done if not as_json else []:
                print_line(f"{each}. As it was: {copied}")
            if reason_not_to_start(files):
                raise typer.Exit(TO_ACT_ON)
