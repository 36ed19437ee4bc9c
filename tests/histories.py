"""Histories as the ledger keeps them."""

import msgspec

from roark_ledger.records.record import Event


def lines_of(*events: Event) -> bytes:
    """Return these events as history lines."""
    return b"".join(b"%d %b %b\n" % (one.at_ms, one.name.encode(), msgspec.json.encode(one.detail)) for one in events)
