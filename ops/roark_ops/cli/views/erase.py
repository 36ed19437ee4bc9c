"""What `roark-ingest erase` shows: how far it is, what was found, and the certificate."""

import sys
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from roark_ops.cli.terminal.output import print_facts, print_json, print_line, print_table
from roark_ops.cli.terminal.words import counted, iso, moment, shown
from roark_ops.desk.erasing import BEYOND, Certificate, Found


class EraseScreen:
    """A bar on stderr, where that is a terminal."""

    def __init__(self, what: str, total: int) -> None:
        self._bars: Any = None
        if not sys.stderr.isatty() or not total:
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._bars = Progress(
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn(what),
            TimeRemainingColumn(compact=True),
            console=Console(stderr=True, highlight=False, markup=False, emoji=False),
            transient=True,
        )
        self._task = self._bars.add_task("", total=total)

    def show(self, done: int) -> None:
        """Draw the bar anew."""
        if self._bars:
            self._bars.update(self._task, completed=done)

    def __enter__(self) -> Self:
        if self._bars:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars:
            self._bars.stop()


def list_found(found: Sequence[Found], in_spool: Sequence[str], *, as_json: bool) -> None:
    """Print where a number was found. The number itself is not printed."""
    rows = [(one.call_id, one.digest, one.kept_in, one.fields) for one in found]
    rows += [(call_id, "", "spool", ()) for call_id in in_spool]
    if as_json:
        for call_id, digest, kept_in, fields in rows:
            print_json(
                {"call_id": call_id or None, "entry": digest or None, "in": kept_in, "fields": [*map(shown, fields)]}
            )
        return
    if rows:
        head = ("call", "entry", "in", "fields")
        print_table(head, [(one, digest, where, shown(", ".join(fields))) for one, digest, where, fields in rows])
        print_line()
    calls = len({call_id for call_id, *_ in rows if call_id})
    print_line(f"{counted(calls, 'call')} found. Nothing was changed.")


def document(certificate: Certificate) -> dict[str, Any]:
    """Return the certificate as `--json` prints it."""
    spool = certificate.spool
    removed = Counter(name for call in certificate.calls for name in call.removed)
    return {
        "certificate": certificate.number,
        "at": iso(certificate.at_ms),
        "by": shown(certificate.by),
        "reason": shown(certificate.reason) or None,
        "calls": [
            {"tombstone": call.tombstone, "state_before": call.state, "removed": list(call.removed)}
            for call in certificate.calls
        ],
        "rejected": [{"tombstone": tombstone} for tombstone in certificate.rejected],
        "counts": {
            "calls": len(certificate.calls),
            "rejected": len(certificate.rejected),
            "looked_at": certificate.looked_at,
            "removed": dict(removed),
        },
        "spool": None
        if spool is None
        else {
            "requests": spool.requests,
            "files": spool.files,
            "busy_files": spool.busy,
            "unread_bytes": spool.unread_bytes,
        },
        "beyond": list(BEYOND),
    }


def show_certificate(certificate: Certificate, *, as_json: bool) -> None:
    """Print the certificate."""
    if as_json:
        print_json(document(certificate))
        return
    print_line(f"Certificate of erasure {certificate.number}", style="bold")
    print_facts(
        [
            ("at", moment(certificate.at_ms)),
            ("by", shown(certificate.by)),
            *([("reason", shown(certificate.reason))] if certificate.reason else []),
            ("calls", str(len(certificate.calls))),
            ("rejected", counted(len(certificate.rejected), "report")),
            *_spool(certificate),
        ]
    )
    for call in certificate.calls:
        print_line()
        print_line(f"{call.tombstone}  {_told(call.state)}")
        print_line(f"  erased: {', '.join(call.removed) or 'nothing was stored'}")
    for tombstone in certificate.rejected:
        print_line()
        print_line(f"{tombstone}  erased from the rejected bin")
    print_line()
    print_line(
        "Each call is shown as a keyed hash of its ID. Later reports of it are refused. Not erased by this command:"
    )
    for sentence in BEYOND:
        print_line(f"- {sentence}")


def _spool(certificate: Certificate) -> list[tuple[str, str]]:
    if (spool := certificate.spool) is None:
        return []
    told = [("spool", f"{counted(spool.requests, 'request')} erased from {counted(spool.files, 'file')}")]
    if spool.busy:
        busy = f"{counted(spool.busy, 'file')} skipped, in use by a running webhook: run this again in a minute"
        told.append(("", busy))
    if spool.unread_bytes:
        told.append(
            ("", f"{spool.unread_bytes} damaged bytes could not be searched: delete the *.damaged files yourself")
        )
    return told


def _told(state: str) -> str:
    match state:
        case "erased":
            return "was already erased"
        case "unknown":
            return "was unknown; later reports of it are refused"
        case "uploading":
            return "was being uploaded, so Roark may have it"
        case "delivered":
            return "was delivered, so Roark has it"
        case _:
            return f"was {state}"
