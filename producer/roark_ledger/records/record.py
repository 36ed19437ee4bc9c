"""One call as the ledger tells it. Formats: `_ledger.lua` and `look.lua`."""

from collections.abc import Sequence
from typing import Any, Self

import msgspec

from roark_ledger.lifecycle import State
from roark_ledger.places import LETTERS, QUEUES

_STATES = {letter: state for state, letter in LETTERS.items()}
_PRIORITIES = dict(QUEUES)
_PLAIN_DELIVERY_PARTS = 6
_decode = msgspec.json.Decoder().decode


class Event(msgspec.Struct, frozen=True):
    """One line of a report's history. `at_ms` is Unix time by Redis's clock; `detail` as it was recorded."""

    at_ms: int
    name: str
    detail: dict[str, Any]


class Record(msgspec.Struct, frozen=True, gc=False):
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
        parts = text.decode().split(" ")
        if len(parts) == _PLAIN_DELIVERY_PARTS:
            parts[5:5] = ["0", "0", "f", "0"]
        state, fingerprint, accepted, since, attempts, deaths, token, priority, revision, note, *more = parts
        accepted_ms = int(accepted)
        # By place: a hundred thousand are read for a list, and names take as long as all the rest.
        return cls(
            _STATES[state],
            fingerprint,
            accepted_ms,
            accepted_ms + int(since),
            int(attempts),
            int(deaths),
            int(token),
            _PRIORITIES[priority],
            revision == "1",
            "" if note == "-" else note,
            int(more[0]) if more else 0,
        )


class Entry(msgspec.Struct, frozen=True, gc=False):
    """Everything that is known of one call. `record` is None for an erased one; `score_ms` orders it in its place.

    `lines` is the history as it is kept. `packed` is the report that is to be uploaded, or was; `original` the one that
    was sent, where a person edited it.
    """

    call_id: str
    asked_ms: int
    record: Record | None
    erased: bool
    score_ms: int
    lines: bytes
    packed: bytes
    has_newer: bool
    has_revision: bool
    original: bytes = b""
    unconfirmed_ms: int = 0
    """When it was delivered without being named by Roark, and is not confirmed since; 0: that is not so."""
    by_call_route: bool = False
    """Whether it was sent to Roark's `POST /v1/call`."""
    free_route: bool = False
    """Whether Roark only ever refused it, so that it may go by any of its ways in."""
    looked_up_ms: int = 0
    """When the delivery is looked up at Roark; 0: it is not, or has been."""

    @property
    def history(self) -> tuple[Event, ...]:
        """All that happened to the call, read anew each time."""
        return parse_history(self.lines)

    def __repr__(self) -> str:
        # Reports, and what Roark said of them, are in no traceback.
        return f"Entry({self.call_id!r})"


def parse_history(lines: bytes) -> tuple[Event, ...]:
    """Read history lines: time, event, detail."""
    return tuple(map(parse_event, lines.splitlines()))


def parse_event(line: bytes) -> Event:
    """Read one line of a history."""
    at, name, detail = line.split(b" ", 2)
    return Event(int(at), name.decode(), _decode(detail))


def parse_entries(call_ids: Sequence[str], reply: list[Any]) -> list[Entry | None]:
    """Read the answer of `look.lua`, which may end before the last of the calls; None for one that was never seen."""
    now_ms, *rows = reply
    return [_parse_entry(call_id, now_ms, row) for call_id, row in zip(call_ids, rows, strict=False)]


def _parse_entry(call_id: str, now_ms: int, row: list[Any]) -> Entry | None:
    record, erased, score, lines, packed, beside, revision, original, unconfirmed, route, looked_up = row
    if not record and erased == 0:
        return None
    return Entry(
        call_id=call_id,
        asked_ms=now_ms,
        record=Record.parse(record) if record else None,
        erased=erased == 1,
        score_ms=int(float(score)),
        lines=lines,
        packed=packed,
        has_newer=beside == 1,
        has_revision=revision == 1,
        original=original,
        unconfirmed_ms=int(float(unconfirmed)),
        by_call_route=route[:1] == b"c",
        free_route=route == b"f",
        looked_up_ms=int(float(looked_up)),
    )
