"""Erases a person's data: from the ledger, the rejected bin, the logbook, Redis's files, and files of this machine.

1. Calls are named by their ids, or found by a phone number or a text: a walk over everything that is kept (payloads,
   newer reports beside them, revisions, originals of edited ones, histories) and over the rejected bin, page by page.
2. Each call is erased by one script, all or nothing, durably; what is left of it is a tombstone, so that a late webhook
   or an import does not bring it back. A walk that ends early has erased what it said, and may be repeated.
3. Then everything else that names such calls is cleaned (`clean_up`). What was erased by a run that was killed is found
   there by the tombstones.
4. The certificate says of each place what became of it. It names nobody.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from roark_ledger.errors import InvalidReport, LedgerUnavailable
from roark_ledger.ledger import Ledger
from roark_ledger.moves import desk, watch
from roark_ledger.packing import DamagedPayload, unpack
from roark_ledger.records.logbook import doer
from roark_ops.access import Access
from roark_ops.desk.rejected import RejectedBin
from roark_ops.erasing.certificate import Certificate
from roark_ops.erasing.searching import Places, Sought
from roark_producer.disk.frames import Spooled
from roark_producer.disk.purging import purge
from roark_producer.vapi.report import Report, read_message

_PAGE = 32
_PATIENCE_SECONDS = 30
_KEPT = ("payloads", "besides", "revisions", "originals", "histories")
_PREFIXED = frozenset({"besides", "revisions"})
_TEXTS = frozenset({"histories"})


@dataclass(frozen=True, slots=True)
class Found:
    """Where somebody stands: a call, or an entry of the rejected bin; what is kept of it; which fields."""

    call_id: str
    digest: str
    kept_in: str
    fields: Places


class Eraser:
    """Finds and erases. `by` is who acts; every method may raise LedgerUnavailable."""

    def __init__(self, access: Access, *, by: str, reason: str = "", sought: Sought = Sought()) -> None:  # noqa: B008 frozen
        self._access = access
        self._ledger: Ledger = access.ledger
        self.sought = sought
        # The reason stands in the certificate and is kept in the logbook, and may name the person.
        reason = sought.masked(reason)
        self.certificate = Certificate(secrets.token_hex(8), by, reason)
        self._who = doer(by, reason, certificate=self.certificate.number)

    def size(self) -> int:
        """Return how many things a search looks at."""
        kept = sum(part.hash_size(key) for part, _, key in self._kept_keys())
        return kept + self._ledger.run(watch.snapshot()).rejected_kept

    def find(self, progress: Callable[[int], None] = lambda _: None) -> Iterator[Found]:
        """Yield where the numbers and texts stand, in any order. What is accepted meanwhile may be missed.

        `progress` is told how many reports have been looked at.
        """
        for part, name, key in self._kept_keys():
            yield from self._find_in(part, name, key, progress)
        for entry in RejectedBin(self._ledger).entries():
            self._look(1, progress)
            if fields := self._fields_of(entry.packed):
                yield Found(_call_id(unpack(entry.packed).payload), entry.digest, "rejected", fields)

    def find_rejected(self, call_ids: Iterable[str]) -> list[str]:
        """Return the entries of the rejected bin in which one of these ids stands."""
        wanted = [call_id.encode() for call_id in call_ids]
        found = []
        for entry in RejectedBin(self._ledger).entries():
            try:
                body = unpack(entry.packed).payload
            except DamagedPayload:
                continue
            if any(call_id in body for call_id in wanted):
                found.append(entry.digest)
        return found

    def erase(self, call_ids: Iterable[str], progress: Callable[[int], None] = lambda _: None) -> None:
        """Erase calls one after the other; `progress` is told how many are done."""
        ledger = self._access.durable_ledger()
        for done, call_id in enumerate(dict.fromkeys(call_ids), start=1):
            operation = desk.erase(call_id, key=secrets.token_bytes(32), who=self._who)
            self.certificate.calls.append(ledger.run_durably(operation))
            progress(done)

    def erase_rejected(self, digests: Sequence[str]) -> None:
        """Erase entries of the rejected bin."""
        for first in range(0, len(digests), _PAGE):
            some = digests[first : first + _PAGE]
            operation = desk.erase_rejected(some, key=secrets.token_bytes(32), who=self._who)
            tombstones: list[str] = self._access.run_durably(operation)
            self.certificate.rejected += tombstones

    def find_in_spool(self, folder: Path) -> list[Found]:
        """Return the calls of a spool in which the numbers and texts stand; raises OSError."""
        found: dict[Found, None] = {}

        def look(request: Spooled) -> bool:
            if fields := self.sought.places_in(request.body):
                found[Found(_call_id(request.body), "", "spool", fields)] = None
            return False

        purge(folder, look, only_look=True)
        return list(found)

    def purge_spool(self, folder: Path, call_ids: Iterable[str], *, mentions: bool) -> None:
        """Take these calls, and whatever has what is sought, out of a spool's files; raises OSError."""
        wanted = [call_id.encode() for call_id in call_ids]

        def is_unwanted(request: Spooled) -> bool:
            if any(call_id in request.body for call_id in wanted):
                return True
            found = self.sought.places_in(request.body) if self.sought else Places()
            return bool(found.is_ or (mentions and found.mentions))

        self.certificate.spool = purge(folder, is_unwanted)

    def certify(self) -> Certificate:
        """Return the certificate of what was erased so far."""
        self.certificate.at_ms = self._ledger.run(watch.snapshot()).now_ms
        return self.certificate

    def _kept_keys(self) -> list[tuple[Ledger, str, str]]:
        return [(part, name, getattr(part.calls.keys, name)) for part in self._ledger.parts for name in _KEPT]

    def _find_in(self, part: Ledger, name: str, key: str, progress: Callable[[int], None]) -> Iterator[Found]:
        for page in self._pages(part, key):
            for call_id, text in page.items():
                packed = text.split(b" ", 2)[2] if name in _PREFIXED else text
                fields = self._in_history(text) if name in _TEXTS else self._fields_of(packed)
                if self.sought.is_in(call_id):
                    fields = Places(fields.is_, (*fields.mentions, "call ID"))
                if fields:
                    yield Found(call_id, "", name, fields)
            self._look(len(page), progress)

    def _in_history(self, text: bytes) -> Places:
        is_there = self.sought.is_in(text.decode("utf-8", "replace"))
        return Places(mentions=("history",)) if is_there else Places()

    def _fields_of(self, packed: bytes) -> Places:
        try:
            stored = unpack(packed)
        except DamagedPayload:
            return Places()
        found = self.sought.places_in(stored.payload)
        beside = self.sought.places_in(stored.properties) if stored.properties else Places()
        return Places(
            (*found.is_, *(f"properties.{path}" for path in beside.is_)),
            (*found.mentions, *(f"properties.{path}" for path in beside.mentions)),
        )

    def _pages(self, part: Ledger, key: str) -> Iterator[dict[str, bytes]]:
        # While Redis is away the walk waits, and goes on where it stood. Another server, or another start, orders its
        # tables otherwise: its cursors mean nothing here, so the walk begins anew.
        cursor, run = 0, part.server_run()
        while True:
            for attempt in _patiently():
                with attempt:
                    found = part.packed_page(key, cursor=cursor, page=_PAGE)
                    while (now := part.server_run()) != run:
                        found, run = part.packed_page(key, cursor=0, page=_PAGE), now
                    cursor, page = found
            yield page
            if cursor == 0:
                return

    def _look(self, number: int, progress: Callable[[int], None]) -> None:
        self.certificate.looked_at += number
        progress(self.certificate.looked_at)


def _patiently() -> Retrying:
    return Retrying(
        retry=retry_if_exception_type(LedgerUnavailable),
        stop=stop_after_delay(_PATIENCE_SECONDS),
        wait=wait_fixed(0.5),
        reraise=True,
    )


def _call_id(body: bytes) -> str:
    try:
        message = read_message(body)
    except InvalidReport:
        return ""
    return message.call_id if isinstance(message, Report) else ""
