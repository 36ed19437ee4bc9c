"""Dead letters in a file, one a line, and back: to hand them to support, to another region, to a test system.

    {"call_id": …, "reason": …, "status": …, "message": …, "attempts": …, "accepted": …, "died": …, "history": […],
     "properties": {…}, "payload": {…}}

`properties` and `payload` are the stored bytes, spliced in and cut out again without being parsed and printed.
A payload that was sent with line ends in it does not fit on a line; it goes as `payload_base64`.
"""

import base64
import binascii

import msgspec

from roark_ops.grouping import Death
from roark_producer.errors import InvalidReport
from roark_producer.operations import Acceptable
from roark_producer.packing import pack, unpack
from roark_producer.records import DeadLetter
from roark_producer.report import Report, read_message
from roark_producer.slices import members


def export_line(letter: DeadLetter, packed: bytes) -> bytes:
    """Return a letter as one line, without its end.

    Raises DamagedPayload when what is stored cannot be read.
    """
    death = Death.of(letter)
    stored = unpack(packed)
    facts = {
        "call_id": letter.call_id,
        "reason": death.reason,
        "status": death.status,
        "message": death.message,
        "parameter": death.parameter,
        "attempts": letter.record.attempts,
        "accepted_ms": letter.record.accepted_ms,
        "died_ms": letter.since_ms,
        "history": [{"at_ms": event.at_ms, "event": event.name} | event.detail for event in letter.history],
    }
    members = [msgspec.json.encode(facts)[1:-1]]
    if stored.properties:
        members.append(b'"properties":' + stored.properties)
    if b"\n" in stored.payload or b"\r" in stored.payload:
        members.append(b'"payload_base64":"' + base64.b64encode(stored.payload) + b'"')
    else:
        members.append(b'"payload":' + stored.payload)
    return b"{" + b",".join(members) + b"}"


def read_line(line: bytes) -> Acceptable:
    """Return the report that an exported line holds, with its properties, ready for `accept`.

    Raises InvalidReport when the line is no exported dead letter.
    """
    found = members(line, "line")
    # Wrapped, as Vapi sends it, it is taken for nothing but a message whatever its members are called.
    message = read_message(b'{"message":' + _payload(found) + b"}")
    if not isinstance(message, Report):
        raise InvalidReport("payload", "is no end-of-call report")
    properties = found.get("properties", b"")
    if properties:
        members(properties, "properties")
    return Acceptable(message.call_id, message.fingerprint, pack(message.payload, properties), message.expires_ms)


def _payload(found: dict[str, bytes]) -> bytes:
    if payload := found.get("payload"):
        return payload
    if "payload_base64" not in found:
        raise InvalidReport("payload", "is missing")
    try:
        return base64.b64decode(msgspec.json.decode(found["payload_base64"], type=str), validate=True)
    except (msgspec.DecodeError, binascii.Error, ValueError):
        raise InvalidReport("payload_base64", "is not base64") from None
