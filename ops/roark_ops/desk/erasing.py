"""Erases a person's data: from the ledger, the rejected bin, and a webhook's spool.

1. Calls are named by their ids, or found by a phone number: a walk over everything that is kept packed (payloads, newer
   reports beside them, revisions, originals of edited ones) and over the rejected bin, page by page.
2. Each call is erased by one script, all or nothing, durably; what is left of it is a tombstone, so that a late webhook
   or an import does not bring it back. A walk that ends early has erased what it said, and may be repeated.
3. The certificate says what was removed where, when and by whom, and what this cannot reach. It names nobody.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from roark_ledger.errors import InvalidReport, LedgerUnavailable
from roark_ledger.ledger import Ledger
from roark_ledger.moves import desk, watch
from roark_ledger.moves.desk import Erased
from roark_ledger.packing import DamagedPayload, unpack
from roark_ledger.records.logbook import doer
from roark_ops.access import Access
from roark_ops.desk.rejected import RejectedBin
from roark_producer.disk.frames import Spooled
from roark_producer.disk.purging import Purged, purge
from roark_producer.vapi.phone import places_of
from roark_producer.vapi.report import Report, read_message

_PAGE = 32
_PATIENCE_SECONDS = 30
_KEPT = ("payloads", "besides", "revisions", "originals")
_PREFIXED = frozenset({"besides", "revisions"})

BEYOND = (
    "Data at Roark and Vapi: ask them to erase it.",
    "Redis's files until they are rewritten (BGREWRITEAOF, or BGSAVE without an append-only file), and backups.",
    "Exported files, logs of other systems, and the call IDs that Flower remembers until it restarts.",
    "Spools of webhooks on other machines. Their reports of erased calls are refused; --spool clears the files there.",
)


@dataclass(frozen=True, slots=True)
class Found:
    """Where a number stands: a call, or an entry of the rejected bin; what kind of report; which fields."""

    call_id: str
    digest: str
    kept_in: str
    fields: tuple[str, ...]


@dataclass(slots=True)
class Certificate:
    """What was erased. Calls and entries of the rejected bin are named by their tombstones only."""

    number: str
    by: str
    reason: str
    at_ms: int = 0
    calls: list[Erased] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)
    spool: Purged | None = None
    looked_at: int = 0


class Eraser:
    """Finds and erases. `by` is who acts; every method may raise LedgerUnavailable."""

    def __init__(self, access: Access, *, by: str, reason: str = "") -> None:
        self._access = access
        self._ledger: Ledger = access.ledger
        self.certificate = Certificate(secrets.token_hex(8), by, reason)
        self._who = doer(by, reason, certificate=self.certificate.number)

    def size(self) -> int:
        """Return how many things a search by number looks at."""
        kept = sum(self._ledger.hash_size(key) for _, key in self._kept_keys())
        return kept + self._ledger.run(watch.snapshot()).rejected_kept

    def find(self, number: str, progress: Callable[[int], None] = lambda _: None) -> Iterator[Found]:
        """Yield where a phone number stands, in any order. What is accepted meanwhile may be missed.

        `progress` is told how many reports have been looked at.
        """
        for name, key in self._kept_keys():
            yield from self._find_in(name, key, number, progress)
        for entry in RejectedBin(self._ledger).entries():
            self._look(1, progress)
            if fields := _fields_of(entry.packed, number):
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

    def calls_in_spool(self, folder: Path, number: str) -> list[str]:
        """Return the calls of a spool whose reports have this number; raises OSError."""
        found: list[str] = []

        def look(request: Spooled) -> bool:
            if not places_of(number, request.body):
                return False
            found.append(_call_id(request.body))
            return True

        purge(folder, look, only_look=True)
        return [call_id for call_id in dict.fromkeys(found) if call_id]

    def purge_spool(self, folder: Path, call_ids: Iterable[str], number: str) -> None:
        """Take these calls, and whatever has this number, out of a spool's files; raises OSError."""
        wanted = [call_id.encode() for call_id in call_ids]

        def is_unwanted(request: Spooled) -> bool:
            named = any(call_id in request.body for call_id in wanted)
            return named or bool(number and places_of(number, request.body))

        self.certificate.spool = purge(folder, is_unwanted)

    def certify(self) -> Certificate:
        """Return the certificate of what was erased so far."""
        self.certificate.at_ms = self._ledger.run(watch.snapshot()).now_ms
        return self.certificate

    def _kept_keys(self) -> list[tuple[str, str]]:
        return [(name, getattr(self._ledger.calls.keys, name)) for name in _KEPT]

    def _find_in(self, name: str, key: str, number: str, progress: Callable[[int], None]) -> Iterator[Found]:
        for page in self._pages(key):
            for call_id, text in page.items():
                packed = text.split(b" ", 2)[2] if name in _PREFIXED else text
                if fields := _fields_of(packed, number):
                    yield Found(call_id, "", name, fields)
            self._look(len(page), progress)

    def _pages(self, key: str) -> Iterator[dict[str, bytes]]:
        # While Redis is away the walk waits, and goes on where it stood; cursors of another start mean nothing.
        cursor, run = 0, self._ledger.server_run()
        while True:
            for attempt in _patiently():
                with attempt:
                    if attempt.retry_state.attempt_number > 1 and self._ledger.server_run() != run:
                        cursor, run = 0, self._ledger.server_run()
                    cursor, page = self._ledger.packed_page(key, cursor=cursor, page=_PAGE)
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


def _fields_of(packed: bytes, number: str) -> tuple[str, ...]:
    try:
        stored = unpack(packed)
    except DamagedPayload:
        return ()
    properties = (f"properties.{path}" for path in places_of(number, stored.properties) if stored.properties)
    return (*places_of(number, stored.payload), *properties)


def _call_id(body: bytes) -> str:
    try:
        message = read_message(body)
    except InvalidReport:
        return ""
    return message.call_id if isinstance(message, Report) else ""
