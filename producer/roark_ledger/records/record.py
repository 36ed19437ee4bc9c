"""One call as the ledger tells it. Formats: `_ledger.lua` and `look.lua`."""

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field as field_
from typing import Any, Self

import msgspec

from roark_ledger.lifecycle import State
from roark_ledger.places import LETTERS, QUEUES

_STATES = {letter.encode(): state for state, letter in LETTERS.items()}
_PRIORITIES = {letter.encode(): queue for letter, queue in QUEUES.items()}
_PLAIN_DELIVERY_PARTS = 6


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a report's history. `at_ms` is Unix time by Redis's clock; `detail` as it was recorded."""

    at_ms: int
    name: str
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Record:
    """The record of one report. Times are Unix ms; `note` is Roark's id when delivered, else a reason's code.

    `expires_ms` is when the report's audio links end, 0 where there are none or it is delivered.
    """

    state: State
    fingerprint: str
    accepted_ms: int
    since_ms: int
    attempts: int
    deaths: int
    token: int
    priority: str
    revision: bool
    note: str
    expires_ms: int = 0

    @classmethod
    def parse(cls, text: bytes) -> Self:
        """Read the record's text, as `_ledger.lua` writes it."""
        parts = text.split(b" ")
        if len(parts) == _PLAIN_DELIVERY_PARTS:
            parts[5:5] = [b"0", b"0", b"f", b"0"]
        state, fingerprint, accepted, since, attempts, deaths, token, priority, revision, note, *more = parts
        return cls(
            state=_STATES[state],
            fingerprint=fingerprint.decode(),
            accepted_ms=int(accepted),
            since_ms=int(accepted) + int(since),
            attempts=int(attempts),
            deaths=int(deaths),
            token=int(token),
            priority=_PRIORITIES[priority],
            revision=revision == b"1",
            note="" if note == b"-" else note.decode(),
            expires_ms=int(more[0]) if more else 0,
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """Everything that is known of one call. `record` is None for an erased one; `score_ms` orders it in its place.

    `packed` is the report that is to be uploaded, or was; `original` the one that was sent, where a person edited it.
    """

    call_id: str
    asked_ms: int
    record: Record | None
    erased: bool
    score_ms: int
    history: tuple[Event, ...]
    packed: bytes = field_(repr=False)
    has_newer: bool
    has_revision: bool
    original: bytes = field_(default=b"", repr=False)
    unconfirmed_ms: int = 0
    """When it was delivered without being named by Roark, and is not confirmed since; 0: that is not so."""
    by_call_route: bool = False
    """Whether it was sent to Roark's `POST /v1/call`."""
    free_route: bool = False
    """Whether Roark only ever refused it, so that it may go by any of its ways in."""
    looked_up_ms: int = 0
    """When the delivery is looked up at Roark; 0: it is not, or has been."""


def parse_history(text: bytes) -> tuple[Event, ...]:
    """Read history lines: time, event, detail."""
    events = []
    for line in text.splitlines():
        at, name, detail = line.split(b" ", 2)
        events.append(Event(int(at), name.decode(), msgspec.json.decode(detail)))
    return tuple(events)


def parse_entries(call_ids: Sequence[str], reply: list[Any]) -> list[Entry | None]:
    """Read the answer of `look.lua`, which may end before the last of the calls; None for one that was never seen."""
    now_ms, *rows = reply
    return [_parse_entry(call_id, now_ms, row) for call_id, row in zip(call_ids, rows, strict=False)]


def _parse_entry(call_id: str, now_ms: int, row: list[Any]) -> Entry | None:
    record, erased, score, history, packed, beside, revision, original, unconfirmed, route, looked_up = row
    if not record and erased == 0:
        return None
    return Entry(
        call_id=call_id,
        asked_ms=now_ms,
        record=Record.parse(record) if record else None,
        erased=erased == 1,
        score_ms=int(float(score)),
        history=parse_history(history),
        packed=packed,
        has_newer=beside == 1,
        has_revision=revision == 1,
        original=original,
        unconfirmed_ms=int(float(unconfirmed)),
        by_call_route=route[:1] == b"c",
        free_route=route == b"f",
        looked_up_ms=int(float(looked_up)),
    )
