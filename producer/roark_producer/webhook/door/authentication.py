"""May this request pass? Decided from its headers, its raw body and the time; no I/O, and no secret in an answer.

    secret      `X-Vapi-Secret: <secret>` or `Authorization: Bearer <secret>`. Vapi's settings let people move the
                header and drop or add the word Bearer, so either header is read with and without it.
    signature   an HMAC of the body, see `signature.py`: demanded as soon as ROARK_INGEST_WEBHOOK_HMAC is not off
    open        no secret is set: who asks this machine directly passes, see `open_gate.py` (`server.py` then listens
                on loopback only)

Several secrets are valid while they are rotated. Each one given is compared with each one expected, in constant
time and without an early exit. An empty one never matches: Vapi sends an empty `X-Vapi-Secret` where no
credential is attached to the server URL.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

Headers = Sequence[tuple[bytes, bytes]]
"""As ASGI gives them: names in lower case, values as the bytes that were sent."""


class DoorReason(StrEnum):
    """Why a request may not pass: a closed set, told to the sender and counted."""

    NO_SECRET = "no-secret"  # noqa: S105 a code
    WRONG_SECRET = "wrong-secret"  # noqa: S105 a code
    NO_SIGNATURE = "no-signature"
    WRONG_SIGNATURE = "wrong-signature"
    NO_TIMESTAMP = "no-timestamp"
    UNREADABLE_TIMESTAMP = "unreadable-timestamp"
    STALE_TIMESTAMP = "stale-timestamp"
    NO_MESSAGE_ID = "no-message-id"
    FORWARDED = "forwarded"
    FOREIGN_HOST = "foreign-host"
    CROSS_SITE = "cross-site"


@dataclass(frozen=True, slots=True)
class Granted:
    """The request may pass."""


@dataclass(frozen=True, slots=True)
class DoorRefused:
    """The request may not pass."""

    reason: DoorReason


DoorVerdict = Granted | DoorRefused


@dataclass(frozen=True, slots=True)
class Inbound:
    """What is looked at of a request. `target` is path and query as they were sent."""

    method: str
    target: bytes
    headers: Headers
    body: bytes


class Gate(Protocol):
    """One way to tell who may pass."""

    reads_body: bool
    """Whether `judge` looks at the body; if not, who passes by the headers has passed."""

    def judge_head(self, inbound: Inbound, now: float) -> DoorVerdict:
        """Return whether the headers speak against the request, whose body is not read yet. `now`: Unix seconds."""

    def judge(self, inbound: Inbound, now: float) -> DoorVerdict:
        """Return whether the request may pass."""


class SecretGate:
    """Lets those pass who know a secret."""

    reads_body = False

    def __init__(self, secrets: Sequence[str], *, token_header: str) -> None:
        self._secrets = [secret.encode() for secret in secrets if secret]
        self._names = {token_header.lower().encode(), b"authorization"}

    def judge_head(self, inbound: Inbound, now: float) -> DoorVerdict:
        """Return what `judge` does: the headers tell all."""
        return self.judge(inbound, now)

    def judge(self, inbound: Inbound, _now: float) -> DoorVerdict:
        """Return whether one of the secrets is among the headers."""
        # httptools leaves the blanks behind a value, which are no part of it (RFC 9110, 5.5).
        values = [value.strip() for name, value in inbound.headers if name in self._names and value.strip()]
        given = [*values, *filter(None, map(_without_scheme, values))]
        if not given:
            return DoorRefused(DoorReason.NO_SECRET)
        matches = [hmac.compare_digest(one, secret) for one in given for secret in self._secrets]
        return Granted() if any(matches) else DoorRefused(DoorReason.WRONG_SECRET)


def header(headers: Headers, name: bytes) -> bytes:
    """Return the first value of a header, b"" where there is none."""
    return next((value for found, value in headers if found == name), b"")


def values(headers: Headers, name: bytes) -> str:
    """Return all values of a header that lists something, as one list; however often it was sent."""
    return b",".join(value for found, value in headers if found == name).decode("latin-1")


def _without_scheme(value: bytes) -> bytes:
    scheme, _, rest = value.partition(b" ")
    return rest.strip() if scheme.lower() == b"bearer" else b""
