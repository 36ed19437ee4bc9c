"""What is handed in, opened: where the message stands in each document, and a report in place of a Call object.

1. With a place (`--at`), what stands there is taken; a document in which nothing stands there goes on as it is.
2. Without one, a row of a table is opened at the only report in it. Everything else goes on as it is: an envelope that
   can only carry one report is opened where reports are read.
3. A Call object of Vapi's API becomes the report that Vapi's webhook would have sent, if the call has ended.
"""

import re
from collections.abc import Callable, Sequence

from roark_ledger.errors import InvalidReport
from roark_producer.producer import Producer
from roark_producer.taking import Receipt
from roark_producer.vapi.calls import is_call_object, report_of
from roark_producer.vapi.messages import END_OF_CALL_REPORT
from roark_producer.vapi.places import found_at
from roark_producer.vapi.properties import Scalar
from roark_producer.vapi.shapes import look_into
from roark_producer.vapi.slices import members

Place = tuple[str, ...]

_OF_A_REPORT = re.compile(rb'"type"\s*:\s*"%b"' % END_OF_CALL_REPORT.encode())
_KNOWN = "is already known; a Call object never replaces a report"


class Opener:
    """Opens documents. `missed` counts those in which nothing stood at the place."""

    def __init__(self, at: Place | None = None) -> None:
        self.missed = 0
        self._at = at

    def opened(self, document: bytes, *, is_row: bool = False) -> list[bytes]:
        """Return the messages of a document, or the document itself where it is not to be opened."""
        if self._at is not None:
            found = found_at(document, self._at)
            self.missed += not found
            return found or [document]
        if is_row and len(places := look_into(document).reports) == 1:
            return found_at(document, places[0]) or [document]
        return [document]


def submitting(producer: Producer, properties: dict[str, Scalar]) -> Callable[[Sequence[bytes]], list[Receipt]]:
    """Return what hands in messages, and Call objects in between, with one receipt for each in order."""

    def submit(bodies: Sequence[bytes]) -> list[Receipt]:
        told = {
            number: receipt
            for number, body in enumerate(bodies)
            if _may_be_a_call(body) and (receipt := _of_call(producer, body, properties))
        }
        others = [body for number, body in enumerate(bodies) if number not in told]
        receipts = producer.submit_iter(others, properties)
        return [told[number] if number in told else next(receipts) for number in range(len(bodies))]

    return submit


def _may_be_a_call(body: bytes) -> bool:
    # Nearly everything is a report, and spared a walk through it. An assistant names the messages that it sends, too.
    return not _OF_A_REPORT.search(body) and is_call_object(body)


def _of_call(producer: Producer, body: bytes, properties: dict[str, Scalar]) -> Receipt | None:
    """Hand in the report of a Call object, and return its receipt; None: judge it as it is."""
    try:
        if members(body, "call").get("status", b"null") not in {b'"ended"', b"null"}:
            return None
        receipt = producer.backfill(report_of(body), "call-object", properties)
    except InvalidReport:
        return None
    return Receipt(receipt.call_id, receipt.result, _KNOWN) if receipt.result == "duplicate" else receipt
