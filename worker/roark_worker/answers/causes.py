"""What an attempt failed of, more exactly than its reason's code: by that a shut lane names whose side it is. Pure.

`connect` says that nothing was sent. Why not is in the system's own words beside it, which differ between transports:

    connect_tls       the certificate, or TLS itself, was refused
    connect_dns       the name cannot be resolved
    connect_refused   nobody listens at that address
"""

import re
from collections.abc import Sequence

import msgspec

from roark_ledger.moves.delivery import Bury, Defer

_CONNECT = (
    ("connect_tls", re.compile(r"certificate|\b(ssl|tls)\b|handshake|InvalidContentType|wrong.version", re.IGNORECASE)),
    (
        "connect_dns",
        re.compile(
            r"\bdns\b|name or service|name resolution|lookup address|nodename|no address associated", re.IGNORECASE
        ),
    ),
    ("connect_refused", re.compile(r"refused", re.IGNORECASE)),
)


class _Detail(msgspec.Struct):
    reason: str = ""
    message: str = ""


def causes_of(outcomes: Sequence[Defer] | Sequence[Bury]) -> list[str]:
    """Return the cause of each failed attempt."""
    return [cause_of(outcome.detail) or outcome.reason for outcome in outcomes]


def cause_of(detail: bytes) -> str:
    """Return what the attempt of this history line failed of; "" where it does not say."""
    try:
        found = msgspec.json.decode(detail, type=_Detail)
    except msgspec.DecodeError:
        return ""
    if found.reason != "connect":
        return found.reason
    return next((cause for cause, words in _CONNECT if words.search(found.message)), found.reason)
