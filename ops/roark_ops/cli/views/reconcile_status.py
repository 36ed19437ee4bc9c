"""What `status` says of the comparison with Vapi's list of calls."""

from typing import Any

from roark_ledger.records.snapshot import Snapshot
from roark_ops.cli.terminal.words import ago, counted, iso
from roark_worker.alerts.causes import why_incomplete


def reconcile_told(snapshot: Snapshot) -> str:
    """Return it in one line."""
    if (found := snapshot.reconciled) is None:
        return "not compared: no worker has VAPI_API_KEY"
    if found.missing:
        told = f"{counted(found.missing, 'report')} MISSING"
    elif found.at_ms or not found.first_ms:
        told = "no reports missing"
    else:
        told = "not compared yet"
    told += f", {ago(found.at_ms, snapshot.now_ms)}" if found.at_ms else ""
    told += "; comparing now" if found.running else ""
    return f"{told}; {why_incomplete(found.error)}" if found.error else told


def reconcile_document(snapshot: Snapshot) -> dict[str, Any] | None:
    """Return it as `--json` prints it; None where nothing was ever compared."""
    if (found := snapshot.reconciled) is None:
        return None
    return {
        "at": iso(found.at_ms),
        "tried": iso(found.tried_ms),
        "watermark": iso(found.watermark_ms),
        "missing": found.missing,
        "error": found.error or None,
        "running": found.running,
        "last": found.result or None,
    }
