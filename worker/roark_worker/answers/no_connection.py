"""Why no connection came about, as a code of the table of reasons. Pure.

The system's own words, which differ between transports, are all that tells it:

    connect_tls       the certificate, or TLS itself, was refused
    connect_dns       a name cannot be resolved
    connect_proxy     a proxy answered, and made no connection
    connect_refused   nobody listens at that address
    connect           anything else
"""

import re
from typing import Literal

Cause = Literal["connect", "connect_tls", "connect_dns", "connect_proxy", "connect_refused"]

_CAUSES: tuple[tuple[Cause, re.Pattern[str]], ...] = (
    ("connect_proxy", re.compile(r"\btunnel\b|\bproxy\b", re.IGNORECASE)),
    ("connect_tls", re.compile(r"certificate|\b(ssl|tls)\b|handshake|InvalidContentType|wrong.version", re.IGNORECASE)),
    (
        "connect_dns",
        re.compile(
            r"\bdns\b|name or service|name resolution|lookup address|nodename|no address associated", re.IGNORECASE
        ),
    ),
    ("connect_refused", re.compile(r"refused|\bErrno (111|61)\b", re.IGNORECASE)),
)


def cause_in(words: str) -> Cause:
    """Return the code for what the system says."""
    return next((cause for cause, pattern in _CAUSES if pattern.search(words)), "connect")
