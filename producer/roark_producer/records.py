"""What the ledger tells about its reports, as plain values: one call, a dead letter, the whole at a glance.

The formats are written down in `lua/_ledger.lua` and in the headers of `look.lua`, `dead.lua`, `snapshot.lua`.
"""

from dataclasses import dataclass, field
from typing import Any, Self

import msgspec

from roark_producer.lifecycle import State

_STATES = {
    b"r": State.READY,
    b"u": State.UPLOADING,
    b"w": State.WAITING,
    b"v": State.DELIVERED,
    b"d": State.DEAD,
    b"x": State.DISCARDED,
}
_PRIORITIES = {b"f": "fresh", b"r": "retry", b"p": "replay"}


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a report's history. `at_ms` is Unix time by Redis's clock; `detail` as it was recorded."""

    at_ms: int
    name: str
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Record:
    """The record of one report. Times are Unix ms; `note` is Roark's id when delivered, else a reason's code."""

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

    @classmethod
    def parse(cls, text: bytes) -> Self:
        """Read the record's text, as `_ledger.lua` writes it."""
        state, fingerprint, accepted, since, attempts, deaths, token, priority, revision, note = text.split(b" ")
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
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """Everything that is known of one call. `record` is None for an erased one; `score_ms` orders it in its place."""

    call_id: str
    asked_ms: int
    record: Record | None
    erased: bool
    score_ms: int
    history: tuple[Event, ...]
    packed: bytes = field(repr=False)
    has_newer: bool
    has_revision: bool


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A report that could not be delivered; `last` is the attempt, or the event, that ended it."""

    call_id: str
    since_ms: int
    record: Record
    history: tuple[Event, ...]

    @property
    def last(self) -> Event | None:
        """The event that ended it, None where the history is gone."""
        fatal = [event for event in self.history if event.name in {"buried", "poisoned"}]
        return fatal[-1] if fatal else None


@dataclass(frozen=True, slots=True)
class Lane:
    """The way to Roark. `state` is "open" or "held"; times are Unix ms, 0 where they do not apply."""

    state: str
    reason: str
    by: str
    since_ms: int
    probe_at_ms: int
    last_claim_ms: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The ledger at one moment. Times are Unix ms by Redis's clock, 0 where there is none."""

    now_ms: int
    queues: dict[str, int]
    states: dict[State, int]
    counters: dict[str, int]
    lane: Lane
    oldest_ready_ms: int
    earliest_due_ms: int
    oldest_dead_ms: int
    besides: int
    revisions_kept: int
    rejected_kept: int

    def total(self, counter: str) -> int:
        """Return a counter's value, 0 where nothing was counted yet."""
        return self.counters.get(counter, 0)

    @property
    def balanced(self) -> bool:
        """Whether the accounting equation holds: accepted equals the sum over all states."""
        return self.total("accepted") == sum(self.states.values())


def parse_history(text: bytes) -> tuple[Event, ...]:
    """Read history lines: time, event, detail."""
    events = []
    for line in text.splitlines():
        at, name, detail = line.split(b" ", 2)
        events.append(Event(int(at), name.decode(), msgspec.json.decode(detail)))
    return tuple(events)


def parse_entry(call_id: str, reply: list[Any]) -> Entry | None:
    """Read the answer of `look.lua`; None for a call that was never seen."""
    now, record, erased, score, history, packed, beside, revision = reply
    if not record and erased == 0:
        return None
    return Entry(
        call_id=call_id,
        asked_ms=int(now),
        record=Record.parse(record) if record else None,
        erased=erased == 1,
        score_ms=int(float(score)),
        history=parse_history(history),
        packed=packed,
        has_newer=bool(beside),
        has_revision=bool(revision),
    )


def parse_dead_letter(row: list[Any]) -> DeadLetter:
    """Read one row of `dead.lua`."""
    call_id, since, record, history = row
    return DeadLetter(call_id.decode(), int(since), Record.parse(record), parse_history(history))


def parse_snapshot(reply: list[Any]) -> Snapshot:
    """Read the answer of `snapshot.lua`."""
    now, sizes, counters, lane, facts = reply
    queues = {name.decode(): int(size) for name, size in _pairs(sizes)}
    counted = {name.decode(): int(value) for name, value in _pairs(counters) if value.isdigit()}
    oldest_ready, earliest_due, oldest_dead, besides, revisions, rejected = (int(fact) for fact in facts)
    return Snapshot(
        now_ms=int(now),
        queues=queues,
        states={
            State.READY: queues["fresh"] + queues["retry"] + queues["replay"],
            State.UPLOADING: queues["uploading"],
            State.WAITING: queues["waiting"],
            State.DELIVERED: counted.get("delivered", 0),
            State.DEAD: queues["dead"],
            State.DISCARDED: queues["discarded"],
            State.ERASED: counted.get("erased", 0),
        },
        counters=counted,
        lane=_parse_lane({name.decode(): value.decode() for name, value in _pairs(lane)}),
        oldest_ready_ms=oldest_ready,
        earliest_due_ms=earliest_due,
        oldest_dead_ms=oldest_dead,
        besides=besides,
        revisions_kept=revisions,
        rejected_kept=rejected,
    )


def _parse_lane(fields: dict[str, str]) -> Lane:
    return Lane(
        state=fields.get("state", "open"),
        reason=fields.get("reason", ""),
        by=fields.get("by", ""),
        since_ms=int(fields.get("since", 0)),
        probe_at_ms=int(fields.get("probe_at", 0)),
        last_claim_ms=int(fields.get("last_claim", 0)),
    )


def _pairs(flat: list[Any]) -> list[tuple[bytes, bytes]]:
    return list(zip(flat[::2], map(_as_bytes, flat[1::2]), strict=True))


def _as_bytes(value: bytes | int) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
