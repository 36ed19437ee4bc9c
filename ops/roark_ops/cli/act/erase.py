"""`roark-ingest erase`: remove a person's data, by call or by phone number, and certify it."""

from pathlib import Path
from typing import Annotated

import typer

from roark_ops.cli.terminal.options import As, AsJson, Yes, actor
from roark_ops.cli.terminal.running import FAILED, INTERRUPTED, TO_ACT_ON, USAGE, confirm, fail, say
from roark_ops.cli.terminal.words import counted

SomeCalls = Annotated[list[str] | None, typer.Argument(metavar="CALL_ID", help="Vapi's call ids.", show_default=False)]
Phone = Annotated[
    str, typer.Option(metavar="NUMBER", help="All calls in which this number stands, in E.164.", show_default=False)
]
Dry = Annotated[bool, typer.Option("--dry-run", help="List the calls that were found; change nothing.")]
SpoolDir = Annotated[
    Path | None,
    typer.Option(
        "--spool", metavar="DIR", help="A webhook's spool on this machine, DATA_DIR/spool.", show_default=False
    ),
]
Reason = Annotated[str, typer.Option(help="Why, for the log and the certificate. No names.", show_default=False)]


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
    """Remove all that is known of calls, refuse later reports of them, and print a certificate. Cannot be undone.

    By --phone every report that is kept is looked through, and each whose fields hold exactly this number is erased;
    look at --dry-run first, the number of your own line stands in all its calls. What was delivered has no payload here
    any more and is found by its call id only. Later calls of the same person are taken in.

    It reaches the ledger with its dead letters, revisions, edited and replayed reports, the rejected bin, and with
    --spool the files of a webhook. What is left of a call is a keyed hash of its id.

    Ends with 3 when files of the spool were in use or damaged: run it again later.
    """
    from roark_ledger.errors import InvalidReport, LedgerUnavailable
    from roark_ops.access import Access
    from roark_ops.cli.views.erase import EraseScreen, list_found, show_certificate
    from roark_ops.desk.erasing import Eraser
    from roark_producer.vapi.phone import e164

    if bool(call_ids) == bool(phone):
        fail("name the calls to erase, or a number with --phone.", USAGE)
    if spool and not spool.is_dir():
        fail(f"there is no folder {spool}.", USAGE)
    try:
        number = e164(phone) if phone else ""
    except InvalidReport as error:
        fail(f"--phone {error.problem}.", USAGE)
    chosen, digests = list(dict.fromkeys(call_ids or ())), []
    with Access.from_env() as access:
        eraser = Eraser(access, by=actor(by), reason=reason)
        if number:
            with EraseScreen("looked at", eraser.size()) as screen:
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
                fail("--dry-run is for --phone: the calls are named already.", USAGE)
        if chosen or digests:
            rest = f" and {counted(len(digests), 'rejected report')}" if digests else ""
            confirm(f"Erase {counted(len(chosen), 'call')}{rest} for good?", yes=yes)
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
                f"roark-ingest: ended early: {done} of {counted(len(chosen), 'call')} are erased, each in the log "
                "(`roark-ingest log list --action erase`). Run the same command again for the rest."
            )
            raise typer.Exit(INTERRUPTED if isinstance(error, KeyboardInterrupt) else FAILED) from None
    show_certificate(certificate, as_json=as_json)
    if certificate.spool and (certificate.spool.busy or certificate.spool.unread_bytes):
        raise typer.Exit(TO_ACT_ON)
