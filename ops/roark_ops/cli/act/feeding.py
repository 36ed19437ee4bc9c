"""Feeds documents from files to the ledger: by batches, patiently while Redis is away, with every result counted.

1. Documents are read from the files in order and gathered to a batch.
2. The batch is handed over. While Redis cannot be reached it is handed over again, for as long as the patience
   lasts: what was stored by a try whose answer was lost is a duplicate in the next one.
3. Each document's receipt is told with the file and the line that it came from.
"""

import re
import shlex
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from roark_ledger.errors import LedgerUnavailable
from roark_ops.cli.terminal.sources import STDIN, Source
from roark_producer.files.compression import DamagedInput
from roark_producer.files.reading import Document, read_documents
from roark_producer.taking import BATCH_BYTES, BATCH_REPORTS

T = TypeVar("T")
_PLACE = re.compile(r"an end-of-call report,? (?:is|stands) at (\S+)")
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a document came from."""

    file: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" + (f":{self.column}" if self.column > 1 else "")


@dataclass(slots=True)
class Fed:
    """What was done so far: documents by result, and the files that could not be read to their ends."""

    results: Counter[str] = field(default_factory=Counter)
    broken_files: list[str] = field(default_factory=list)
    by_file: dict[str, Counter[str]] = field(default_factory=dict)
    places: Counter[str] = field(default_factory=Counter)
    """Where in documents that could not be used a report stands."""
    behind_text: int = 0
    """How many lines have a report in them behind other text."""
    started: float = field(default_factory=time.monotonic)

    @property
    def read(self) -> int:
        """How many documents have their receipts."""
        return self.results.total()

    @property
    def stored(self) -> int:
        """How many reports are known to be in the ledger."""
        return self.read - sum(self.results[result] for result in ("rejected", "ignored", "erased"))


class Told(Protocol):
    """What is told of one document: the receipt of a producer, or what a check found."""

    @property
    def call_id(self) -> str | None:
        """The call, None where there is none."""

    @property
    def result(self) -> str:
        """What became of it, in one word."""

    @property
    def reason(self) -> str:
        """Why, where it was not taken."""


@dataclass(frozen=True, slots=True)
class Feeder:
    """How documents are handed over, and who is told what.

    `submit` gives a receipt for each document, in order, or raises LedgerUnavailable. `patience` in seconds. `passes`
    is asked for each document once, in order; one that it says no to is left out. `opens` makes messages of one.
    """

    submit: Callable[[list[bytes]], Sequence[Told]]
    tell: Callable[[Place, Told], None]
    after_batch: Callable[[], None]
    complain: Callable[[str], None]
    most_bytes: int
    patience: float
    passes: Callable[[bytes], bool] = lambda _: True
    opens: Callable[[Document], Sequence[bytes]] = lambda document: [document.body]

    def feed(self, sources: Iterable[Source], fed: Fed) -> None:
        """Hand over everything, and count it in `fed` as it goes.

        Raises LedgerUnavailable when Redis stayed away for longer than the patience.
        """
        places: list[Place] = []
        bodies: list[bytes] = []
        waiting_bytes = 0
        for place, body in self._documents(sources, fed):
            places.append(place)
            bodies.append(body)
            waiting_bytes += len(body)
            if len(bodies) >= BATCH_REPORTS or waiting_bytes >= BATCH_BYTES:
                self._hand_over(places, bodies, fed)
                places, bodies, waiting_bytes = [], [], 0
        self._hand_over(places, bodies, fed)

    def _documents(self, sources: Iterable[Source], fed: Fed) -> Iterator[tuple[Place, bytes]]:
        for source in sources:
            fed.by_file.setdefault(source.name, Counter())
            read = 0
            try:
                with source.opened() as file:
                    for document in read_documents(file, most_bytes=self.most_bytes):
                        read += 1
                        if self.passes(document.body):
                            place = Place(source.name, document.line, document.column)
                            yield from ((place, body) for body in self.opens(document))
            except DamagedInput as error:
                what = str(error).replace("FILE", _named(source.path)) if source.path != STDIN else str(error)
                self.complain(f"{source.name}: {what}" + ("; everything before that point was read" if read else ""))
                fed.broken_files.append(source.name)

    def _hand_over(self, places: list[Place], bodies: list[bytes], fed: Fed) -> None:
        if not bodies:
            return
        receipts = patiently(lambda: self.submit(bodies), self.patience, self.complain)
        fed.results.update(receipt.result for receipt in receipts)
        for place, receipt in zip(places, receipts, strict=True):
            fed.by_file[place.file][receipt.result] += 1
            if receipt.result == "rejected":
                fed.places.update(_PLACE.findall(receipt.reason))
                fed.behind_text += "; text with an end-of-call report in" in receipt.reason
            self.tell(place, receipt)
        self.after_batch()


def patiently(action: Callable[[], T], seconds: float, complain: Callable[[str], None]) -> T:
    """Return what `action` returns; repeat it for up to `seconds` while Redis is away, and say so once."""
    deadline = time.monotonic() + seconds
    pause, said, clock = _FIRST_PAUSE_SECONDS, False, threading.Event()
    while True:
        try:
            result = action()
        except LedgerUnavailable as error:
            if time.monotonic() + pause > deadline:
                raise
            if not said:
                complain(f"{error}; retrying for {seconds:g} s")
            said = True
            clock.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            continue
        if said:
            complain("Redis is back; continuing")
        return result


def _named(path: str) -> str:
    # In front of other programs, which may not know `--`.
    return shlex.quote(f"./{path}" if path.startswith("-") else path)
