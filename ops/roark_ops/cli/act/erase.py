"""`roark-ingest erase`: remove a person's data, by call or by phone number, and certify it."""

from pathlib import Path
from typing import Annotated

import typer

from roark_ops.cli.terminal.options import As, AsJson, Yes, actor
from roark_ops.cli.terminal.running import FAILED, INTERRUPTED, TO_ACT_ON, USAGE, confirm, fail, say
from roark_ops.cli.terminal.words import counted

SomeCalls = Annotated[list[str] | None, typer.Argument(metavar="CALL_ID", help="Vapi's call IDs.", show_default=False)]
Phone = Annotated[
    str, typer.Option(metavar="NUMBER", help="Every call that contains this number (E.164).", show_default=False)
]
Dry = Annotated[bool, typer.Option("--dry-run", help="List the matching calls and change nothing.")]
SpoolDir = Annotated[
    Path | None,
    typer.Option(
        "--spool",
        metavar="DIR",
        help="Also clear a webhook's spool on this machine (DATA_DIR/spool).",
        show_default=False,
    ),
]
Reason = Annotated[
    str, typer.Option(help="Why, for the log and the certificate. Don't write names here.", show_default=False)
]


def erase(
    call_ids: SomeCalls = None,
    *,
    phone: Phone = "",
    spool: SpoolDir = None,
    dry_run: Dry = False,
    reason: Reason = "",
    yes: Yes = False,
    by: As = None,
    as_json: AsJson = False,
) -> None:
    """Erase everything about calls, refuse later reports of them, and print a certificate. Cannot be undone.

    --phone searches every stored report and erases those with a field that is exactly this number. Run it with
    --dry-run first: your own line's number is in all of its calls. A delivered report is no longer stored here, so it
    can only be erased by its call ID. Later calls of the same person are accepted as usual.

    This covers the ledger (dead letters, revisions, edited and replayed reports), the rejected bin, and, with --spool,
    a webhook's spool files. All that remains of a call is a keyed hash of its ID.

    Exit code 3: some spool files were in use or damaged. Run it again later.
    """
    from roark_ledger.errors import InvalidReport, LedgerUnavailable
    from roark_ops.access import Access
    from roark_ops.cli.views.erase import EraseScreen, list_found, show_certificate
    from roark_ops.desk.erasing import Eraser
    from roark_producer.vapi.phone import e164

    if bool(call_ids) == bool(phone):
        fail("give either call IDs or --phone NUMBER.", USAGE)
    if spool and not spool.is_dir():
        fail(f"--spool {spool}: no such folder.", USAGE)
    try:
        number = e164(phone) if phone else ""
    except InvalidReport as error:
        fail(f"--phone {error.problem}.", USAGE)
    chosen, digests = list(dict.fromkeys(call_ids or ())), []
    with Access.from_env() as access:
        eraser = Eraser(access, by=actor(by), reason=reason)
        if number:
            with EraseScreen("searched", eraser.size()) as screen:
                found = list(dict.fromkeys(eraser.find(number, screen.show)))
            in_spool = eraser.calls_in_spool(spool, number) if spool else []
            chosen = list(dict.fromkeys([*(one.call_id for one in found if one.call_id), *in_spool]))
            digests = [one.digest for one in found if one.digest]
            if dry_run:
                list_found(found, in_spool, as_json=as_json)
                return
        else:
            digests = eraser.find_rejected(chosen)
            if dry_run:
                fail("--dry-run only works with --phone.", USAGE)
        if chosen or digests:
            rest = f" and {counted(len(digests), 'rejected report')}" if digests else ""
            confirm(f"Permanently erase {counted(len(chosen), 'call')}{rest}?", yes=yes)
        try:
            with EraseScreen("erased", len(chosen)) as screen:
                eraser.erase(chosen, screen.show)
            eraser.erase_rejected(digests)
            if spool:
                eraser.purge_spool(spool, chosen, number)
            certificate = eraser.certify()
        except (LedgerUnavailable, KeyboardInterrupt, OSError) as error:
            done = len(eraser.certificate.calls)
            say(
                f"roark-ingest: stopped early: {done} of {counted(len(chosen), 'call')} erased, each of them logged "
                "(`roark-ingest log list --action erase`). Run the same command again for the rest."
            )
            raise typer.Exit(INTERRUPTED if isinstance(error, KeyboardInterrupt) else FAILED) from None
    show_certificate(certificate, as_json=as_json)
    if certificate.spool and (certificate.spool.busy or certificate.spool.unread_bytes):
        raise typer.Exit(TO_ACT_ON)
