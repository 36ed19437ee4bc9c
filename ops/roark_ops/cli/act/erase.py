"""`roark-ingest erase`: remove a person's data, by call, phone number or name, and certify it."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from roark_ops.cli.terminal.options import STDIN, As, AsJson, Yes, actor, reason_for
from roark_ops.cli.terminal.running import FAILED, INTERRUPTED, TO_ACT_ON, USAGE, confirm, fail, say
from roark_ops.cli.terminal.words import counted

if TYPE_CHECKING:
    from roark_ledger.ledger import Ledger
    from roark_ops.access import Access
    from roark_ops.erasing.elsewhere import Known
    from roark_ops.erasing.eraser import Eraser, Found
    from roark_ops.erasing.searching import Sought

SomeCalls = Annotated[list[str] | None, typer.Argument(metavar="CALL_ID", help="Vapi's call IDs.", show_default=False)]
Phone = Annotated[
    str,
    typer.Option(
        metavar="NUMBER",
        help="Every call with this number, however it is written. - asks for it, or reads standard input: options "
        "show in process lists.",
        show_default=False,
    ),
]
PhoneFile = Annotated[
    Path | None,
    typer.Option("--phone-file", metavar="FILE", help="The same for each line of a file.", show_default=False),
]
TextFile = Annotated[
    Path | None,
    typer.Option(
        "--text-file",
        metavar="FILE",
        help="Also look for these texts, one per line: names, e-mail addresses. They only count as mentions.",
        show_default=False,
    ),
]
Region = Annotated[
    str, typer.Option(metavar="CC", help="Country of numbers without a country code, such as FR.", show_default=False)
]
Mentions = Annotated[bool, typer.Option("--mentions", help="Also erase calls that only mention it in other text.")]
Dry = Annotated[bool, typer.Option("--dry-run", help="List the matching calls and change nothing.")]
SpoolDir = Annotated[
    Path | None,
    typer.Option(
        "--spool", metavar="DIR", help="A webhook's spool to clear (default: DATA_DIR/spool).", show_default=False
    ),
]
AlsoRoark = Annotated[bool, typer.Option("--also-roark", help="Have Roark hide the calls (ROARK_API_BEARER_TOKEN).")]
AlsoVapi = Annotated[bool, typer.Option("--also-vapi", help="Have Vapi erase the calls (VAPI_API_KEY).")]
Reason = Annotated[str, reason_for("for the log and the certificate; don't write names here")]


def erase(
    call_ids: SomeCalls = None,
    *,
    phone: Phone = "",
    phone_file: PhoneFile = None,
    text_file: TextFile = None,
    region: Region = "",
    mentions: Mentions = False,
    spool: SpoolDir = None,
    also_roark: AlsoRoark = False,
    also_vapi: AlsoVapi = False,
    dry_run: Dry = False,
    reason: Reason = "",
    yes: Yes = False,
    by: As = None,
    as_json: AsJson = False,
) -> None:
    """Erase everything about calls, refuse later reports of them, and print a certificate. Cannot be undone.

    --phone searches every stored report, and erases those in which a field is this number, whatever its layout. Reports
    that only mention it, in a transcript or an address, are listed and erased with --mentions. Run it with --dry-run
    first: your own line's number is in all of its calls. A delivered report is no longer stored here, so it can only be
    erased by its call ID. Later calls of the same person are accepted as usual.

    This covers the ledger, the rejected bin, the log of actions, Redis's own files, Flower's store, and in the data
    directory log files, spool, exports and left-over files. The certificate says what became of each place. All that
    remains of a call is a keyed hash of its ID.

    Exit code 3: something is left that another run can erase.
    """
    from roark_ledger.errors import LedgerUnavailable
    from roark_ops.access import Access
    from roark_ops.cli.terminal.ids_as_options import refuse_ids_as_options
    from roark_ops.cli.views.erase import EraseScreen, list_found, show_certificate
    from roark_ops.erasing.cleaning import clean_up
    from roark_ops.erasing.eraser import Eraser

    sought = _sought(phone, phone_file, text_file, region)
    if bool(call_ids) == bool(sought):
        fail("give either call IDs or a number (--phone, --phone-file, --text-file).", USAGE)
    if spool and not spool.is_dir():
        fail(f"--spool {spool}: no such folder.", USAGE)
    if dry_run and not sought:
        fail("--dry-run only works with --phone, --phone-file or --text-file.", USAGE)
    with Access.from_env() as access:
        refuse_ids_as_options(access.ledger)
        folder = spool or (access.settings.spool_folder if access.settings.spool_folder.is_dir() else None)
        eraser = Eraser(access, by=actor(by), reason=reason, sought=sought)
        found = _find(eraser, folder) if sought else []
        if dry_run:
            list_found(found, as_json=as_json)
            return
        meant = [one for one in found if one.fields.is_ or mentions]
        chosen = list(dict.fromkeys([*(call_ids or ()), *(one.call_id for one in meant if one.call_id)]))
        digests = [one.digest for one in meant if one.digest]
        digests = list(dict.fromkeys([*digests, *(eraser.find_rejected(chosen) if chosen else ())]))
        known = _known(access, chosen) if also_roark or also_vapi else []
        _confirm(chosen, digests, found, meant, yes=yes)
        try:
            _ask_elsewhere(eraser, known, access.ledger, also_roark=also_roark, also_vapi=also_vapi)
            with EraseScreen("erased", len(chosen)) as screen:
                eraser.erase(chosen, screen.show)
            eraser.erase_rejected(digests)
            if folder:
                eraser.purge_spool(folder, chosen, mentions=mentions)
            _note_mentions(eraser, found, meant)
            clean_up(access, eraser.certificate, sought, chosen, mentions=mentions)
            certificate = eraser.certify()
        except (LedgerUnavailable, KeyboardInterrupt, OSError) as error:
            done = len(eraser.certificate.calls)
            say(
                f"roark-ingest: stopped early: {done} of {counted(len(chosen), 'call')} erased, each of them logged "
                "(`roark-ingest log list --action erase`). Run the same command again for the rest."
            )
            raise typer.Exit(INTERRUPTED if isinstance(error, KeyboardInterrupt) else FAILED) from None
    show_certificate(certificate, as_json=as_json)
    if not certificate.is_whole or (certificate.spool and certificate.spool.unread_bytes):
        raise typer.Exit(TO_ACT_ON)


def _sought(phone: str, phone_file: Path | None, text_file: Path | None, region: str) -> "Sought":
    from roark_ledger.errors import InvalidReport
    from roark_ops.erasing.numbers import PhoneNumber
    from roark_ops.erasing.searching import Sought

    numbers = _asked_for() if phone == STDIN else [phone] if phone else []
    numbers += _lines(phone_file) if phone_file else []
    try:
        found = tuple(PhoneNumber.read(number, region) for number in numbers)
    except InvalidReport as error:
        fail(f"--phone {error.problem}.", USAGE)
    return Sought(found, tuple(_lines(text_file)) if text_file else ())


def _asked_for() -> list[str]:
    if sys.stdin.isatty():
        return [typer.prompt("Phone number", err=True)]
    return [line.strip() for line in sys.stdin if line.strip()]


def _lines(path: Path) -> list[str]:
    try:
        text = sys.stdin.read() if str(path) == STDIN else path.read_text("utf-8-sig")
    except OSError as error:
        fail(f"cannot read {path}: {error.strerror}.", USAGE)
    except UnicodeDecodeError:
        fail(f"cannot read {path}: it is not UTF-8 text.", USAGE)
    found = [line.strip() for line in text.splitlines() if line.strip()]
    if not found:
        fail(f"{path} is empty.", USAGE)
    return found


def _find(eraser: "Eraser", folder: Path | None) -> "list[Found]":
    from roark_ops.cli.views.erase import EraseScreen

    with EraseScreen("searched", eraser.size()) as screen:
        found = list(eraser.find(screen.show))
    if folder:
        found += eraser.find_in_spool(folder)
    return list(dict.fromkeys(found))


def _known(access: "Access", call_ids: list[str]) -> "list[Known]":
    # Asked for before the ledger forgets it.
    from roark_ledger.lifecycle import State
    from roark_ops.desk.dead_letters import DeadLetters
    from roark_ops.erasing.elsewhere import Known

    known = []
    for call_id, entry in zip(call_ids, DeadLetters(access.ledger, by="").show_all(call_ids), strict=True):
        record = entry.record if entry else None
        known.append(Known(call_id, record.note if record and record.state is State.DELIVERED else ""))
    return known


def _confirm(chosen: list[str], digests: list[str], found: "list[Found]", meant: "list[Found]", *, yes: bool) -> None:
    if not (chosen or digests):
        return
    rest = f" and {counted(len(digests), 'rejected report')}" if digests else ""
    others = len({one.call_id or one.digest for one in found} - {one.call_id or one.digest for one in meant})
    if others:
        say(f"{counted(others, 'other report')} only mention it; add --mentions to erase them too.")
    confirm(f"Permanently erase {counted(len(chosen), 'call')}{rest}?", yes=yes)


def _ask_elsewhere(
    eraser: "Eraser", known: "list[Known]", ledger: "Ledger", *, also_roark: bool, also_vapi: bool
) -> None:
    from roark_ops.erasing.certificate import Became, CertifiedPlace
    from roark_ops.erasing.elsewhere import erase_at_vapi, hide_at_roark
    from roark_worker.calls.vapi_settings import VapiSettings
    from roark_worker.settings import WorkerSettings

    places = eraser.certificate.places
    if also_roark:
        places.append(hide_at_roark(known, WorkerSettings()))
    else:
        places.append(CertifiedPlace("Roark", Became.LEFT, why="Not asked for: --also-roark has it hide the calls."))
    if also_vapi:
        places.append(erase_at_vapi(known, VapiSettings(), ledger))
    else:
        places.append(CertifiedPlace("Vapi", Became.LEFT, why="Not asked for: --also-vapi has it erase the calls."))


def _note_mentions(eraser: "Eraser", found: "list[Found]", meant: "list[Found]") -> None:
    from roark_ops.erasing.certificate import Became, CertifiedPlace

    certificate = eraser.certificate
    what = f"{len(certificate.calls)} calls erased from the ledger, {len(certificate.rejected)} from the rejected bin"
    certificate.places.insert(0, CertifiedPlace("reports", Became.DONE, what))
    others = {one.call_id or one.digest for one in found} - {one.call_id or one.digest for one in meant}
    if others:
        why = f"{counted(len(others), 'report')} only mention it: --mentions erases them."
        certificate.places.insert(1, CertifiedPlace("mentions", Became.LEFT, why=why))
