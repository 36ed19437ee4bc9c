"""What the sandbox received: one small record per call, in the order in which the calls first came.

A call is *received* with each request that names it, whatever the answer; *imported* when it is accepted as new;
*skipped* when it was imported before and the request said `skipAlreadyImported`. Exactly-once delivery shows as
imported = 1 for every call; with deduplication off every accepted request counts as imported, so that a second
upload shows as imported = 2 instead of hiding behind the flag.
"""

from __future__ import annotations

import hashlib
import itertools
import uuid

import msgspec


class KnownCall(msgspec.Struct, rename="camel", gc=False):
    """One call as `/_sandbox/calls` shows it.

    `sha256` has one digest of the payload's raw bytes per import; `last_status` is the last answer's status, null
    when the last request got none. Untracked by the garbage collector: a load run holds hundreds of thousands.
    """

    received: int = 0
    imported: int = 0
    skipped: int = 0
    sha256: list[str] = []
    last_status: int | None = None
    call_id: str | None = None


class SandboxMemory:
    """The calls by the `call.id` of their reports, and on wish the last payload of each."""

    def __init__(self, *, deduplicate: bool, keep_payloads: bool) -> None:
        self._deduplicate = deduplicate
        self._keep_payloads = keep_payloads
        self._payloads: dict[str, bytes] = {}
        self._calls: dict[str, KnownCall] = {}
        self._by_roark_id: dict[str, str] = {}
        self._imported = self._skipped = 0

    def receive(self, call_id: str) -> None:
        """Counts a request for the call, before anything is known of its fate."""
        self._call(call_id).received += 1

    def take(self, call_id: str, payload: msgspec.Raw, *, skip_already_imported: bool) -> str:
        """Imports the call or skips it; returns the id that Roark gives it.

        A call imported anew gets a new id, as Roark's `supersededByCallId` suggests; a skipped one keeps its id.
        """
        call = self._call(call_id)
        if self._deduplicate and skip_already_imported and call.call_id is not None:
            call.skipped += 1
            self._skipped += 1
            return call.call_id
        call.imported += 1
        self._imported += 1
        call.sha256.append(hashlib.sha256(payload).hexdigest())
        call.call_id = str(uuid.uuid4())
        self._by_roark_id[call.call_id] = call_id
        if self._keep_payloads:
            self._payloads[call_id] = bytes(payload)
        return call.call_id

    def roark_id(self, call_id: str) -> str | None:
        """The id that Roark gave the call, None for one that it does not have."""
        call = self._calls.get(call_id)
        return call.call_id if call else None

    def call_of(self, roark_id: str) -> str | None:
        """The call to which Roark gave this id, None where it gave it to none."""
        return self._by_roark_id.get(roark_id)

    def hide(self, roark_id: str) -> None:
        """Hides a call from reads by its id; that it was imported stays counted."""
        self._payloads.pop(self._by_roark_id.pop(roark_id, ""), None)

    def answered(self, call_id: str, status: int | None) -> None:
        """Notes the status of the last answer for the call, None when it got no answer."""
        self._call(call_id).last_status = status

    def payload(self, call_id: str) -> bytes | None:
        """The raw bytes last imported for the call, if payloads are kept."""
        return self._payloads.get(call_id)

    def page(self, after: str | None, limit: int | None) -> dict[str, KnownCall]:
        """Up to `limit` calls in order of arrival, beginning behind `after`; raises KeyError if that is unknown."""
        ids = iter(self._calls)
        # Looking for `after` uses the iterator up to and including it, which leaves the page to come.
        if after is not None and after not in ids:
            raise KeyError(after)
        return {call_id: self._calls[call_id] for call_id in itertools.islice(ids, limit)}

    def totals(self) -> dict[str, int]:
        """How many calls are known, and how many imports and skips they add up to."""
        return {"calls": len(self._calls), "imported": self._imported, "skipped": self._skipped}

    def forget(self) -> None:
        """As if nothing had ever come."""
        self._calls.clear()
        self._by_roark_id.clear()
        self._payloads.clear()
        self._imported = self._skipped = 0

    def _call(self, call_id: str) -> KnownCall:
        call = self._calls.get(call_id)
        if call is None:
            call = self._calls[call_id] = KnownCall()
        return call
