"""The rejected bin: what was handed in and could not be used, kept once per content until a person decides.

retry     reads an entry again with today's code and settings; what is usable now is accepted and leaves the bin
discard   removes entries for good
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from roark_producer import operations
from roark_producer.ledger import Ledger
from roark_producer.packing import unpack
from roark_producer.producer import Producer, Receipt
from roark_producer.records import Rejected

_PAGE = 100


@dataclass(frozen=True, slots=True)
class Retried:
    """What became of one entry: its receipt, or None where the bin has no such entry."""

    digest: str
    receipt: Receipt | None


class RejectedBin:
    """Reads and empties the rejected bin."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def entries(self) -> Iterator[Rejected]:
        """Yield all entries, oldest first."""
        first = 0
        while page := self._ledger.run(operations.rejected_page(first=first, most=_PAGE)):
            yield from page
            first += len(page)

    def find(self, digest: str) -> Rejected | None:
        """Return the entry whose digest begins so, None where there is none or more than one."""
        found = [entry for entry in self.entries() if entry.digest.startswith(digest)]
        return found[0] if len(found) == 1 else None

    def body(self, entry: Rejected) -> bytes:
        """Return what was handed in, byte for byte."""
        return unpack(entry.packed).payload

    def retry(self, producer: Producer, digests: Iterable[str]) -> Iterator[Retried]:
        """Hand entries in again; those that can be used now leave the bin."""
        for digest in digests:
            entry = self.find(digest)
            if entry is None:
                yield Retried(digest, None)
                continue
            receipt = producer.submit(self.body(entry))
            if receipt.result != "rejected":
                self._ledger.run(operations.unreject([entry.digest], counter="rejected_retried"))
            yield Retried(entry.digest, receipt)

    def discard(self, digests: Iterable[str]) -> int:
        """Remove entries for good; return how many were there."""
        return self._ledger.run(operations.unreject(list(digests), counter="rejected_discarded"))
