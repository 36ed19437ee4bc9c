"""How that which was promised and is missing is shown, by `status`, `audit` and `repair`."""

from typing import Any

from roark_ledger.records.snapshot import Snapshot
from roark_ops.cli.terminal.words import iso


def promises_document(snapshot: Snapshot) -> dict[str, Any]:
    """Return it as `--json` prints it."""
    return {
        "missing": [
            {
                "ledger": loss.ledger,
                "went_back": loss.went_back,
                "at_least": loss.least,
                "at_most": loss.most,
                "undelivered": loss.open,
                "seen": iso(loss.seen_ms),
                "found": iso(loss.found_ms),
            }
            for loss in snapshot.losses
        ],
        "unreadable": [
            {"spool": each.who, "file": file.name, "why": file.why, "reports": file.reports}
            for each in snapshot.unread
            for file in each.files
        ],
    }
