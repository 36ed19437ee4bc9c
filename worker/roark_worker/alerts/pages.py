"""Which page of the console shows what an alert, or a report, is about. Pure.

The paths are those of the console's routes; a test compares.
"""

from urllib.parse import quote

from roark_ledger.records.alerts import AlertKind

_PAGES = {
    AlertKind.DEAD_LETTERS: "/causes",
    AlertKind.DEAD_LETTERS_GROWING: "/causes",
    AlertKind.LANE_HELD: "/uploads",
    AlertKind.BREAKER_OPEN: "/uploads",
    AlertKind.AUDIO_ENDING: "/reports?state=dead&audio_within=2h",
    AlertKind.RETENTION: "/causes",
    AlertKind.AUDIT_BROKEN: "/health",
    AlertKind.MEMORY_SHORT: "/health",
    AlertKind.UNCONFIRMED: "/receipts",
    AlertKind.REJECTED_FILLING: "/rejected",
    AlertKind.CALLS_MISSING: "/receipts",
    AlertKind.RECEIPTS_MISSING: "/receipts",
    AlertKind.RECONCILE_STALE: "/receipts",
    AlertKind.LEDGER_LOST: "/health",
    AlertKind.SPOOL_UNREADABLE: "/health",
    AlertKind.PARTITION_AWAY: "/health",
}


def alert_page(console_url: str, kind: AlertKind | str) -> str:
    """Return the address of the page for an alert, "" where nobody said where the console is."""
    path = _PAGES.get(AlertKind(kind), "/") if kind in set(AlertKind) else "/"
    return f"{console_url.rstrip('/')}{path}" if console_url else ""


def call_page(console_url: str, call_id: str) -> str:
    """Return the address of a call's story, "" where nobody said where the console is."""
    return f"{console_url.rstrip('/')}/call?id={quote(call_id, safe='')}" if console_url else ""
