"""Dead letters in a file, one a line, and back: to hand them to support, to another region, to a test system.

    {"call_id": …, "reason": …, "status": …, "message": …, "attempts": …, "accepted_ms": …, "died_ms": …, "sha256": …,
     "history": […], "properties": {…}, "payload": {…}, "original": {…}}
    {"manifest": {"format": 1, "letters": 2, "left_out": 0, "sha256": …, "chosen": "all", "exported_ms": …, …}}

`properties`, `payload` and `original` (where a person edited the report) are the stored bytes, spliced in and cut out
again without being parsed and printed. What was sent with line ends in it does not fit on a line; it goes as
`payload_base64`, `original_base64`. `sha256` is the payload's. The manifest is the last line of a file: how many
letters there are, and the SHA-256 of all lines before it, so that a file that was cut short or changed is found out.
"""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from roark_ledger.errors import InvalidReport
from roark_ledger.moves.intake import Acceptable, Result
from roark_ledger.packing import pack, unpack
from roark_ledger.records.letters import DeadLetter
from roark_ops.desk.grouping import Death
from roark_producer.producer import Producer
from roark_producer.taking import Receipt
from roark_producer.vapi.properties import check_stored
from roark_producer.vapi.report import Report, read_message
from roark_producer.vapi.slices import members

FORMAT = 1
_MANIFEST = b'{"manifest":'


class Seal:
    """Counts lines and hashes them as they are written or read, for the manifest."""

    def __init__(self) -> None:
        self.letters = 0
        self._hash = hashlib.sha256()

    def add(self, line: bytes) -> None:
        """Take a letter's line, without its end."""
        self.letters += 1
        self._hash.update(line)
        self._hash.update(b"\n")

    @property
    def sha256(self) -> str:
        """The SHA-256 of the lines that were taken."""
        return self._hash.hexdigest()

    def manifest(self, **facts: Any) -> bytes:
        """Return the manifest's line for what was taken, without its end."""
        known = {"format": FORMAT, "letters": self.letters, "sha256": self.sha256}
        return _MANIFEST + msgspec.json.encode(known | facts) + b"}"

    def breach(self, line: bytes) -> str:
        """Return in words how a manifest's line differs from what was taken, "" where it does not."""
        try:
            said = msgspec.json.decode(line)["manifest"]
            form, letters, digest = said["format"], said["letters"], said["sha256"]
        except (msgspec.DecodeError, LookupError, TypeError):
            return "its manifest cannot be read"
        if form != FORMAT:
            return f"its format is {form}, but this version reads {FORMAT}"
        if letters != self.letters:
            return f"the manifest lists {letters} letters, but the file has {self.letters}"
        return "" if digest == self.sha256 else "the file was changed after the export: checksums differ"


def is_manifest(line: bytes) -> bool:
    """Say whether a line is a manifest rather than a letter."""
    return line.startswith(_MANIFEST)


def export_line(letter: DeadLetter) -> bytes:
    """Return a letter, which must come whole, as one line, without its end.

    Raises DamagedPayload when what is stored cannot be read.
    """
    death = Death.of(letter)
    stored = unpack(letter.packed)
    facts = {
        "call_id": letter.call_id,
        "reason": death.reason,
        "status": death.status,
        "message": death.message,
        "parameter": death.parameter,
        "attempts": letter.record.attempts,
        "accepted_ms": letter.record.accepted_ms,
        "died_ms": letter.since_ms,
        "sha256": hashlib.sha256(stored.payload).hexdigest(),
    }
    steps = b",".join(map(_step, letter.lines.splitlines()))
    pieces = [msgspec.json.encode(facts)[:-1], b',"history":[', steps, b"]"]
    if stored.properties:
        pieces += (b',"properties":', stored.properties)
    pieces += _member(b"payload", stored.payload)
    if letter.original:
        pieces += _member(b"original", unpack(letter.original).payload)
    pieces.append(b"}")
    # Once for all: a report is long.
    return b"".join(pieces)


def _step(line: bytes) -> bytes:
    """Return a line of a history as JSON, its detail's members as they are kept."""
    at, name, detail = line.split(b" ", 2)
    return b'{"at_ms":%b,"event":"%b"%b' % (at, name, b"}" if detail == b"{}" else b"," + detail[1:])


def _member(name: bytes, payload: bytes) -> tuple[bytes, bytes, bytes]:
    if b"\n" in payload or b"\r" in payload:
        return b',"%b_base64":"' % name, base64.b64encode(payload), b'"'
    return b',"%b":' % name, payload, b""


def read_line(line: bytes) -> Acceptable:
    """Return the report that an exported line holds, with its properties, ready for `accept`.

    Raises InvalidReport when the line is no exported dead letter.
    """
    found = members(line, "line")
    payload = _payload(found)
    if "sha256" in found and found["sha256"] != b'"%b"' % hashlib.sha256(payload).hexdigest().encode():
        raise InvalidReport("payload", "was changed after the export: checksums differ")
    # Wrapped, as Vapi sends it, it is taken for nothing but a message whatever its members are called.
    message = read_message(b'{"message":' + payload + b"}")
    if not isinstance(message, Report):
        raise InvalidReport("payload", "is not an end-of-call report")
    properties = found.get("properties", b"")
    if properties:
        check_stored(properties)
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


def prepared(line: bytes) -> Acceptable | Receipt:
    """Return the report that a line holds, or the receipt that says why it holds none."""
    try:
        return read_line(line)
    except InvalidReport as error:
        return Receipt(None, Result.REJECTED, f"not an exported dead letter: {error}")


def take_in(producer: Producer, lines: Sequence[bytes]) -> list[Receipt]:
    """Hand in the reports of exported lines, and return a receipt for each.

    Raises LedgerUnavailable when they are not known to be stored; they may be handed in again.
    """
    found = list(map(prepared, lines))
    results = iter(producer.accept([one for one in found if isinstance(one, Acceptable)]))
    return [one if isinstance(one, Receipt) else Receipt(one.call_id, next(results)) for one in found]
