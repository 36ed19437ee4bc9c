"""What `roark-ingest erase` shows: how far it is, what was found, and the certificate."""

import sys
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from roark_ops.cli.terminal.output import print_facts, print_json, print_line, print_table
from roark_ops.cli.terminal.words import counted, iso, moment, shown
from roark_ops.erasing.certificate import Certificate
from roark_ops.erasing.eraser import Found


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


def list_found(found: Sequence[Found], *, as_json: bool) -> None:
    """Print the places found: what is the number, and what only mentions it. The number itself is not printed."""
    if as_json:
        for one in found:
            print_json(
                {
                    "call_id": one.call_id or None,
                    "entry": one.digest or None,
                    "in": one.kept_in,
                    "class": _class(one),
                    "fields": [*map(shown, one.fields.is_)],
                    "mentioned_in": [*map(shown, one.fields.mentions)],
                }
            )
        return
    if found:
        rows = [
            (one.call_id, one.digest, one.kept_in, _class(one), shown(", ".join(one.fields.is_ + one.fields.mentions)))
            for one in found
        ]
        print_table(("call", "entry", "in", "class", "fields"), rows)
        print_line()
    calls = {one.call_id for one in found if one.call_id}
    certain = {one.call_id for one in found if one.call_id and one.fields.is_}
    beside = f", {len(calls - certain)} of them only mention it (--mentions)" if calls - certain else ""
    print_line(f"{counted(len(calls), 'call')} found{beside}. Nothing was changed.")


def _class(found: Found) -> str:
    return "is" if found.fields.is_ else "mentions"


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
        "places": [
            {"place": one.name, "became": one.became.value, "what": one.what or None, "why": one.why or None}
            for one in certificate.places
        ],
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
    print_line("Each call is shown as a keyed hash of its ID. Later reports of it are refused. Place by place:")
    print_line()
    for one in certificate.places:
        print_line(f"{one.became.value:<13}  {one.name}{': ' if one.what else ''}{one.what}")
        if one.why:
            print_line(f"{'':<13}  {one.why}")


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
