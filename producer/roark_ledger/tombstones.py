"""Tombstones: what is left of an erased call, HMAC-SHA-1 of its id under a key that each ledger makes for itself.

SHA-1, because that is what a Lua script in Redis has; as an HMAC it is not weakened by what is known of it
(RFC 6194). The key lies in the ledger: every producer of any version and on any machine must be able to refuse an
erased call, and a key that is lost with a setting would let it in again.
"""

import hashlib

BLOCK_BYTES = 64


def pads(key: bytes) -> tuple[bytes, bytes]:
    """Return the inner and the outer pad of a key of at most 64 bytes (RFC 2104), as the scripts keep it."""
    whole = key.ljust(BLOCK_BYTES, b"\0")
    return bytes(byte ^ 0x36 for byte in whole), bytes(byte ^ 0x5C for byte in whole)


def tombstone(inner: bytes, outer: bytes, call_id: str) -> str:
    """Return a call's tombstone by the pads of a ledger's key, as the scripts make it."""
    within = hashlib.sha1(inner + call_id.encode(), usedforsecurity=False).digest()
    return hashlib.sha1(outer + within, usedforsecurity=False).hexdigest()
