"""The rejected bin: what was handed in and could not be used, kept once per content until a person decides.

retry     reads an entry again with today's code and settings; what is usable now is accepted and leaves the bin
discard   removes entries for good
"""

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from roark_ledger.ledger import Ledger
from roark_ledger.moves import desk
from roark_ledger.packing import unpack
from roark_ledger.records.logbook import Action, doer
from roark_ledger.records.rejected import Rejected
from roark_ops.desk.acting import Actor
from roark_ops.desk.opening import Opener, submitting
from roark_producer.files.compression import DamagedInput, decompressed
from roark_producer.files.reading import read_documents
from roark_producer.producer import Producer
from roark_producer.taking import Receipt

_PAGE = 100


@dataclass(frozen=True, slots=True)
class Retried:
    """What became of one entry: its receipt, or None where the bin has no such entry."""

    digest: str
    receipt: Receipt | None


class RejectedBin:
    """Reads and empties the rejected bin. `by` is who acts, for the logbook."""

    def __init__(self, ledger: Ledger, *, by: str = "") -> None:
        self._ledger = ledger
        self._actor = Actor(ledger, by)

    def entries(self) -> Iterator[Rejected]:
        """Yield all entries, oldest first."""
        first = 0
        while page := self._ledger.run(desk.rejected_page(first=first, most=_PAGE)):
            yield from page
            first += len(page)

    def find(self, digest: str) -> Rejected | None:
        """Return the entry whose digest begins so, None where there is none or more than one."""
        found = [entry for entry in self.entries() if entry.digest.startswith(digest)]
        return found[0] if len(found) == 1 else None

    def body(self, entry: Rejected) -> bytes:
        """Return what was handed in, byte for byte."""
        return unpack(entry.packed).payload

    def retry(
        self, producer: Producer, digests: Iterable[str], *, at: tuple[str, ...] | None = None
    ) -> Iterator[Retried]:
        """Hand entries in again, from the place `at` in them; those that can be used now leave the bin."""
        for digest in digests:
            entry = self.find(digest)
            if entry is None:
                yield Retried(digest, None)
                continue
            intent = desk.log_deed(Action.REJECTED_RETRY, who=doer(self._actor.name), calls=[entry.digest])
            self._ledger.run(intent)
            receipt = _handed_in(producer, self.body(entry), at)
            if receipt.result != "rejected":
                self._ledger.run(
                    desk.unreject([entry.digest], action=Action.REJECTED_RETRY, who=doer(self._actor.name))
                )
            yield Retried(entry.digest, receipt)

    def discard(self, digests: Iterable[str]) -> int:
        """Remove entries for good; return how many were there."""
        return self._ledger.run(
            desk.unreject(list(digests), action=Action.REJECTED_DISCARD, who=doer(self._actor.name))
        )


def _handed_in(producer: Producer, body: bytes, at: tuple[str, ...] | None) -> Receipt:
    """Hand in what an entry holds: as a whole, else message by message. Of several, one that is rejected counts."""
    submit = submitting(producer, {})
    receipts = submit(Opener(at).opened(body))
    if len(receipts) == 1 and receipts[0].result == "rejected" and len(several := _documents(body)) > 1:
        receipts = submit([message for document in several for message in Opener(at).opened(document)])
    return next((receipt for receipt in receipts if receipt.result == "rejected"), receipts[0])


def _documents(body: bytes) -> list[bytes]:
    try:
        with decompressed(io.BytesIO(body)) as file:
            found = [document.body for document in read_documents(file, most_bytes=len(body))]
    except DamagedInput:
        return []
    return found if all(each.startswith((b"{", b'"')) for each in found) else []
