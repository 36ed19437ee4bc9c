"""What the webhook answers, as values: status, JSON body, and the label under which it is counted."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec
from starlette.types import Send

from roark_ledger.errors import IngestError, InvalidReport, LedgerFull, TooLarge, UnknownMessage
from roark_ledger.ids import CallId
from roark_ledger.moves.intake import Result
from roark_producer.disk.spool import SpoolFull
from roark_producer.webhook.door.authentication import DoorReason
from roark_producer.webhook.door.body import Trouble

_JSON = (b"content-type", b"application/json")
_CLOSE = (b"connection", b"close")
_RETRY_AFTER = (b"retry-after", b"5")


class Label(StrEnum):
    """How a request ended: the closed set of values of the metric's label `result`."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    REPLACED = "replaced"
    REVISION = "revision"
    ERASED = "erased"
    SPOOLED = "spooled"
    IGNORED = "ignored"
    REJECTED = "rejected"
    KEPT = "kept"
    SEVERAL = "several"
    UNAUTHORIZED = "unauthorized"
    TOO_LARGE = "too-large"
    TOO_SLOW = "too-slow"
    HUNG_UP = "hung-up"
    NO_ROOM = "no-room"
    UNAVAILABLE = "unavailable"
    FULL = "full"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class WebhookAnswer:
    """One answer. A status of 0 means that nobody is there to hear it."""

    label: Label
    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()

    async def send(self, send: Send) -> None:
        """Send it over ASGI."""
        if self.status == 0:
            return
        length = (b"content-length", b"%d" % len(self.body))
        await send({"type": "http.response.start", "status": self.status, "headers": [_JSON, length, *self.headers]})
        await send({"type": "http.response.body", "body": self.body})


def stored(result: Result, call_id: CallId) -> WebhookAnswer:
    """200: the report is durable, or known already."""
    return WebhookAnswer(Label(result.value), 200, _json(result=result.value, call_id=call_id))


def spooled(call_id: CallId) -> WebhookAnswer:
    """200: the report is on this machine's disk, and goes to the ledger when that takes it again."""
    return WebhookAnswer(Label.SPOOLED, 200, _json(result="spooled", call_id=call_id))


def rejected(error: InvalidReport) -> WebhookAnswer:
    """What came cannot be used as a report; it is kept in the rejected bin.

    422, or 413 where it is too large. 200 for a message of Vapi's that is not known: to send it again is of no use.
    """
    if isinstance(error, UnknownMessage):
        return WebhookAnswer(Label.KEPT, 200, _json(result="kept", field=error.field, reason=error.problem))
    status, label = (413, Label.TOO_LARGE) if isinstance(error, TooLarge) else (422, Label.REJECTED)
    return WebhookAnswer(label, status, _json(result="rejected", field=error.field, reason=error.problem))


def of_each(kept: Sequence[WebhookAnswer]) -> WebhookAnswer:
    """Several messages that came together: what became of each, in order.

    503 as soon as one is not known to be stored: sent again, the others are duplicates. 200 where some were of use, for
    the rest is kept.
    """
    bodies = [b'{"result":"ignored"}' if answer.label is Label.IGNORED else answer.body for answer in kept]
    body = b'{"results":[' + b",".join(bodies) + b"]}"
    labels = {answer.label for answer in kept}
    label = labels.pop() if len(labels) == 1 else Label.SEVERAL
    if failed := next((answer for answer in kept if answer.status >= 500), None):
        return WebhookAnswer(failed.label, failed.status, body, failed.headers)
    return WebhookAnswer(label, 200, body)


def unauthorized(reason: DoorReason) -> WebhookAnswer:
    """401: the request may not pass."""
    return WebhookAnswer(Label.UNAUTHORIZED, 401, _json(error="unauthorized", reason=reason.value))


def unavailable(error: IngestError) -> WebhookAnswer:
    """503: the report is not known to be stored; send it again."""
    if isinstance(error, SpoolFull):
        return _unavailable(Label.FULL, "spool-full")
    if isinstance(error, LedgerFull):
        return _unavailable(Label.FULL, "ledger-full")
    return _unavailable(Label.UNAVAILABLE, "ledger-unavailable")


def trouble(kind: Trouble, *, most_bytes: int, wanted: int) -> WebhookAnswer:
    """Return the answer to a body that could not be read."""
    match kind:
        case Trouble.TOO_LARGE:
            why = {"reason": "the webhook is out of memory for more bodies"} if most_bytes < wanted else {}
            return WebhookAnswer(Label.TOO_LARGE, 413, _json(error="too-large", most_bytes=most_bytes, **why))
        case Trouble.TOO_SLOW:
            return WebhookAnswer(Label.TOO_SLOW, 408, _json(error="too-slow"), (_CLOSE,))
        case Trouble.NO_ROOM:
            # The rest of the body is not waited for.
            return _unavailable(Label.NO_ROOM, "no-room", _CLOSE)
        case Trouble.HUNG_UP:
            return WebhookAnswer(Label.HUNG_UP, 0, b"")


def _json(**fields: object) -> bytes:
    return msgspec.json.encode(fields)


def _unavailable(label: Label, reason: str, *headers: tuple[bytes, bytes]) -> WebhookAnswer:
    return WebhookAnswer(label, 503, _json(error="unavailable", reason=reason), (_RETRY_AFTER, *headers))


IGNORED = WebhookAnswer(Label.IGNORED, 200, b"{}")
FAILED = _unavailable(Label.FAILED, "failed")
SHUTTING_DOWN = _unavailable(Label.UNAVAILABLE, "shutting-down")
