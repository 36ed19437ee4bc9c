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

AcceptLoss = Annotated[
    bool,
    typer.Option("--accept-loss", help="Accept that the missing reports will not come back, and close the matter."),
]


def ledger(
    *, accept_loss: AcceptLoss = False, reason: Reason = "", by: As = None, yes: Yes = False, as_json: AsJson = False
) -> None:
    """Show what went missing because Redis was emptied, replaced or rolled back, and accept the loss.

    Without --accept-loss it only reports, with exit code 3 if something is missing. With it, the alert clears and the
    log records who accepted the loss, and why. You also need it after moving to a new, empty Redis on purpose.
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
            confirm(f"Accept the loss of up to {counted(most, 'report')}?", yes=yes)
            who = doer(actor(by), reason, accepted_loss=most)
            settled = access.run_durably(desk.settle_promises("lost", who=who))
    if as_json:
        print_json({"missing": promises_document(snapshot)["missing"], "settled": settled})
    else:
        for loss in losses:
            print_line(shown(loss.words()))
        if settled:
            print_line("Loss accepted and recorded in the log.")
        elif losses:
            print_line(LOSS_TODO, style="bold yellow")
        else:
            print_line("Nothing is missing from the ledger.")
    if losses and not settled:
        raise typer.Exit(TO_ACT_ON)


def spool(
    *, accept_loss: AcceptLoss = False, reason: Reason = "", by: As = None, yes: Yes = False, as_json: AsJson = False
) -> None:
    """Show which files in this machine's spool cannot be read, and why.

    Once a file is readable again (owner fixed, newer version back), its reports are queued automatically. With
    --accept-loss the files move to the folder given-up, where nothing deletes them, and the alert clears. A webhook
    that still has unreadable files raises it again.
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
            confirm(f"Accept the loss of at least {counted(reports, 'report')}?", yes=yes)
            try:
                given_up = give_up(folder) if found else ()
            except OSError as error:
                fail(f"cannot change {folder}: {error.strerror}.")
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
                shown(f"{each.path}: {each.why}; at least {counted(each.reports, 'report')}, {each.bytes} bytes")
            )
        for one in told:
            print_line(shown(one.words()))
        print_line(
            f"Loss accepted. The files are in {folder / 'given-up'}."
            if settled
            else "Every spool file is readable."
            if not (found or told)
            else "Make the files readable for the webhook's user to queue them, or add --accept-loss to give them up."
        )
    if (found or told) and not settled:
        raise typer.Exit(TO_ACT_ON)


def aof(*, yes: Yes = False, as_json: AsJson = False) -> None:
    """Repair the embedded server's files when `up` refuses to start with them.

    Checks every file from start to end. Copies the folder before it changes anything. If data has to be cut off,
    `roark-ingest audit` shows what was lost once the pipeline is running.
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
                told = f"{reason} {lost} unreadable bytes will be cut off.".strip() if damaged else reason
                confirm(f"{told} Copy the folder and repair it?", yes=yes)
                try:
                    copied = copy_of(files, time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()))
                    done = mend(files, damaged)
                except OSError as error:
                    fail(f"cannot repair {files}: {error.strerror}.")
            if as_json:
                print_json({"folder": str(files), "copy": str(copied) if copied else None, "done": done})
            elif not done:
                print_line(f"{files}: nothing to repair." if not reason else f"{files}: {reason}")
            for each in done if not as_json else []:
                print_line(f"{each}. Original copied to {copied}")
            if reason_not_to_start(files):
                raise typer.Exit(TO_ACT_ON)
