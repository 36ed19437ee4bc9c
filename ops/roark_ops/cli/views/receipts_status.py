"""What `status` says of the deliveries that were looked up at Roark, and of calls that were there in time."""

from typing import Any

from roark_ledger.records.receipts import Receipts
from roark_ledger.records.snapshot import Snapshot
from roark_ops.cli.terminal.words import counted, iso
from roark_worker.alerts.causes import why_unseen


def receipts_told(snapshot: Snapshot) -> list[tuple[str, str]]:
    """Return it in a line each, none for what is not known yet."""
    found = snapshot.receipts
    told = []
    if found.calls_due:
        good = f"{found.calls_in_time} of {counted(found.calls_due, 'call')} within 5 min of their end"
        told.append(("in time", good))
    if at_roark := looked_up_told(found):
        told.append(("at Roark", at_roark))
    return told


def looked_up_told(found: Receipts) -> str:
    """Return what looking deliveries up at Roark found, "" where nothing is known of it."""
    parts = []
    if found.share_in_time is not None:
        parts.append(
            f"{percent_told(found.share_in_time)} of {found.in_time + found.late} looked up visible within 10 min"
        )
    if found.absent:
        parts.append(f"{found.absent} not even after a day")
    if found.open:
        parts.append(f"{found.open} still to be looked up")
    if found.error:
        parts.append(why_unseen(found.error))
    return "; ".join(parts)


def percent_told(share: float) -> str:
    """Return a share, rounded down: 99.996 % is not all."""
    return f"{int(share * 10_000) / 100:g} %"


def receipts_document(snapshot: Snapshot) -> dict[str, Any]:
    """Return it as `--json` prints it."""
    found = snapshot.receipts
    return {
        "confirmed": snapshot.confirmed,
        "unconfirmed": snapshot.unconfirmed,
        "visible_within_10_min": found.in_time,
        "not_visible_within_10_min": found.late,
        "not_visible_after_a_day": found.absent,
        "visible_share": found.share_in_time,
        "to_look_up": found.open,
        "asked": iso(found.asked_ms),
        "error": found.error or None,
    }
